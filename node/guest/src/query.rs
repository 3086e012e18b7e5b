//! Reads the query of a URI: `name=value` pairs joined by `&`, percent-encoded, `+` for a space.

/// The path of a URI, without the query.
pub(crate) fn path(uri: &str) -> &str {
    uri.split_once('?').map_or(uri, |(path, _)| path)
}

/// The query of a URI, without the question mark.
pub(crate) fn query(uri: &str) -> Option<&str> {
    uri.split_once('?').map(|(_, query)| query)
}

/// The decoded value of the first pair with this name; a pair without `=` has the value "".
pub(crate) fn value(query: &str, name: &str) -> Option<String> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| decode(key) == name)
        .map(|(_, value)| decode(value))
}

/// As the URL standard has it: a percent sign that begins no escape stays, what is not UTF-8 is
/// replaced.
fn decode(encoded: &str) -> String {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((byte, after)) = first(rest) {
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The first decoded byte, and what follows it.
fn first(encoded: &[u8]) -> Option<(u8, &[u8])> {
    if let [b'%', high, low, rest @ ..] = encoded
        && let (Some(high), Some(low)) = (digit(*high), digit(*low))
    {
        return Some((high << 4 | low, rest));
    }
    let (byte, rest) = encoded.split_first()?;
    Some((if *byte == b'+' { b' ' } else { *byte }, rest))
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::{path, query, value};

    #[test]
    fn a_uri_is_cut_at_its_first_question_mark() {
        assert_eq!((path("/a"), query("/a")), ("/a", None));
        assert_eq!((path("/a?"), query("/a?")), ("/a", Some("")));
        assert_eq!((path("/a?b?c"), query("/a?b?c")), ("/a", Some("b?c")));
    }

    #[test]
    fn the_first_value_of_a_name_is_found_and_decoded() {
        let found = |query, name| value(query, name).unwrap_or("none".into());
        assert_eq!(found("a=1&b=2&a=3", "a"), "1");
        assert_eq!(found("a=1&b=2", "b"), "2");
        assert_eq!(found("a=x=y", "a"), "x=y");
        assert_eq!(found("a", "a"), "");
        assert_eq!(found("na%6De=Ada+L%C3%B6we", "name"), "Ada Löwe");
        assert_eq!(found("ab=1", "a"), "none");
        assert_eq!(found("", "a"), "none");
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        let found = |query| value(query, "a").unwrap_or_default();
        assert_eq!(found("a=100%"), "100%");
        assert_eq!(found("a=%4"), "%4");
        assert_eq!(found("a=%zz"), "%zz");
        assert_eq!(found("a=%+1"), "% 1");
        assert_eq!(found("a=%FF"), "\u{FFFD}");
    }
}
