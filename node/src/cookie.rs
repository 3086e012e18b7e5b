//! What a request's cookies say (RFC 6265, section 5.4).

/// The values of all cookies of this name, of all `Cookie` lines in their order. The case of names
/// counts.
pub(crate) fn values<'h>(
    lines: impl IntoIterator<Item = &'h [u8]>,
    name: &str,
) -> impl Iterator<Item = &'h [u8]> {
    let lines = lines.into_iter();
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (own, value) = pair.split_at(at);
        (own == name.as_bytes()).then(|| &value[1..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_are_looked_at_and_names_are_exact() {
        let lines = [
            &b"a=1; sid=x=y;sid=;\tb"[..],
            b"SID=2; xsid=3; ;=; sid=\xff",
        ];
        let of = |name| Vec::from_iter(values(lines, name));
        assert_eq!(of("sid"), [&b"x=y"[..], b"", b"\xff"]);
        assert_eq!(of("SID"), [b"2"]);
        assert!(of("b").is_empty() && of("s").is_empty());
    }
}
