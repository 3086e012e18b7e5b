//! Whether the machine did something else while a measurement was made: then it says nothing of the node.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

/// Of all processors, the part that others may use while something is measured.
const OTHERS: f64 = 0.25;

/// What processors had done when a measurement began, in ticks of the kernel's clock.
pub(crate) struct Watch {
    began: Instant,
    all: u64,
    ours: u64,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
            all: all(),
            ours: ours(),
        }
    }

    /// Whether others had more than a little of the processors since.
    pub(crate) fn was_disturbed(&self) -> bool {
        let processors = std::thread::available_parallelism().unwrap().get() as f64;
        let ticks_per_second = 100.0;
        let capacity = self.began.elapsed().as_secs_f64() * ticks_per_second * processors;
        let others = (all() - self.all).saturating_sub(ours().saturating_sub(self.ours));
        let disturbed = others as f64 > OTHERS * capacity;
        if disturbed {
            eprintln!("the machine was busy with other things: measured again");
        }
        disturbed
    }
}

/// Busy with anything, the hypervisor's other guests included.
fn all() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let fields = stat.lines().next().unwrap().split_whitespace().skip(1);
    let ticks: Vec<u64> = fields.map(|field| field.parse().unwrap()).collect();
    let (idle, wait) = (ticks[3], ticks[4]);
    ticks[..8].iter().sum::<u64>() - idle - wait
}

/// Of this process and all that it has started, ended ones included as far as they were waited for.
fn ours() -> u64 {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let process = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok());
        if let Some((process, (parent, ticks))) = process.and_then(|id| Some((id, stat(id)?))) {
            parents.insert(process, (parent, ticks));
        }
    }
    let me = std::process::id();
    let is_ours = |mut process: u32| loop {
        if process == me {
            return true;
        }
        match parents.get(&process) {
            Some((parent, _)) => process = *parent,
            None => return false,
        }
    };
    let ours = parents.iter().filter(|(process, _)| is_ours(**process));
    ours.map(|(_, (_, ticks))| ticks).sum()
}

/// Parent and ticks of a process.
fn stat(process: u32) -> Option<(u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields
        .get(11..15)?
        .iter()
        .map(|field| field.parse::<u64>().unwrap_or(0));
    Some((fields.get(1)?.parse().ok()?, ticks.sum()))
}
