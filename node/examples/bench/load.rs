//! Requests: as many as `wrk` can make in a while.

use std::{error::Error, time::Duration};

use crate::{cores::pinned, program::Program};

/// Enough for connections, caches and allocators to settle.
const WARM_UP: Duration = Duration::from_secs(1);

/// How hard and from where.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) core: usize,
    pub(crate) duration: Duration,
    pub(crate) connections: Connections,
}

/// Connections at once, each with one request under way.
#[derive(Clone, Copy)]
pub(crate) struct Connections(pub(crate) u32);

impl Default for Connections {
    fn default() -> Self {
        Self(32)
    }
}

// === impl Load ===

impl Load {
    /// The same, shortly.
    pub(crate) fn warm_up(&self) -> Self {
        Self {
            duration: WARM_UP,
            ..*self
        }
    }

    /// The same, with so many connections.
    pub(crate) fn with(&self, connections: Connections) -> Self {
        Self {
            connections,
            ..*self
        }
    }

    /// What a request to `path` costs `program`, on the average.
    pub(crate) fn cpu_per_request(
        &self,
        program: &Program,
        path: &str,
    ) -> Result<Duration, Box<dyn Error>> {
        let before = program.cpu()?;
        let requests = self.run(program, path)?;
        let used = program.cpu()? - before;
        Ok(used / requests)
    }

    /// The number of requests that were answered.
    fn run(&self, program: &Program, path: &str) -> Result<u32, Box<dyn Error>> {
        let url = format!("http://{}{path}", program.address);
        let duration = format!("-d{}s", self.duration.as_secs());
        let connections = format!("-c{}", self.connections.0);
        let output = pinned(self.core, "wrk")
            .args(["-t1", &connections, &duration, &url])
            .output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            return Err(format!("wrk {url}: {printed}{reason}").into());
        }
        answered(&printed).ok_or_else(|| format!("wrk {url}: {printed}").into())
    }
}

/// The requests `wrk` counted; `None` if there was none, or any of them failed.
fn answered(printed: &str) -> Option<u32> {
    let failed = printed.contains("Non-2xx or 3xx responses") || printed.contains("Socket errors");
    let (requests, _) = printed
        .lines()
        .find_map(|line| line.split_once(" requests in "))?;
    let requests = requests.trim().parse().ok()?;
    (!failed && requests > 0).then_some(requests)
}

#[cfg(test)]
mod tests {
    use super::answered;

    const GOOD: &str = "Running 5s test @ http://127.0.0.1:1/\n  \
        413217 requests in 5.10s, 45.71MB read\nRequests/sec:  81023.2\n";

    #[test]
    fn counts_requests_only_when_all_were_answered() {
        assert_eq!(answered(GOOD), Some(413_217));
        let failed = GOOD.replace(
            "Requests/sec",
            "  Non-2xx or 3xx responses: 3\nRequests/sec",
        );
        assert_eq!(answered(&failed), None);
        let broken = GOOD.replace("Requests/sec", "  Socket errors: connect 0, read 9\nR");
        assert_eq!(answered(&broken), None);
        assert_eq!(answered("  0 requests in 5.10s"), None);
    }
}
