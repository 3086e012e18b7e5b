//! Lines a child process writes, kept as they come and waited for by condition.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for anything that must happen; only a failing test waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    lines: Vec<String>,
    closed: bool,
}

impl Lines {
    /// Reads `source` to its end on a thread of its own.
    pub(crate) fn reading(source: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let sink = lines.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                sink.update(|state| {
                    state
                        .lines
                        .push(String::from_utf8_lossy(&line).trim_end().to_owned());
                });
                line.clear();
            }
            sink.update(|state| state.closed = true);
        });
        lines
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap().lines.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.0.lock().unwrap().lines.len()
    }

    /// Forgets the lines so far; who waits from an index on waits in vain.
    #[allow(dead_code, reason = "only runs that write very many lines need it")]
    pub(crate) fn forget(&self) {
        self.0.0.lock().unwrap().lines.clear();
    }

    /// The first line from index `from` on that is `wanted`; `None` when the writer closed without it or patience ran out.
    pub(crate) fn find_from(&self, from: usize, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut next = from;
        self.until(PATIENCE, |state| {
            let found = state
                .lines
                .iter()
                .skip(next)
                .find(|line| wanted(line))
                .cloned();
            next = next.max(state.lines.len());
            (found.is_some() || state.closed).then_some(found)
        })
        .flatten()
    }

    /// The first line that is `wanted`.
    ///
    /// # Panics
    /// When it does not come.
    pub(crate) fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.find_from(0, wanted).unwrap_or_else(|| {
            panic!(
                "the line waited for did not come; came:\n{}",
                self.all().join("\n")
            )
        })
    }

    /// Waits until the writer has closed its end.
    pub(crate) fn wait_closed(&self) -> bool {
        self.closed_within(PATIENCE)
    }

    /// Whether the writer closes its end before `time` is over.
    pub(crate) fn closed_within(&self, time: Duration) -> bool {
        self.until(time, |state| state.closed.then_some(()))
            .is_some()
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn until<T>(&self, time: Duration, mut ready: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + time;
        let mut state = self.0.0.lock().unwrap();
        loop {
            if let Some(found) = ready(&state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self.0.1.wait_timeout(state, left).unwrap().0;
        }
    }
}
