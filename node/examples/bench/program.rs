//! A server under test: a child process on a core and a port of its own, killed when dropped.

use std::{
    error::Error,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Longest time until a server listens.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// What `/proc` counts CPU time in: `USER_HZ`, which is 100 for every program on Linux.
const TICK: Duration = Duration::from_millis(10);

/// The places of `utime` and `stime` in `/proc/PID/stat`, counted from behind the command's name.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

/// A running server.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    child: Child,
}

// === impl Program ===

impl Program {
    /// Starts `command` and waits until something listens on `address`.
    pub(crate) fn start(
        command: &mut Command,
        address: SocketAddr,
    ) -> Result<Self, Box<dyn Error>> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let mut program = Self { address, child };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = program.child.try_wait()? {
                return Err(format!("{command:?} ended with {status}").into());
            }
            if Instant::now() > deadline {
                return Err(format!("{command:?} does not listen on {address}").into());
            }
            thread::sleep(PAUSE);
        }
        Ok(program)
    }

    /// CPU time of all its threads so far, in the kernel and outside.
    pub(crate) fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        ticks(&stat)
            .map(|ticks| TICK * ticks)
            .ok_or_else(|| format!("no CPU time in {stat:?}").into())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A loopback address nobody listened on a moment ago.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn ticks(stat: &str) -> Option<u32> {
    // The command's name is in parentheses and may itself hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |place: usize| fields.get(place)?.parse::<u32>().ok();
    field(USER_TIME)?.checked_add(field(SYSTEM_TIME)?)
}

#[cfg(test)]
mod tests {
    use super::ticks;

    #[test]
    fn user_and_system_time_are_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 25 16 17";
        assert_eq!(ticks(stat), Some(175));
        assert_eq!(ticks("42 (short) S 1 2"), None);
    }
}
