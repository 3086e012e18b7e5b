//! Where statements begin and end in a text that may be broken. None of this decides what a file
//! means, only how much of it one syntax error spoils.

use std::collections::HashMap;

use toml::de::{DeTable, DeValue};

use super::places::join;

/// Bytes of whole lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The key and value that `offset` lies in, if the parser could tell.
pub(super) fn statement_at(text: &str, table: &DeTable<'_>, offset: usize) -> Option<Extent> {
    table.iter().find_map(|(key, value)| match value.get_ref() {
        DeValue::Table(inner) if is_section(text, key.span().start, value.span().start) => {
            statement_at(text, inner, offset)
        }
        DeValue::Array(items) if is_array_of_tables(items, value.span().start) => {
            let tables = items.iter().filter_map(|item| item.get_ref().as_table());
            let mut found = tables.map(|inner| statement_at(text, inner, offset));
            found.find_map(|found| found)
        }
        _ => {
            let span = value.span();
            let extent = Extent {
                start: line_start(text, span.start),
                end: line_end(text, span.end),
            };
            let covers = extent.start <= offset && offset <= span.end;
            covers.then_some(extent)
        }
    })
}

/// From the line of `offset` to the next line that looks like a statement.
pub(super) fn next_statement(text: &str, offset: usize) -> Extent {
    until(text, offset, |line| {
        header(line).is_some() || assigned_key(line).is_some()
    })
}

/// From the line of `offset`, a header, to the next header of something else.
pub(super) fn next_section(text: &str, offset: usize) -> Extent {
    let line = &text[line_start(text, offset)..line_end(text, offset)];
    let own = header(line).map_or("", |header| header.name);
    until(text, offset, |line| {
        header(line).is_some_and(|other| {
            let below = other.name.strip_prefix(own);
            own.is_empty() || !below.is_some_and(|rest| rest.starts_with('.'))
        })
    })
}

/// The TOML path of what stands at `offset`.
pub(super) fn path_at(text: &str, offset: usize) -> String {
    let start = line_start(text, offset);
    let mut section = String::new();
    let mut counts = HashMap::new();
    for header in text[..start].lines().filter_map(header) {
        section = header.path(&mut counts);
    }
    let line = &text[start..line_end(text, offset)];
    let path = match (header(line), assigned_key(line)) {
        (Some(header), _) => keys_below("", header.name),
        (None, Some(dotted)) => keys_below(&section, dotted),
        (None, None) => section,
    };
    if path.is_empty() {
        "file".to_owned()
    } else {
        path
    }
}

/// A section's keys come below it; dotted keys make tables without a place of their own.
fn is_section(text: &str, key: usize, value: usize) -> bool {
    key == value || text.as_bytes().get(value) == Some(&b'[')
}

fn is_array_of_tables(items: &[toml::Spanned<DeValue<'_>>], start: usize) -> bool {
    items.first().is_some_and(|item| item.span().start == start)
}

fn until(text: &str, offset: usize, stop: impl Fn(&str) -> bool) -> Extent {
    let start = line_start(text, offset);
    let mut end = line_end(text, offset);
    while end < text.len() {
        let next = line_end(text, end + 1);
        if stop(&text[end + 1..next]) {
            break;
        }
        end = next;
    }
    Extent { start, end }
}

/// The offset of the first byte of the line.
pub(super) fn line_start(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let newline = before.iter().rposition(|byte| *byte == b'\n');
    newline.map_or(0, |at| at + 1)
}

/// The offset of the newline that ends the line, or the end of the text.
fn line_end(text: &str, offset: usize) -> usize {
    let offset = offset.min(text.len());
    let after = &text.as_bytes()[offset..];
    let newline = after.iter().position(|byte| *byte == b'\n');
    newline.map_or(text.len(), |at| offset + at)
}

/// A line that opens a section, or tries to.
struct Header<'a> {
    name: &'a str,
    of_array: bool,
}

fn header(line: &str) -> Option<Header<'_>> {
    let rest = line.trim_start().strip_prefix('[')?;
    let of_array = rest.starts_with('[');
    let rest = rest.strip_prefix('[').unwrap_or(rest);
    let end = rest.find([']', '#']).unwrap_or(rest.len());
    let name = rest[..end].trim();
    // Not the line of an array of arrays.
    let is_key = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '"');
    (is_key && !line.contains(',')).then_some(Header { name, of_array })
}

fn assigned_key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let in_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '"');
    (!key.is_empty() && key.chars().all(in_key)).then_some(key)
}

// === impl Header ===

impl Header<'_> {
    /// The path of the section, where `counts` has how often each array was seen before.
    fn path(&self, counts: &mut HashMap<String, usize>) -> String {
        if self.of_array {
            let count = counts.entry(self.name.to_owned()).or_default();
            *count += 1;
            return format!("{}[{}]", keys_below("", self.name), *count - 1);
        }
        match self.name.split_once('.') {
            Some((first, rest)) if counts.contains_key(first) => {
                let array = format!("{}[{}]", keys_below("", first), counts[first] - 1);
                keys_below(&array, rest)
            }
            _ => keys_below("", self.name),
        }
    }
}

/// A dotted key below `path`, in the form of a path.
fn keys_below(path: &str, dotted: &str) -> String {
    let keys = dotted.split('.').map(|key| key.trim_matches('"'));
    keys.fold(path.to_owned(), |path, key| join(&path, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_headers_and_keys() {
        let text = "a = 1\n[b.c]\nd = 2\n[[r]]\n[[r]]\ne = 3\n[r.s]\nf = 4\n";
        let path = |line: &str| path_at(text, text.find(line).unwrap());
        assert_eq!(path("a = 1"), "a");
        assert_eq!(path("[b.c]"), "b.c");
        assert_eq!(path("d = 2"), "b.c.d");
        assert_eq!(path("e = 3"), "r[1].e");
        assert_eq!(path("f = 4"), "r[1].s.f");
        assert_eq!(path_at("??", 1), "file");
    }

    #[test]
    fn lines_of_nested_arrays_are_no_headers() {
        assert!(header("[1, 2],").is_none());
        assert!(header("  [\"a\", \"b\"]").is_none());
        assert!(header("[server] # comment").is_some_and(|h| h.name == "server"));
        assert!(header("[[routes]").is_some_and(|h| h.name == "routes" && h.of_array));
    }

    #[test]
    fn extents_are_whole_lines() {
        let text = "ab\ncd\n\nef";
        assert_eq!((line_start(text, 4), line_end(text, 4)), (3, 5));
        assert_eq!((line_start(text, 8), line_end(text, 8)), (7, 9));
        assert_eq!((line_start(text, 99), line_end(text, 99)), (7, 9));
    }
}
