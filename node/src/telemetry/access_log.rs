//! The access log's writer: requests hand lines over without waiting; a thread of its own
//! writes them in batches.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use tracing::warn;

use super::Format;
use crate::proxy::{AccessLine, AccessLog};

/// Lines that may wait; past it they are dropped and counted.
const CAPACITY: usize = 16 * 1024;
/// Lines that come within this time are written together.
const BATCH: Duration = Duration::from_millis(5);
/// Bytes after which no more lines are added: a flood may bring them as fast as they are taken.
const BATCH_SIZE: usize = 256 * 1024;
/// An idle writer looks around this often even if nobody wakes it.
const IDLE: Duration = Duration::from_secs(1);
/// How long the last lines may take when the node stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Writes lines to `stdout` or wherever it was told to.
pub struct AccessLogWriter {
    shared: Arc<Shared>,
    writer: JoinHandle<()>,
    format: Format,
}

struct Shared {
    lines: ArrayQueue<Vec<u8>>,
    dropped: AtomicU64,
    asleep: AtomicBool,
    closed: AtomicBool,
}

impl AccessLogWriter {
    /// Starts the writing thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(output: impl Write + Send + 'static, format: Format) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            lines: ArrayQueue::new(CAPACITY),
            dropped: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let writer = thread::Builder::new()
            .name("aegis-access".into())
            .spawn(move || theirs.run(output))?;
        Ok(Self {
            shared,
            writer,
            format,
        })
    }

    /// Writes what is still waiting and ends. Lines that come later are lost.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.writer.thread().unpark();
        // A reader that takes nothing must not keep the node from stopping.
        let until = Instant::now() + LAST_WORDS;
        while !self.writer.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl AccessLog for AccessLogWriter {
    fn write(&self, line: &AccessLine<'_>) {
        let bytes = match self.format {
            Format::Json => line.json(),
            Format::Text => line.text(),
        };
        if self.shared.lines.push(bytes).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        if self.shared.asleep.load(Ordering::Acquire)
            && self.shared.asleep.swap(false, Ordering::AcqRel)
        {
            self.writer.thread().unpark();
        }
    }
}

impl Shared {
    fn run(&self, mut output: impl Write) {
        let mut batch = Vec::new();
        let mut told = 0;
        loop {
            let closing = self.closed.load(Ordering::Acquire);
            while batch.len() < BATCH_SIZE
                && let Some(line) = self.lines.pop()
            {
                batch.extend_from_slice(&line);
            }
            if !batch.is_empty() {
                // Nobody to tell: stdout is closed or full, and the node serves on.
                output.write_all(&batch).and_then(|()| output.flush()).ok();
                batch.clear();
            }
            told = self.tell_dropped(told);
            match (closing, self.lines.is_empty()) {
                (true, true) => return,
                (false, true) => self.rest(),
                (_, false) => {}
            }
        }
    }

    /// Sleeps until there are lines, then a little longer for more of them.
    fn rest(&self) {
        self.asleep.store(true, Ordering::Release);
        if self.lines.is_empty() && !self.closed.load(Ordering::Acquire) {
            thread::park_timeout(IDLE);
        }
        self.asleep.store(false, Ordering::Release);
        thread::sleep(BATCH);
    }

    fn tell_dropped(&self, told: u64) -> u64 {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > told {
            warn!(dropped = dropped - told, "access log lines were dropped");
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Never takes a byte.
    struct Stuck;

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            loop {
                thread::park();
            }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_before_the_writer_is_gone() {
        let buffer = Buffer::default();
        let log = AccessLogWriter::start(buffer.clone(), Format::Json).expect("a thread");
        for _ in 0..1000 {
            log.write(&AccessLine::sample());
        }
        log.close();
        let written = buffer.0.lock().expect("no panic");
        assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), 1000);
    }

    #[test]
    fn a_stuck_reader_costs_lines_and_not_requests() {
        let log = AccessLogWriter::start(Stuck, Format::Text).expect("a thread");
        for _ in 0..3 * CAPACITY {
            log.write(&AccessLine::sample());
        }
        assert!(log.shared.dropped.load(Ordering::Relaxed) >= CAPACITY as u64);
    }
}
