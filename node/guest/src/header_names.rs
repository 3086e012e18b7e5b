//! Reads the JSON array in which the node lists header names.
//!
//! Header names are tokens, which JSON never has to escape, so there is no need of a JSON parser.

use aegis_abi::Code;

use crate::Error;

/// The names in `["a","b"]`; anything else is [`Code::Unavailable`]: the node answered nonsense.
pub(crate) fn parse(json: &str) -> Result<Vec<String>, Error> {
    names(json).ok_or_else(|| Error::new(Code::Unavailable, "not an array of header names"))
}

fn names(json: &str) -> Option<Vec<String>> {
    let list = json.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    if list.is_empty() {
        return Some(Vec::new());
    }
    list.split(',').map(name).collect()
}

fn name(element: &str) -> Option<String> {
    let name = element.trim().strip_prefix('"')?.strip_suffix('"')?;
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    (!name.is_empty() && name.bytes().all(plain)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn arrays_of_names_are_read() {
        assert_eq!(names("[]"), Some(vec![]));
        assert_eq!(names(" [ ] "), Some(vec![]));
        assert_eq!(names(r#"["accept"]"#), Some(vec!["accept".into()]));
        assert_eq!(
            names(r#"["accept", "x-a'b!" ]"#),
            Some(vec!["accept".into(), "x-a'b!".into()])
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for json in [
            "",
            "[",
            "]",
            "null",
            "{}",
            "[1]",
            r#"[""]"#,
            r#"["a]"#,
            r#"["a",]"#,
            r#"[,"a"]"#,
            r#"["a"]]"#,
            r#"["a""b"]"#,
            r#"["a\u0020b"]"#,
            r#"["a b"]"#,
            r#"["ä"]"#,
            r#"["]"#,
        ] {
            assert_eq!(names(json), None, "{json}");
        }
    }
}
