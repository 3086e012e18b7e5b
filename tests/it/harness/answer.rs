//! What a scripted origin answers, and the gate a test opens to let it go on.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::framing::{Headers, chunked, field};
use super::lines::PATIENCE;

/// An answer written step by step.
pub(crate) struct Answer {
    message: Option<Message>,
    before: Option<(Gate, Duration)>,
    after: Vec<Step>,
    left: Option<Gate>,
}

struct Message {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
}

enum Step {
    Send(Vec<u8>),
    Wait(Gate),
    Close,
}

/// Closed at first; whoever waits goes on when the test opens it.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

// === impl Answer ===

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let message = Message {
            status,
            headers: Vec::new(),
            body: body.into(),
        };
        Self {
            message: Some(message),
            before: None,
            after: Vec::new(),
            left: None,
        }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    /// Exactly these bytes, then the connection is closed.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            message: None,
            before: None,
            after: vec![Step::Send(bytes.into()), Step::Close],
            left: None,
        }
    }

    /// `first`, then, once `gate` is open, `second`, then close.
    pub(crate) fn halves(
        first: impl Into<Vec<u8>>,
        gate: &Gate,
        second: impl Into<Vec<u8>>,
    ) -> Self {
        let after = vec![
            Step::Send(first.into()),
            Step::Wait(gate.clone()),
            Step::Send(second.into()),
            Step::Close,
        ];
        Self {
            message: None,
            before: None,
            after,
            left: None,
        }
    }

    /// None at all; `left` is opened when the client has gone away.
    pub(crate) fn never(left: &Gate) -> Self {
        Self {
            left: Some(left.clone()),
            ..Self::raw("")
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let message = self.message.as_mut().expect("a raw answer has no fields");
        message.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Says nothing before `gate` is open.
    pub(crate) fn held(self, gate: &Gate) -> Self {
        self.held_for(gate, PATIENCE)
    }

    /// Says nothing before `gate` is open or `time` has passed.
    pub(crate) fn held_for(mut self, gate: &Gate, time: Duration) -> Self {
        self.before = Some((gate.clone(), time));
        self
    }

    /// Whom to tell that the client has gone away instead of answering.
    pub(super) fn left(&self) -> Option<&Gate> {
        self.left.as_ref()
    }

    /// Writes the answer to a request of `method`; `None` when the connection is to be dropped.
    pub(super) fn write(self, sink: &mut impl Write, method: &str) -> Option<()> {
        if let Some((gate, time)) = self.before {
            gate.wait(time);
        }
        if let Some(message) = self.message {
            sink.write_all(&message.encode(method)).ok()?;
        }
        sink.flush().ok()?;
        for step in self.after {
            match step {
                Step::Send(bytes) => sink.write_all(&bytes).and_then(|()| sink.flush()).ok()?,
                Step::Wait(gate) => gate.wait(PATIENCE),
                Step::Close => return None,
            }
        }
        Some(())
    }
}

// === impl Message ===

impl Message {
    /// Its bytes as the answer to a request of `method`.
    fn encode(self, method: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let chunks = field(&self.headers, "transfer-encoding").is_some();
        if !chunks && self.status != 204 && self.status != 304 {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head += "\r\n";
        let body = match (method, chunks) {
            ("HEAD", _) => Vec::new(),
            (_, true) => chunked(&self.body, 10_000),
            (_, false) => self.body,
        };
        [head.into_bytes(), body].concat()
    }
}

// === impl Gate ===

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.0.0.lock().unwrap()
    }

    /// Waits until the gate is open, but no longer than `time`.
    pub(crate) fn wait(&self, time: Duration) {
        let closed = self.0.0.lock().unwrap();
        drop(
            self.0
                .1
                .wait_timeout_while(closed, time, |open| !*open)
                .unwrap(),
        );
    }
}
