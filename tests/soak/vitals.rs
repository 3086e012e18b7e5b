//! What the process of the node holds.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use crate::it::harness::Node;

/// Memory that may come on top: the allocator's arenas and the stacks of threads fill up with time,
/// and what is freed goes back to the system when the allocator thinks fit.
const SLACK: u64 = 16 << 20;

/// How long the node may take to let go of what nobody uses.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many looks that show the same show what stays.
const LOOKS: u32 = 25;

/// Between two looks.
const PACE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// Resident memory, in bytes.
    rss: u64,
    threads: u64,
    descriptors: usize,
}

impl Vitals {
    /// As soon as the last connection is closed and nothing else is either, for a while.
    ///
    /// # Panics
    /// When a connection stays open.
    pub(crate) fn settled(node: &Node) -> Self {
        let closed = || (connections(node) == 0).then_some(());
        until(node, closed, || "a connection of a client stays".to_owned());
        let (mut last, mut same) = (Self::now(node), 0);
        while same < LOOKS {
            assert!(!node.stderr.closed_within(PACE), "the node ended");
            let now = Self::now(node);
            let still = now.descriptors == last.descriptors && now.threads == last.threads;
            (last, same) = (now, if still { same + 1 } else { 0 });
        }
        last
    }

    /// As soon as everything is back where it was `before`.
    ///
    /// # Panics
    /// When it does not come back.
    pub(crate) fn back_at(node: &Node, before: &Self) -> Self {
        let back = || Some(Self::now(node)).filter(|now| now.is_back_at(before));
        until(node, back, || {
            format!("before: {before}; now: {}", Self::now(node))
        })
    }

    fn is_back_at(&self, before: &Self) -> bool {
        self.rss <= before.rss + SLACK
            && self.threads == before.threads
            && self.descriptors == before.descriptors
    }

    fn now(node: &Node) -> Self {
        let process = format!("/proc/{}", node.process());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        Self {
            rss: field(&status, "VmRSS:") * 1024,
            threads: field(&status, "Threads:"),
            descriptors: fs::read_dir(format!("{process}/fd")).unwrap().count(),
        }
    }
}

impl fmt::Display for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rss,
            threads,
            descriptors,
        } = self;
        let mebibytes = rss >> 20;
        write!(
            f,
            "{mebibytes} MiB, {threads} threads, {descriptors} descriptors"
        )
    }
}

/// Looks until there is something to see.
fn until<T>(node: &Node, look: impl Fn() -> Option<T>, missing: impl Fn() -> String) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "{}", missing());
        assert!(!node.stderr.closed_within(PACE), "the node ended");
    }
}

fn field(status: &str, name: &str) -> u64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Connections of clients that the node has a descriptor for, as the kernel lists them.
fn connections(node: &Node) -> usize {
    let local = format!(":{:04X}", node.address.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let of_node = |line: &&str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        // Number, local and remote address, state (0A listens), …, and the inode: 0 is nobody's.
        columns[1].ends_with(&local) && columns[3] != "0A" && columns[9] != "0"
    };
    table.lines().skip(1).filter(of_node).count()
}
