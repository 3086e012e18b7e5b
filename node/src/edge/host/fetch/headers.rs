//! Headers of a request, as the lines in which guests pass them.

use aegis_abi::{Code, MAX_REQUEST_HEADER_SIZE, MAX_REQUEST_HEADERS};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::edge::guest::HostError;
use crate::egress::is_reserved;

/// Reads `Name: value` lines separated by `\n`. A `\r` before it and a separator behind
/// the last line are forgiven; whatever else two parsers could read differently is not.
pub(super) fn parse(bytes: &[u8]) -> Result<HeaderMap, HostError> {
    if bytes.len() > MAX_REQUEST_HEADER_SIZE {
        return Err(HostError::new(
            Code::TooLarge,
            "the headers are longer than 16 KiB",
        ));
    }
    let mut headers = HeaderMap::new();
    let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if matches!(lines, b"" | b"\r") {
        return Ok(headers);
    }
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        if index == MAX_REQUEST_HEADERS {
            return Err(HostError::new(
                Code::LimitReached,
                "there are more than 64 headers",
            ));
        }
        let (name, value) = field(line.strip_suffix(b"\r").unwrap_or(line))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn field(line: &[u8]) -> Result<(HeaderName, HeaderValue), HostError> {
    // Pseudo headers are no tokens, but what they lack is permission.
    if line.starts_with(b":") {
        return Err(RESERVED);
    }
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, rest) = colon
        .and_then(|at| line.split_at_checked(at))
        .ok_or(NO_LINE)?;
    let name = HeaderName::from_bytes(name).map_err(|_| NO_NAME)?;
    if is_reserved(name.as_str()) {
        return Err(RESERVED);
    }
    let value = rest.get(1..).unwrap_or_default().trim_ascii();
    let value = HeaderValue::from_bytes(value).map_err(|_| NO_VALUE)?;
    Ok((name, value))
}

const RESERVED: HostError = HostError::new(Code::NotAllowed, "the host alone sets this header");
const NO_LINE: HostError = HostError::new(
    Code::BadArgument,
    "not a header: write `Name: value` lines separated by line feeds",
);
const NO_NAME: HostError = HostError::new(Code::BadArgument, "not a header name (RFC 9110 token)");
const NO_VALUE: HostError = HostError::new(
    Code::BadArgument,
    "not a header value: control characters are not allowed",
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let headers = parse(text.as_bytes()).expect(text);
        let fields = headers.iter().map(|(name, value)| {
            let value = value.to_str().expect("text");
            (name.to_string(), value.to_owned())
        });
        fields.collect()
    }

    fn refused(text: &str) -> Code {
        parse(text.as_bytes()).expect_err(text).code
    }

    #[test]
    fn lines_are_fields_in_any_of_the_usual_forms() {
        let wanted = [("accept", "text/plain"), ("x-a", "b:c")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        for text in [
            "Accept: text/plain\nX-A: b:c",
            "Accept: text/plain\nX-A: b:c\n",
            "Accept: text/plain\r\nX-A: b:c\r\n",
            "accept:text/plain\nx-a:\t b:c \t",
        ] {
            assert_eq!(read(text), wanted, "{text:?}");
        }
        for empty in ["", "\n", "\r\n"] {
            assert!(read(empty).is_empty());
        }
        assert_eq!(read("X-Empty:")[0].1, "");
        assert_eq!(read("Authorization: Bearer x")[0].0, "authorization");
        assert_eq!(read("Cookie: a=b\nCookie: c=d").len(), 2);
    }

    #[test]
    fn what_is_no_header_is_a_bad_argument() {
        for text in [
            "no colon",
            "X-A : space before the colon",
            " X-A: begins with a space",
            "X-A: folded\n  line",
            "X-A: b\n\nX-B: after an empty line",
            "X-A: b\n\n",
            "X-A: carriage\rreturn",
            "X-A: nul\0",
            "X\0A: nul",
            "X-Ä: no token",
            "X-A: delete\u{7f}",
            "GET / HTTP/1.1",
        ] {
            assert_eq!(refused(text), Code::BadArgument, "{text:?}");
        }
    }

    #[test]
    fn headers_of_the_node_are_not_allowed() {
        for name in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "Proxy-Authorization",
            "TE",
            "Trailer",
            "Upgrade",
            "Date",
            "Forwarded",
            "X-Forwarded-For",
            "X-Real-IP",
            "Via",
            "CDN-Loop",
            "X-Aegis-Anything",
            "Expect",
            "HTTP2-Settings",
            ":authority",
            "",
        ] {
            assert_eq!(refused(&format!("{name}: x")), Code::NotAllowed, "{name}");
        }
    }

    #[test]
    fn number_and_size_are_bounded() {
        let many = |count: usize| "x-a: b\n".repeat(count);
        assert_eq!(read(&many(MAX_REQUEST_HEADERS)).len(), MAX_REQUEST_HEADERS);
        assert_eq!(refused(&many(MAX_REQUEST_HEADERS + 1)), Code::LimitReached);
        let long = |size: usize| format!("x-a:{}", "v".repeat(size - 4));
        assert_eq!(read(&long(MAX_REQUEST_HEADER_SIZE)).len(), 1);
        assert_eq!(refused(&long(MAX_REQUEST_HEADER_SIZE + 1)), Code::TooLarge);
    }

    proptest! {
        #[test]
        fn nothing_that_is_taken_can_break_out_of_its_line(bytes: Vec<u8>) {
            for (name, value) in &parse(&bytes).unwrap_or_default() {
                prop_assert!(!is_reserved(name.as_str()));
                let control = |byte: &u8| matches!(*byte, b'\r' | b'\n' | 0);
                prop_assert!(!value.as_bytes().iter().any(control));
            }
        }
    }
}
