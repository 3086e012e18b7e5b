//! An origin that keeps every byte it gets, reads it by the letter of RFC 9112, and says what it could not read so.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Clone)]
pub(crate) struct RawOrigin {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    /// `METHOD target body`, of requests that came to their end.
    requests: Vec<String>,
    /// What no strict recipient takes.
    ambiguous: Vec<String>,
    bytes: Vec<u8>,
}

/// A request, or why the bytes are none.
enum Parsed {
    Whole { summary: String, length: usize },
    Partial,
    Ambiguous(String),
}

// === impl RawOrigin ===

impl RawOrigin {
    /// Answers every request with 200.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = Self {
            address: listener.local_addr().unwrap(),
            log: Arc::default(),
        };
        let log = Arc::clone(&origin.log);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let log = Arc::clone(&log);
                thread::spawn(move || serve(stream, &log));
            }
        });
        origin
    }

    /// The requests since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap().requests)
    }

    /// What could be read in more than one way.
    pub(crate) fn ambiguous(&self) -> Vec<String> {
        self.log.lock().unwrap().ambiguous.clone()
    }

    /// Everything that ever came.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap().bytes).into_owned()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Log>) {
    let (mut pending, mut piece) = (Vec::new(), [0; 65_536]);
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        pending.extend_from_slice(&piece[..length]);
        log.lock()
            .unwrap()
            .bytes
            .extend_from_slice(&piece[..length]);
        loop {
            match parse(&pending) {
                Parsed::Partial => break,
                Parsed::Ambiguous(why) => {
                    let shown = format!("{why}: {}", pending.escape_ascii());
                    log.lock().unwrap().ambiguous.push(shown);
                    return;
                }
                Parsed::Whole { summary, length } => {
                    pending.drain(..length);
                    log.lock().unwrap().requests.push(summary);
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Parsed {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return Parsed::Partial;
    };
    let head = &bytes[..end];
    match framing(head) {
        Err(why) => Parsed::Ambiguous(why),
        Ok((line, body)) => {
            let rest = &bytes[end + 4..];
            let (body, length) = match body {
                Some(length) if rest.len() < length => return Parsed::Partial,
                Some(length) => (rest[..length].to_vec(), length),
                None => match chunks(rest) {
                    Ok(Some(chunks)) => chunks,
                    Ok(None) => return Parsed::Partial,
                    Err(why) => return Parsed::Ambiguous(why),
                },
            };
            let body = String::from_utf8_lossy(&body).into_owned();
            let summary = [line, body].join(" ").trim_end_matches(' ').to_owned();
            let length = end + 4 + length;
            Parsed::Whole { summary, length }
        }
    }
}

/// `METHOD target`, and the body's length or that it comes in chunks.
fn framing(head: &[u8]) -> Result<(String, Option<usize>), String> {
    if head
        .iter()
        .any(|&byte| (byte < b' ' && !b"\r\n\t".contains(&byte)) || byte == 0x7f)
    {
        return Err("a control byte".into());
    }
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let &[method, target, "HTTP/1.1"] = &words[..] else {
        return Err("no request line".into());
    };
    let is_plain = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic());
    if !is_plain(method) || !is_plain(target) || !target.starts_with('/') || target.contains('#') {
        return Err("no method and target".into());
    }
    let (mut hosts, mut lengths, mut codings) = (0, Vec::new(), Vec::new());
    for line in lines {
        if line.contains(['\r', '\n']) || line.starts_with([' ', '\t']) {
            return Err("a folded or broken line".into());
        }
        let (name, value) = line.split_once(':').ok_or("no colon")?;
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(format!("a name {name:?}"));
        }
        // Many servers take an underscore for a hyphen.
        match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "host" => hosts += 1,
            "content-length" => lengths.push(value.trim().to_owned()),
            "transfer-encoding" => codings.push(value.trim().to_owned()),
            "upgrade"
            | "http2-settings"
            | "te"
            | "trailer"
            | "proxy-connection"
            | "proxy-authorization" => {
                return Err(format!("{name} is of another connection"));
            }
            _ => {}
        }
    }
    if hosts != 1 {
        return Err(format!("{hosts} hosts"));
    }
    let body = match (&lengths[..], &codings[..]) {
        ([], []) => Some(0),
        ([length], []) => Some(length.parse().map_err(|_| format!("length {length:?}"))?),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => None,
        _ => return Err(format!("framed by {lengths:?} and {codings:?}")),
    };
    Ok((format!("{method} {target}"), body))
}

/// A body in chunks, and how long it is with them; `None` when it is not all there.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&bytes[at..at + end]);
        let is_size = !line.is_empty() && line.bytes().all(|b| b.is_ascii_hexdigit());
        let size = usize::from_str_radix(&line, 16).ok().filter(|_| is_size);
        let size = size.ok_or_else(|| format!("a chunk of size {line:?}"))?;
        at += end + 2;
        if bytes.len() < at + size + 2 {
            return Ok(None);
        }
        if &bytes[at + size..at + size + 2] != b"\r\n" {
            return Err("no line break behind a chunk".into());
        }
        body.extend_from_slice(&bytes[at..at + size]);
        at += size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
