//! A node under siege: control routes measured while it is quiet and while it is attacked, and what the attack leaves.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::http::Response;
use crate::harness::lines::PATIENCE;
use crate::harness::{Connection, Gate, Node, Request, Setup};
use crate::machine::Watch;
use crate::worlds::{FIXED, FUNCTION};

/// Control requests per second, and in one measurement, to each control route.
const RATE: u32 = 200;
const REQUESTS: u32 = 200;

/// Connections that share one route's requests: past 20 ms, and only then, one answer delays the next request.
const LANES: u32 = 4;

/// What the slowest percent of control requests may take under attack: three times as long as without, or this.
const SLOWEST: Duration = Duration::from_millis(20);

/// A machine has slow moments of its own: a measurement that missed is made again, the quiet one too. An attack that
/// does harm does it every time.
const MEASUREMENTS: usize = 3;

/// A measurement that missed while the machine did other things does not count; after so many there is no more hope.
const ATTEMPTS: usize = 10;

/// What the node may still hold after an attack, above what it held after the first round of the same attack: the
/// allocator gives memory back late, and the sandboxes used last stay warm.
const KEPT_MEMORY: usize = 48 << 20;
/// Connections to HTTPS servers that are kept for the next call, and the resolver's.
const KEPT_DESCRIPTORS: usize = 16;

/// Tests measure, so they run one at a time.
static ALONE: Mutex<()> = Mutex::new(());

pub(crate) struct Siege {
    pub(crate) node: Node,
    _alone: MutexGuard<'static, ()>,
}

/// One attacker's connection, opened again whenever the node closed it.
pub(crate) struct Client<'n> {
    pub(crate) node: &'n Node,
    /// Which of the attackers this is, from 0.
    pub(crate) number: usize,
    connection: Option<Connection>,
}

/// The quickest of a few answers to `target`: what a limit costs when nothing else is in the way.
pub(crate) fn quickest(node: &Node, target: &str) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        node.get(target);
        start.elapsed()
    };
    let mut quickest = Duration::MAX;
    for _ in 0..ATTEMPTS {
        let machine = Watch::start();
        quickest = (0..8).map(timed).min().unwrap().min(quickest);
        if !machine.was_disturbed() {
            break;
        }
    }
    quickest
}

// === impl Siege ===

impl Siege {
    /// Waits for its turn and starts the node.
    pub(crate) fn of(setup: Setup) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let node = setup.start();
        for route in [FUNCTION, FIXED] {
            assert_eq!(node.get(route).text(), "fine");
        }
        Self {
            node,
            _alone: alone,
        }
    }

    /// Lets `clients` repeat `attack` while the control routes are measured; everything they got.
    ///
    /// # Panics
    /// When a control request fails or the routes are slow, or the node does not give back what it took.
    pub(crate) fn attack<T: Send>(
        &self,
        clients: usize,
        attack: impl Fn(&mut Client<'_>) -> T + Sync,
    ) -> Vec<T> {
        let before = Footprint::of(&self.node);
        let mut got = self.repeat(clients, &attack, |_| {}).0;
        let warm = Footprint::of(&self.node).and(before);
        let mut missed = Vec::new();
        for _ in 0..ATTEMPTS {
            let machine = Watch::start();
            let quiet = self.measure();
            let (more, attacked) = self.repeat(clients, &attack, |_| self.measure());
            got.extend(more);
            self.recovered(&warm);
            if std::env::var_os("SIEGE_SHOW").is_some() {
                eprintln!(
                    "quiet {quiet:?}, attacked {attacked:?}, {} answers, {:?} then {:?}",
                    got.len(),
                    warm,
                    Footprint::of(&self.node)
                );
            }
            match attacked.verdict(&quiet) {
                Ok(()) => return got,
                Err(_) if machine.was_disturbed() => {}
                Err(slow) => missed.push(slow),
            }
            let (slow, most) = (missed.len(), MEASUREMENTS);
            assert!(
                slow < most,
                "the control routes were slow each time: {missed:#?}"
            );
        }
        panic!("the machine is too busy to measure anything: {missed:#?}");
    }

    /// Lets each of `clients` do `attack` once, all at the same time; everything they got.
    ///
    /// # Panics
    /// When the node does not give back what it took, or does not serve the control routes after it.
    pub(crate) fn storm<T: Send>(
        &self,
        clients: usize,
        attack: impl Fn(&mut Client<'_>) -> T + Sync,
    ) -> Vec<T> {
        let before = Footprint::of(&self.node);
        let (got, ()) = self.repeat(clients, &attack, |_| {});
        self.recovered(&before);
        self.measure();
        got
    }

    /// The most memory the node ever held, in bytes.
    pub(crate) fn peak(&self) -> usize {
        status(&self.node, "VmHWM:") << 10
    }

    /// `clients` repeat `attack`, each at least once, until `meanwhile` is over.
    fn repeat<T: Send, M>(
        &self,
        clients: usize,
        attack: &(impl Fn(&mut Client<'_>) -> T + Sync),
        meanwhile: impl FnOnce(&Node) -> M,
    ) -> (Vec<T>, M) {
        let over = AtomicBool::new(false);
        let over = &over;
        let attacker = move |number| {
            let (mut client, mut got) = (Client::of(&self.node, number), Vec::new());
            loop {
                got.push(attack(&mut client));
                if over.load(Ordering::Relaxed) {
                    return got;
                }
            }
        };
        thread::scope(|scope| {
            let attackers: Vec<_> = (0..clients)
                .map(|number| scope.spawn(move || attacker(number)))
                .collect();
            let end = End(over);
            let result = meanwhile(&self.node);
            drop(end);
            let got = attackers.into_iter().flat_map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|cause| std::panic::resume_unwind(cause))
            });
            (got.collect(), result)
        })
    }

    /// Both control routes at once, at a fixed rate.
    fn measure(&self) -> Measured {
        let (function, fixed) = thread::scope(|scope| {
            let fixed = scope.spawn(|| measure(&self.node, FIXED));
            (measure(&self.node, FUNCTION), fixed.join().unwrap())
        });
        Measured { function, fixed }
    }

    /// Waits until the node holds no more than `before`, and what it may keep.
    fn recovered(&self, before: &Footprint) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Footprint::of(&self.node);
            if now.is_within(before) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the attack left {now:?}, before it was {before:?}"
            );
            let ended = self.node.stderr.closed_within(Duration::from_millis(10));
            assert!(!ended, "the node ended");
        }
    }
}

/// Ends an attack when dropped, also by a measurement that failed.
struct End<'s>(&'s AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

// === impl Client ===

impl<'n> Client<'n> {
    fn of(node: &'n Node, number: usize) -> Self {
        Self {
            node,
            number,
            connection: None,
        }
    }

    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.send(&Request::get(target))
    }

    /// # Panics
    /// When a new connection ends without an answer.
    pub(crate) fn send(&mut self, request: &Request) -> Response {
        let kept = self.connection.take();
        let again = |mut connection: Connection| {
            let response = connection.exchange(request)?;
            Some((connection, response))
        };
        let (connection, response) = kept
            .and_then(again)
            .or_else(|| again(self.node.connect()))
            .expect("the connection ended without an answer");
        if response.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        response
    }
}

/// Of a `/proc/PID/status`, the number in a line.
fn status(node: &Node, name: &str) -> usize {
    let file = format!("/proc/{}/status", node.process());
    let status = std::fs::read_to_string(file).expect("the node runs");
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The slowest percent of each control route's requests.
#[derive(Debug)]
struct Measured {
    function: Duration,
    fixed: Duration,
}

impl Measured {
    fn verdict(&self, quiet: &Self) -> Result<(), String> {
        let routes = [
            (FUNCTION, self.function, quiet.function),
            (FIXED, self.fixed, quiet.fixed),
        ];
        let slow = routes.map(|(route, attacked, quiet)| {
            let allowed = SLOWEST.max(3 * quiet);
            let slow = attacked > allowed;
            slow.then(|| {
                format!("{route} at {RATE} requests/s: p99 {attacked:?} under attack, {quiet:?} quiet, allowed {allowed:?}")
            })
        });
        let slow: Vec<String> = slow.into_iter().flatten().collect();
        match slow.is_empty() {
            true => Ok(()),
            false => Err(slow.join("; ")),
        }
    }
}

/// The 99th percentile of what requests to `route` took from the moment they were due.
fn measure(node: &Node, route: &str) -> Duration {
    let failed = Gate::default();
    let start = Instant::now();
    let lanes = thread::scope(|scope| {
        let lane = |first| {
            let failed = &failed;
            scope.spawn(move || {
                lane(
                    node,
                    route,
                    start + first * Duration::from_secs(1) / RATE,
                    failed,
                )
            })
        };
        let lanes: Vec<_> = (0..LANES).map(lane).collect();
        lanes
            .into_iter()
            .map(|lane| lane.join().unwrap())
            .collect::<Result<Vec<_>, String>>()
    });
    let mut took = lanes.unwrap_or_else(|failure| panic!("{failure}")).concat();
    took.sort_unstable();
    took[took.len() - 1 - took.len() / 100]
}

/// Every `LANES`th request of a measurement, the first one due at `due`; an open loop, so lateness adds up.
fn lane(
    node: &Node,
    route: &str,
    mut due: Instant,
    failed: &Gate,
) -> Result<Vec<Duration>, String> {
    let mut connection = node.connect();
    let request = Request::get(route);
    let mut took = Vec::new();
    for _ in 0..REQUESTS / LANES {
        failed.wait(due.saturating_duration_since(Instant::now()));
        match connection.exchange(&request) {
            Some(response) if response.status == 200 && response.text() == "fine" => {}
            other => {
                failed.open();
                let answer = other.as_ref().map(|response| response.error());
                return Err(format!("a control request to {route} got {answer:?}"));
            }
        }
        took.push(due.elapsed());
        due += LANES * Duration::from_secs(1) / RATE;
    }
    Ok(took)
}

/// What a process holds.
#[derive(Clone, Copy)]
struct Footprint {
    memory: usize,
    threads: usize,
    descriptors: usize,
}

impl Footprint {
    fn of(node: &Node) -> Self {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", node.process()));
        Self {
            memory: status(node, "VmRSS:") << 10,
            threads: status(node, "Threads:"),
            descriptors: descriptors.expect("the node runs").count(),
        }
    }

    /// Memory and threads of the first round of an attack, descriptors of before it: connections end late.
    fn and(self, before: Self) -> Self {
        Self {
            descriptors: before.descriptors,
            ..self
        }
    }

    fn is_within(&self, before: &Self) -> bool {
        self.memory <= before.memory + KEPT_MEMORY
            && self.threads <= before.threads
            && self.descriptors <= before.descriptors + KEPT_DESCRIPTORS
    }
}

impl fmt::Debug for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            memory,
            threads,
            descriptors,
        } = self;
        let memory = memory >> 20;
        write!(
            f,
            "{memory} MiB, {threads} threads, {descriptors} descriptors"
        )
    }
}
