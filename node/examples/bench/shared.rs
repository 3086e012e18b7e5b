//! Whether several nodes with one store count as one.

use std::{
    error::Error,
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    client::Client,
    cores::Cores,
    node::{self, COUNTING, LIMITED},
    program::Program,
    report::Figure,
};

const NODES: usize = 4;

/// Requests a second, of all nodes together, for as long.
const RATE: u32 = 1000;
const DURATION: Duration = Duration::from_secs(5);

/// 100 at once, and 100 more in each of the seconds; 1 % more or less.
const ADMITTED: usize = 600;
const TOLERANCE: usize = 6;

/// Connections to each node, and what each of them adds.
const COUNTERS: usize = 25;
const ADDITIONS: usize = 100;

type Counted = Result<usize, String>;

/// Measures both.
pub(crate) fn measure(cores: &Cores, folder: &Path) -> Result<Vec<Figure>, Box<dyn Error>> {
    let redis = node::redis(cores.load)?;
    let url = format!("url = \"redis://{}\"", redis.address);
    let nodes = (0..NODES)
        .map(|_| node::start(cores.server, folder, &url))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(vec![limited(&nodes)?, counted(&nodes)?])
}

fn limited(nodes: &[Program]) -> Result<Figure, Box<dyn Error>> {
    let start = Instant::now();
    let admitted: usize = everywhere(nodes, 1, move |address| admitted(address, start))?
        .iter()
        .sum();
    Ok(Figure {
        name: "rate_limit",
        measured: format!("{admitted} admitted"),
        promised: format!("{ADMITTED} ± {TOLERANCE}"),
        good: admitted.abs_diff(ADMITTED) <= TOLERANCE,
    })
}

/// Asks at an even rate, and counts what was let through.
fn admitted(address: SocketAddr, start: Instant) -> Result<usize, Box<dyn Error>> {
    let mut client = Client::connect(address)?;
    let pause = Duration::from_secs(NODES as u64) / RATE;
    let mut admitted = 0;
    for turn in (0..).take_while(|turn| pause * *turn < DURATION) {
        thread::sleep((start + pause * turn).saturating_duration_since(Instant::now()));
        match client.ask(LIMITED)?.status {
            200 => admitted += 1,
            429 => {}
            status => return Err(format!("{LIMITED}: {status}").into()),
        }
    }
    Ok(admitted)
}

fn counted(nodes: &[Program]) -> Result<Figure, Box<dyn Error>> {
    let expected = nodes.len() * COUNTERS * ADDITIONS;
    let last = everywhere(nodes, COUNTERS, highest)?.into_iter().max();
    let last = last.unwrap_or_default();
    Ok(Figure {
        name: "cache_increment",
        measured: format!("ends at {last}"),
        promised: format!("{expected}"),
        good: last == expected,
    })
}

/// Adds, and returns the highest count that was read.
fn highest(address: SocketAddr) -> Result<usize, Box<dyn Error>> {
    let mut client = Client::connect(address)?;
    let mut highest = 0;
    for _ in 0..ADDITIONS {
        let answer = client.ask(COUNTING)?;
        if answer.status != 200 {
            return Err(format!("{COUNTING}: {}", answer.status).into());
        }
        highest = answer.body.parse::<usize>()?.max(highest);
    }
    Ok(highest)
}

/// Runs `work` against each node in so many threads, all at once.
fn everywhere(
    nodes: &[Program],
    threads: usize,
    work: impl Fn(SocketAddr) -> Result<usize, Box<dyn Error>> + Copy + Send + 'static,
) -> Result<Vec<usize>, Box<dyn Error>> {
    let running: Vec<_> = nodes
        .iter()
        .flat_map(|node| std::iter::repeat_n(node.address, threads))
        .map(|address| {
            thread::spawn(move || -> Counted { work(address).map_err(|error| error.to_string()) })
        })
        .collect();
    let mut results = Vec::new();
    for thread in running {
        results.push(thread.join().map_err(|_| "a client panicked")??);
    }
    Ok(results)
}
