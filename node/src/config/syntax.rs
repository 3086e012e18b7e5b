//! All syntax errors of a file at once, and what is left of the file without them.
//!
//! The parser goes on after an error, but what it then makes of the text it stumbled over is a
//! guess that would be reported as further problems. So each statement (a key with its value, or a
//! section if its header is broken) that has an error is reported once and blanked, and the rest
//! parsed again.

use toml::de::{DeTable, Error};

use super::statement::{Extent, line_start, next_section, next_statement, path_at, statement_at};

/// How many are reported at once: each costs another pass over the file.
const MOST: usize = 20;

/// One statement that is not TOML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) path: String,
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) remedy: String,
}

/// The text with every broken statement blanked, byte offsets unchanged, and the errors. After too
/// many errors nothing is left of the text.
pub(super) fn repair(text: &str) -> (String, Vec<SyntaxError>) {
    let mut rest = text.to_owned();
    let mut found = Vec::new();
    loop {
        let Some((error, extent)) = first_error(&rest) else {
            return (rest, found);
        };
        found.push(error);
        let before = rest.clone();
        blank(&mut rest, extent);
        if rest == before || found.len() == MOST {
            return (String::new(), found);
        }
    }
}

fn first_error(text: &str) -> Option<(SyntaxError, Extent)> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let first = errors.iter().min_by_key(|error| offset(error))?;
    let value = statement_at(text, document.get_ref(), offset(first));
    let Some(value) = value else {
        let extent = match is_header(text, offset(first)) {
            true => next_section(text, offset(first)),
            false => next_statement(text, offset(first)),
        };
        return Some((describe(text, first, offset(first)), extent));
    };
    let of_value = |error: &&Error| (value.start..=value.end).contains(&offset(error));
    let unclosed = errors.iter().filter(of_value).find(|error| leaks(error));
    Some(match unclosed {
        // What an unclosed value swallowed is not its own.
        Some(error) => {
            let extent = next_statement(text, value.start);
            (describe(text, error, value.start), extent)
        }
        None => (describe(text, first, offset(first)), value),
    })
}

fn offset(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// Whether the error lets a value run on over the lines that follow.
fn leaks(error: &Error) -> bool {
    error.message().starts_with("unclosed") || error.message().contains("multi-line")
}

fn is_header(text: &str, offset: usize) -> bool {
    let line = &text[line_start(text, offset)..];
    line.trim_start_matches([' ', '\t']).starts_with('[')
}

fn describe(text: &str, error: &Error, offset: usize) -> SyntaxError {
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, Some(expected)),
        None => (error.message(), None),
    };
    let remedy = match (message, expected) {
        ("duplicate key", _) => "keep only one of them".to_owned(),
        ("string values must be quoted", _) => "write the value in double quotes".to_owned(),
        ("invalid boolean", _) => "write true or false, or text in double quotes".to_owned(),
        (_, Some("nothing") | None) => "correct the TOML syntax".to_owned(),
        (_, Some(expected)) => format!("expected {expected}"),
    };
    SyntaxError {
        path: path_at(text, offset),
        offset,
        message: message.to_owned(),
        remedy,
    }
}

fn blank(text: &mut String, extent: Extent) {
    let blanked: String = text[extent.start..extent.end]
        .bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect();
    text.replace_range(extent.start..extent.end, &blanked);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `PATH@OFFSET MESSAGE` of each error, and the lines that are left.
    fn repaired(text: &str) -> (Vec<String>, Vec<String>) {
        let (rest, errors) = repair(text);
        assert!(rest.is_empty() || rest.len() == text.len());
        let errors = errors.iter().map(|e| {
            let line = text[..e.offset].matches('\n').count() + 1;
            format!("{} ({line}): {}", e.path, e.message)
        });
        let left = rest.lines().filter(|line| !line.trim().is_empty());
        (errors.collect(), left.map(str::to_owned).collect())
    }

    #[test]
    fn sound_text_is_left_alone() {
        let (errors, left) = repaired("a = 1\n[b]\nc = [\n1,\n]\n");
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(left, ["a = 1", "[b]", "c = [", "1,", "]"]);
    }

    #[test]
    fn each_broken_line_is_one_error_and_the_rest_stays() {
        let text = "[server]\nthreads = \ndrain_timeout 8s\na = 1\nb = \"x\nc = 2\n[d]\ne = tru\n";
        let (errors, left) = repaired(text);
        assert_eq!(
            errors,
            [
                "server.threads (2): string values must be quoted",
                "server (3): key with no value",
                "server.b (5): invalid basic string",
                "d.e (8): invalid boolean",
            ]
        );
        assert_eq!(left, ["[server]", "a = 1", "c = 2", "[d]"]);
    }

    #[test]
    fn an_unclosed_array_does_not_swallow_what_follows() {
        let (errors, left) = repaired("a = [1,\n  2\nb = 3\n[c]\nd = 4\n");
        assert_eq!(errors, ["a (1): unclosed array"]);
        assert_eq!(left, ["b = 3", "[c]", "d = 4"]);
    }

    #[test]
    fn an_unclosed_string_does_not_either() {
        let (errors, left) = repaired("a = \"\"\"x\ny\nb = 3\n");
        assert_eq!(errors, ["a (1): invalid multi-line basic string"]);
        assert_eq!(left, ["b = 3"]);
    }

    #[test]
    fn a_broken_header_takes_its_section_along() {
        let text =
            "[a]\nb = 1\n[functions.x\nmodule = 2\n[functions.x.limits]\nfuel = 3\n[c]\nd = 4\n";
        let (errors, left) = repaired(text);
        assert_eq!(errors, ["functions.x (3): unclosed table"]);
        assert_eq!(left, ["[a]", "b = 1", "[c]", "d = 4"]);
    }

    #[test]
    fn duplicates_name_the_second_one() {
        let text = "[[r]]\na = 1\n[[r]]\na = 1\na = [\n 1,\n]\nb = 2\n";
        let (errors, left) = repaired(text);
        assert_eq!(errors, ["r[1].a (5): duplicate key"]);
        assert_eq!(left, ["[[r]]", "a = 1", "[[r]]", "a = 1", "b = 2"]);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let (errors, left) = repaired(&"= \n".repeat(1000));
        assert_eq!(errors.len(), MOST);
        assert!(left.is_empty());
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_stack_overflow() {
        for open in ["[", "{a=", "[[", "a."] {
            for start in ["x = ", ""] {
                let (errors, _) = repaired(&format!("{start}{}", open.repeat(100_000)));
                assert!(!errors.is_empty(), "{start}{open}");
            }
        }
    }
}
