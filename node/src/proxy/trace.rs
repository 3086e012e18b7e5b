//! Traces (W3C Trace Context): the client's is passed on; a request without one begins one.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::request_id::write_digits;

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Where the parts of `VERSION-TRACE-PARENT-FLAGS` end.
const VERSION: usize = 2;
const TRACE: usize = 35;
const PARENT: usize = 52;
const LENGTH: usize = 55;

/// The id of a trace, if this is a `traceparent` by which it can be followed.
pub(super) fn trace_id(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let known = text.get(..LENGTH)?;
    let (version, more) = (known.get(..VERSION)?, text.get(LENGTH..)?);
    let may_be_longer = version != "00" && more.starts_with('-');
    let (trace, parent) = (
        known.get(VERSION + 1..TRACE)?,
        known.get(TRACE + 1..PARENT)?,
    );
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let is_shaped = known.bytes().enumerate().all(|(at, byte)| match at {
        VERSION | TRACE | PARENT => byte == b'-',
        _ => is_hex(byte),
    });
    let names = |id: &str| id.bytes().any(|byte| byte != b'0');
    let is_valid = is_shaped
        && version != "ff"
        && (more.is_empty() || may_be_longer)
        && names(trace)
        && names(parent);
    is_valid.then_some(trace)
}

/// The trace that a client's request is part of. What cannot be followed is removed, as the
/// specification has it, and the state of a trace with it.
pub(super) fn keep(headers: &HeaderMap) -> Option<Box<str>> {
    let mut values = headers.get_all(TRACEPARENT).into_iter();
    let (only, more) = (values.next()?, values.next());
    more.is_none().then(|| trace_id(only))?.map(Box::from)
}

/// A new trace. It is marked as recorded: an upstream that follows its parent's choice would
/// otherwise record nothing that comes through the node.
pub(super) fn begin(bits: u128) -> [u8; LENGTH] {
    let trace = bits.max(1);
    let parent = ((bits >> 64) as u64 ^ bits as u64).max(1);
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
    write_digits(&trace.to_be_bytes(), &mut text[VERSION + 1..TRACE]);
    write_digits(&parent.to_be_bytes(), &mut text[TRACE + 1..PARENT]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn id(text: &str) -> Option<String> {
        let value = HeaderValue::from_str(text).expect("a value");
        trace_id(&value).map(str::to_owned)
    }

    #[test]
    fn a_trace_that_can_be_followed_is_named() {
        let expected = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
        let later = GOOD.replacen("00", "cc", 1);
        for good in [GOOD, &later, &format!("{later}-more")] {
            assert_eq!(id(good), expected, "{good}");
        }
    }

    #[test]
    fn other_text_names_none() {
        let zeros = |length| "0".repeat(length);
        for bad in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &format!("{GOOD}1"),
            &format!("{}x", GOOD.replacen("00", "01", 1)),
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replace('-', "_"),
            &GOOD.replace("b7ad6b7169203331", &zeros(16)),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &zeros(32)),
            &GOOD.replace("b7ad", "g7ad"),
        ] {
            assert_eq!(id(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_new_trace_can_be_followed() {
        for bits in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            let value = HeaderValue::from_bytes(&begin(bits)).expect("a value");
            assert!(trace_id(&value).is_some(), "{bits:x}");
        }
        let value = begin(0x0123_4567_89ab_cdef_0000_0000_0000_00ff);
        let expected = "00-0123456789abcdef00000000000000ff-0123456789abcd10-01";
        assert_eq!(value, *expected.as_bytes());
    }
}
