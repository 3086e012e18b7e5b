//! The notation of recorded cases: `EXPECTED | NAME | BYTES`, one a line.
//!
//! EXPECTED are the statuses of the answers, joined by `+`, and `!` where the connection is closed then (`?` where that depends
//! on how the bytes happen to arrive); behind a space the requests that the upstream sees, joined by ` & `, each as method, target and body. BYTES take the place of `{}` in the
//! last line that began with `= `. In all of them `\r`, `\n`, `\t`, `\s` (a space), `\\` and `\xHH` are bytes, `{text*9}` is
//! `text` nine times, and `{{` and `}}` are braces. A line that begins with `#` is a comment.

use std::iter::Peekable;
use std::str::Bytes;

pub(super) struct Case {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) statuses: Vec<u16>,
    pub(super) end: End,
    pub(super) upstream: String,
}

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Closed,
    Either,
}

/// All cases of a file.
pub(super) fn cases(file: &str) -> Vec<Case> {
    let mut around = ("", "");
    let mut cases = Vec::new();
    for line in file.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("= ") {
            Some(template) => around = template.split_once("{}").unwrap(),
            None => cases.push(case(line, around)),
        }
    }
    cases
}

fn case(line: &str, (before, behind): (&str, &str)) -> Case {
    let mut parts = line.splitn(3, " | ");
    let [expected, name, bytes] = std::array::from_fn(|_| parts.next().expect(line));
    let (statuses, upstream) = expected.split_once(' ').unwrap_or((expected, ""));
    let bytes = [decode(before), decode(bytes), decode(behind)].concat();
    Case {
        name: name.to_owned(),
        bytes,
        statuses: statuses
            .trim_end_matches(['!', '?'])
            .split('+')
            .map(|status| status.parse().expect(line))
            .collect(),
        end: match statuses.chars().last() {
            Some('!') => End::Closed,
            Some('?') => End::Either,
            _ => End::Open,
        },
        upstream: String::from_utf8_lossy(&decode(upstream)).into_owned(),
    }
}

fn decode(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes().peekable();
    let decoded = group(&mut bytes);
    assert!(bytes.next().is_none(), "a brace too many: {text}");
    decoded
}

/// Up to a closing brace or the end.
fn group(bytes: &mut Peekable<Bytes<'_>>) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(byte) = bytes.next_if(|byte| *byte != b'}') {
        match byte {
            b'\\' => out.push(escape(bytes)),
            b'{' if bytes.next_if_eq(&b'{').is_some() => {
                out.push(b'{');
                out.extend(group(bytes));
                assert_eq!([bytes.next(), bytes.next()], [Some(b'}'); 2]);
                out.push(b'}');
            }
            b'{' => {
                let inside = group(bytes);
                assert_eq!(bytes.next(), Some(b'}'));
                let star = inside.iter().rposition(|byte| *byte == b'*').unwrap();
                let count = std::str::from_utf8(&inside[star + 1..]).unwrap();
                out.extend(inside[..star].repeat(count.parse().unwrap()));
            }
            byte => out.push(byte),
        }
    }
    out
}

fn escape(bytes: &mut Peekable<Bytes<'_>>) -> u8 {
    match bytes.next() {
        Some(b'r') => b'\r',
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b's') => b' ',
        Some(b'\\') => b'\\',
        Some(b'x') => {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
        }
        other => panic!("no such escape: {other:?}"),
    }
}
