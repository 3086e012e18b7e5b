//! The node's end of the launcher: started, asked, and started anew when it is gone.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::message::{Ending, MODULE, Output, Task, read_piece};
use super::{CompileError, process};

/// What launcher and job need besides the job's own time.
const GRACE: Duration = Duration::from_secs(10);
/// Bytes of code for each byte of a module: ordinary ones take three to five.
const CODE_PER_BYTE: usize = 16;
/// Bytes of code that any module may have.
const LEAST_CODE: usize = 64 << 20;

/// The launcher of one node.
#[derive(Debug)]
pub(super) struct Launcher {
    /// `None` until it can be started. One task at a time.
    link: Mutex<Option<Link>>,
    /// Whether there is traffic to yield to.
    serving: AtomicBool,
}

/// A launcher that runs, killed and reaped when dropped.
#[derive(Debug)]
struct Link {
    stream: UnixStream,
    process: Child,
}

/// What the launcher says of a task.
struct Reply {
    ending: Ending,
    text: String,
    output: Vec<u8>,
}

/// A stream that gives up at a deadline.
struct Timed<'s> {
    stream: &'s UnixStream,
    deadline: Instant,
}

// === impl Launcher ===

impl Launcher {
    pub(super) fn start() -> Self {
        Self {
            link: Mutex::new(Link::start().ok()),
            serving: AtomicBool::new(false),
        }
    }

    pub(super) fn yield_to_traffic(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    /// Has `module` compiled. A launcher that fails is given up, and the next task gets
    /// another one.
    pub(super) fn ask(&self, task: &Task, module: &[u8]) -> Result<Vec<u8>, CompileError> {
        if module.len() as u64 > MODULE {
            return Err(CompileError::Refused("it is too large".to_owned()));
        }
        let task = Task {
            lowest_priority: self.serving.load(Ordering::Relaxed),
            ..*task
        };
        let mut place = self.link.lock();
        let link = match place.take().and_then(Link::living) {
            Some(link) => link,
            None => Link::start().map_err(|error| {
                CompileError::Launcher(format!("is gone and cannot be started anew: {error}"))
            })?,
        };
        let timed = Timed {
            stream: &link.stream,
            deadline: Instant::now() + task.wall_time + GRACE,
        };
        let reply = exchange(timed, &task, module).map_err(|error| failed(&error))?;
        *place = Some(link);
        drop(place);
        outcome(&task, module.len(), reply)
    }
}

// === impl Link ===

impl Link {
    fn start() -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let process = process::command("compile-launcher")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self {
            stream: ours,
            process,
        })
    }

    /// Itself, unless the process has ended.
    fn living(mut self) -> Option<Self> {
        matches!(self.process.try_wait(), Ok(None)).then_some(self)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A process that may not send signals relies on the launcher noticing this.
        self.stream.shutdown(Shutdown::Both).ok();
        if self.process.kill().is_ok() {
            self.process.wait().ok();
        }
    }
}

// === impl Timed ===

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands the task over, and waits for what becomes of it.
fn exchange(mut launcher: Timed<'_>, task: &Task, module: &[u8]) -> io::Result<Reply> {
    task.write(module.len(), &mut launcher)?;
    launcher.write_all(module)?;
    let mut output = Vec::new();
    let most = most_code(module.len());
    while read_piece(&mut launcher, &mut output)? > 0 {
        // One byte past the bound is kept to tell, and the kind in front of the code.
        output.truncate(most.saturating_add(2));
    }
    let (ending, text) = Ending::read(&mut launcher)?;
    Ok(Reply {
        ending,
        text,
        output,
    })
}

pub(super) fn most_code(module: usize) -> usize {
    module.saturating_mul(CODE_PER_BYTE).max(LEAST_CODE)
}

fn failed(error: &io::Error) -> CompileError {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof, WouldBlock};
    CompileError::Launcher(match error.kind() {
        BrokenPipe | ConnectionReset | UnexpectedEof => {
            "ended in the middle of its work".to_owned()
        }
        TimedOut | WouldBlock => "does not answer".to_owned(),
        _ => format!("cannot be talked to: {error}"),
    })
}

/// What became of the task.
fn outcome(task: &Task, module: usize, reply: Reply) -> Result<Vec<u8>, CompileError> {
    match reply.ending {
        Ending::Finished => {}
        Ending::Time => return Err(CompileError::Time(task.processor_time)),
        Ending::Busy => return Err(CompileError::Busy(task.wall_time)),
        Ending::Memory => return Err(CompileError::Memory(task.address_space)),
        Ending::Crashed => return Err(CompileError::Crashed(reply.text)),
        Ending::NotStarted => {
            let text = format!("cannot start a process: {}", reply.text);
            return Err(CompileError::Launcher(text));
        }
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match Output::of(reply.output) {
        Some((Output::Code, code)) if code.len() > most_code(module) => {
            Err(CompileError::Code(most_code(module)))
        }
        Some((Output::Code, code)) => Ok(code),
        Some((Output::Invalid, reason)) => Err(CompileError::Invalid(text(&reason))),
        Some((Output::Refused, reason)) => Err(CompileError::Refused(text(&reason))),
        None => Err(CompileError::Launcher(
            "does not answer as it should".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{PIECE, write_piece};
    use super::*;
    use std::thread;

    const TASK: Task = Task {
        reservation: 1 << 20,
        processor_time: Duration::from_secs(1),
        wall_time: Duration::from_secs(1),
        address_space: 1 << 30,
        lowest_priority: false,
    };

    /// What comes of asking a launcher that says `reply`, and no more within `patience`.
    fn asked(reply: &[u8], silent: bool, patience: Duration) -> Result<Vec<u8>, CompileError> {
        let (ours, mut theirs) = UnixStream::pair().expect("two sockets");
        theirs.write_all(reply).expect("it fits the buffer");
        if !silent {
            theirs.shutdown(Shutdown::Write).expect("it is open");
        }
        let timed = Timed {
            stream: &ours,
            deadline: Instant::now() + patience,
        };
        let reply = exchange(timed, &TASK, b"module").map_err(|error| failed(&error));
        outcome(&TASK, b"module".len(), reply?)
    }

    fn answered(pieces: &[&[u8]], ending: Ending) -> Result<Vec<u8>, CompileError> {
        let mut reply = Vec::new();
        for piece in pieces {
            write_piece(piece, &mut reply).expect("it fits");
        }
        ending.write("why", &mut reply).expect("it fits");
        asked(&reply, false, TASK.wall_time)
    }

    #[test]
    fn each_ending_is_told_apart() {
        use CompileError::{Busy, Crashed, Invalid, Launcher, Memory, Refused, Time};
        let code = answered(&[b"\0co", b"de"], Ending::Finished);
        assert_eq!(code.expect("code"), b"code");
        let ended = |ending| answered(&[b"\0half"], ending);
        assert!(matches!(ended(Ending::Time), Err(Time(_))));
        assert!(matches!(ended(Ending::Busy), Err(Busy(_))));
        assert!(matches!(ended(Ending::Memory), Err(Memory(_))));
        assert!(matches!(ended(Ending::Crashed), Err(Crashed(why)) if why == "why"));
        assert!(matches!(ended(Ending::NotStarted), Err(Launcher(why)) if why.contains("why")));
        let said = |said: &[u8]| answered(&[said], Ending::Finished);
        assert!(matches!(said(b"\x01bad"), Err(Invalid(why)) if why == "bad"));
        assert!(matches!(said(b"\x02odd"), Err(Refused(why)) if why == "odd"));
        assert!(matches!(said(b"\x09?"), Err(Launcher(_))));
        assert!(matches!(answered(&[], Ending::Finished), Err(Launcher(_))));
    }

    #[test]
    fn a_launcher_that_falls_silent_or_ends_or_babbles_is_an_error() {
        let patience = Duration::from_millis(20);
        for (reply, silent, words) in [
            (&b""[..], true, "does not answer"),
            (b"\x04\0\0\0co", true, "does not answer"),
            (b"", false, "ended"),
            (b"\x04\0\0\0co", false, "ended"),
            (b"\0\0\0\0", false, "ended"),
            (b"\xff\xff\xff\xff", true, "talked to"),
            (b"\0\0\0\0\x63\0\0\0\0", true, "talked to"),
        ] {
            let error = asked(reply, silent, patience).expect_err("no code");
            assert!(error.to_string().contains(words), "{reply:?}: {error}");
        }
    }

    #[test]
    fn code_out_of_proportion_is_refused() {
        let piece = [0; PIECE];
        let mut reply = Vec::new();
        let (ours, theirs) = UnixStream::pair().expect("two sockets");
        for _ in 0..=LEAST_CODE / PIECE {
            write_piece(&piece, &mut reply).expect("it fits");
        }
        Ending::Finished.write("", &mut reply).expect("it fits");
        let babbler = thread::spawn(move || (&theirs).write_all(&reply).map(|()| theirs));
        let timed = Timed {
            stream: &ours,
            deadline: Instant::now() + Duration::from_secs(20),
        };
        let reply = exchange(timed, &TASK, b"module").expect("an answer");
        assert_eq!(reply.output.len(), LEAST_CODE + 2);
        let refused = outcome(&TASK, b"module".len(), reply);
        assert!(matches!(refused, Err(CompileError::Code(LEAST_CODE))));
        drop(babbler.join());
    }
}
