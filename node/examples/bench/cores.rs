//! Which core the measured server gets, and which one everything else.

use std::{error::Error, ffi::OsStr, fs, process::Command};

const STATUS: &str = "/proc/self/status";
const FIELD: &str = "Cpus_allowed_list:";

/// Two different cores.
pub(crate) struct Cores {
    /// Of the server that is measured.
    pub(crate) server: usize,
    /// Of `wrk` and the origin.
    pub(crate) load: usize,
}

// === impl Cores ===

impl Cores {
    /// The first two cores this process may run on.
    pub(crate) fn of_this_process() -> Result<Self, Box<dyn Error>> {
        let status = fs::read_to_string(STATUS)?;
        let list = status.lines().find_map(|line| line.strip_prefix(FIELD));
        let cores = parse(list.ok_or("the cores of this process are unknown")?)?;
        match cores.as_slice() {
            [server, load, ..] => Ok(Self {
                server: *server,
                load: *load,
            }),
            _ => Err("two cores are needed: one for the server, one for wrk".into()),
        }
    }
}

/// A command that runs `program` on one core only.
pub(crate) fn pinned(core: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// Reads a list such as `0-2,5`.
fn parse(list: &str) -> Result<Vec<usize>, Box<dyn Error>> {
    let mut cores = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cores.extend(first.parse::<usize>()?..=last.parse()?);
    }
    Ok(cores)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lists_and_ranges_of_cores() {
        assert_eq!(parse("\t0-2,5\n").unwrap(), [0, 1, 2, 5]);
        assert_eq!(parse("3").unwrap(), [3]);
        assert!(parse("").is_err() && parse("0-x").is_err());
    }
}
