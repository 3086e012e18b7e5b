//! HTTP/2 frames by hand: what no client library would send, and what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::lines::PATIENCE;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// Frames of a flood that are sent at a time.
const BATCH: u32 = 50;
/// More bytes than two sockets take ahead of who reads them.
const SOCKETS: usize = 32 << 20;

/// A connection on which every byte is the test's.
pub(crate) struct Raw {
    stream: TcpStream,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With the last GOAWAY's code.
    GoAway(u32),
    /// Closed or reset without a word that arrived.
    Closed,
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A header block of literals that stay out of the dynamic table.
pub(crate) fn block(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        literal(&mut block, name.as_bytes());
        literal(&mut block, value);
    }
    block
}

fn literal(block: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(length) if length < 127 => block.push(length),
        _ => {
            block.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap());
        }
    }
    block.extend_from_slice(text);
}

/// The block of an ordinary request, with `more` fields.
pub(crate) fn request(method: &str, path: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let ordinary: [(&str, &[u8]); 4] = [
        (":method", method.as_bytes()),
        (":scheme", b"http"),
        (":path", path.as_bytes()),
        (":authority", b"aegis.test"),
    ];
    block(&[&ordinary, more].concat())
}

/// The request with this number that a client makes has this stream.
pub(crate) fn nth(number: u32) -> u32 {
    2 * number + 1
}

pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())
}

/// A whole request without a body.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        stream,
        &request("GET", path, &[]),
    )
}

// === impl Frame ===

impl Frame {
    /// Of an answer's header. It is read without a table: what a node says first is a static
    /// field, or a literal with a static name.
    ///
    /// # Panics
    /// When the frame does not begin with one.
    pub(crate) fn status(&self) -> u16 {
        assert_eq!(self.kind, HEADERS);
        match self.payload[..] {
            [indexed @ 0x88..=0x8e, ..] => STATUSES[usize::from(indexed - 0x88)],
            [0x08 | 0x48, length, ref text @ ..] => literal_status(length, text),
            ref other => panic!("no status: {other:x?}"),
        }
    }
}

/// Static entries 8 to 14.
const STATUSES: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];

fn literal_status(length: u8, text: &[u8]) -> u16 {
    let text = &text[..usize::from(length & 0x7f)];
    if length & 0x80 == 0 {
        return std::str::from_utf8(text).unwrap().parse().unwrap();
    }
    // Huffman's: digits 0 to 2 have five bits, the others six.
    let mut bits: Vec<bool> = Vec::new();
    for byte in text {
        bits.extend((0..8).rev().map(|bit| byte >> bit & 1 == 1));
    }
    let number = |bits: &[bool]| bits.iter().fold(0u16, |sum, bit| sum * 2 + u16::from(*bit));
    let mut status = 0;
    for _ in 0..3 {
        let short = number(&bits[..5]);
        let (digit, used) = match short {
            0..=2 => (short, 5),
            _ => (number(&bits[..6]) - 0x19 + 3, 6),
        };
        status = status * 10 + digit;
        bits.drain(..used);
    }
    status
}

// === impl Raw ===

impl Raw {
    /// Connected, nothing said.
    pub(crate) fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Preface and empty SETTINGS are out.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut raw = Self::silent(address);
        raw.send(PREFACE);
        raw.send(&frame(SETTINGS, 0, 0, &[]));
        raw
    }

    /// Writes what the peer takes; `false` once it takes nothing more.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Lets time pass, and what comes meanwhile lie.
    pub(crate) fn pause(&self, time: Duration) {
        let never = super::answer::Gate::default();
        never.wait(time);
    }

    /// The next frame; `None` at the connection's end.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.read(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.read(&mut payload)?;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }

    /// The next frame of `kind` on `stream`; `None` when the connection ends without.
    pub(crate) fn wait_for(&mut self, kind: u8, stream: u32) -> Option<Frame> {
        std::iter::from_fn(|| self.next())
            .find(|frame| frame.kind == kind && frame.stream == stream)
    }

    /// Reads to the connection's end.
    pub(crate) fn ending(&mut self) -> Ending {
        let mut ending = Ending::Closed;
        while let Some(frame) = self.next() {
            if frame.kind == GOAWAY {
                let code = frame.payload[4..8].try_into().unwrap();
                ending = Ending::GoAway(u32::from_be_bytes(code));
            }
        }
        ending
    }

    /// Reads on a thread of its own, to the connection's end.
    pub(crate) fn reading(&self) -> JoinHandle<Ending> {
        let mut reader = Self {
            stream: self.stream.try_clone().unwrap(),
        };
        thread::spawn(move || reader.ending())
    }

    /// Whether a request for `path` is answered with 200.
    pub(crate) fn goes_on(&mut self, stream: u32, path: &str) -> bool {
        self.send(&get(stream, path));
        self.wait_for(HEADERS, stream)
            .is_some_and(|frame| frame.status() == 200)
    }

    /// Sends what `make` makes of 0, 1, 2 and so on, in batches, until the peer has had enough;
    /// how it ended the connection.
    ///
    /// # Panics
    /// When it has taken more than the sockets on the way may hold.
    pub(crate) fn flood(&mut self, make: impl Fn(u32) -> Vec<u8>) -> Ending {
        let reading = self.reading();
        let (mut next, mut sent) = (0, 0);
        while !reading.is_finished() {
            assert!(sent < SOCKETS, "the peer has taken {next} of them");
            let batch: Vec<u8> = (next..next + BATCH).flat_map(&make).collect();
            if !self.send(&batch) {
                break;
            }
            next += BATCH;
            sent += batch.len();
        }
        reading.join().unwrap()
    }

    /// Writes a byte per `pause` until the peer has had enough of it.
    ///
    /// # Panics
    /// When all bytes were taken.
    pub(crate) fn drip(&mut self, bytes: &[u8], pause: Duration) {
        self.stream.set_read_timeout(Some(pause)).unwrap();
        let mut said = [0; 1024];
        for byte in bytes {
            if !self.send(&[*byte]) {
                return;
            }
            match self.stream.read(&mut said) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
        panic!("every byte was taken");
    }

    fn read(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("the connection stays open and silent")
            }
            Err(_) => None,
        }
    }
}
