//! HTTP/1.1 framing both ends of the tests share: a head up to its empty line, a body by length, chunks or close.

use std::io::{BufRead, Read};

/// Header fields in the order received, duplicates kept.
pub(crate) type Headers = Vec<(String, String)>;

/// A message body, and whether it came to the end its framing announced.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) complete: bool,
}

/// Reads a head including its empty line; `None` when the peer closed or failed before.
pub(crate) fn read_head(source: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if source.read_until(b'\n', &mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// The first line and the fields of a head.
pub(crate) fn split_head(head: &[u8]) -> (String, Headers) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.trim_end().split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let fields = lines.filter_map(|line| line.split_once(':'));
    (
        first,
        fields
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect(),
    )
}

/// The value of the first field called `name`.
pub(crate) fn field<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    fields(headers, name).next()
}

/// The values of every field called `name`.
pub(crate) fn fields<'a>(headers: &'a Headers, name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .iter()
        .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// Reads the body `headers` announce; without framing, `unframed` says whether it lasts until the peer closes.
pub(crate) fn read_body(source: &mut impl BufRead, headers: &Headers, unframed: Unframed) -> Body {
    let chunked = field(headers, "transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    if chunked {
        return read_chunks(source);
    }
    match (
        field(headers, "content-length").map(|value| value.parse().unwrap()),
        unframed,
    ) {
        (Some(length), _) => read_exactly(source, length),
        (None, Unframed::Empty) => Body {
            bytes: Vec::new(),
            complete: true,
        },
        (None, Unframed::UntilClose) => {
            let mut bytes = Vec::new();
            let complete = source.read_to_end(&mut bytes).is_ok();
            Body { bytes, complete }
        }
    }
}

/// What a message with neither length nor chunks carries.
#[derive(Clone, Copy)]
pub(crate) enum Unframed {
    Empty,
    UntilClose,
}

fn read_exactly(source: &mut impl BufRead, length: u64) -> Body {
    let mut bytes = Vec::new();
    let complete = source
        .take(length)
        .read_to_end(&mut bytes)
        .is_ok_and(|n| n as u64 == length);
    Body { bytes, complete }
}

fn read_chunks(source: &mut impl BufRead) -> Body {
    let mut bytes = Vec::new();
    loop {
        let mut line = String::new();
        if source.read_line(&mut line).unwrap_or(0) == 0 {
            return Body {
                bytes,
                complete: false,
            };
        }
        let size = u64::from_str_radix(line.trim_end(), 16).unwrap();
        let chunk = read_exactly(source, size);
        bytes.extend(chunk.bytes);
        let mut end = String::new();
        if !chunk.complete || source.read_line(&mut end).unwrap_or(0) == 0 {
            return Body {
                bytes,
                complete: false,
            };
        }
        if size == 0 {
            return Body {
                bytes,
                complete: true,
            };
        }
    }
}

/// `body` as chunks of at most `size` bytes.
pub(crate) fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(size) {
        out.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}
