//! Where in the file things are: lines of byte offsets, and lines of TOML paths.

use toml::de::{DeTable, DeValue};

/// Keys longer than this are cut in a path, so that a path stays readable.
const LONGEST_KEY: usize = 64;

/// The lines of a text.
#[derive(Debug)]
pub(super) struct Lines {
    /// Offset of the first byte of each line.
    starts: Vec<usize>,
}

/// The line of everything in a document, as a tree: a flat map of whole paths would grow with the
/// square of the nesting.
#[derive(Debug)]
pub(super) struct Places {
    line: usize,
    /// By the step of a path that leads there: `key`, `"a key"` or `[0]`.
    children: Vec<(String, Self)>,
}

/// A key as a path shows it: quoted unless TOML allows it bare, and of bounded length.
pub(super) fn step(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.len() <= LONGEST_KEY && key.chars().all(bare) {
        return key.to_owned();
    }
    quoted(key)
}

/// Text in quotes, on one line and of bounded length.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_KEY) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}

/// `key` below `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    match path {
        "" => step(key),
        _ => format!("{path}.{}", step(key)),
    }
}

// === impl Lines ===

impl Lines {
    pub(super) fn new(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1));
        Self {
            starts: starts.collect(),
        }
    }

    /// The line of a byte offset; the first is 1.
    pub(super) fn of(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }
}

// === impl Places ===

impl Places {
    pub(super) fn new(document: &DeTable<'_>, lines: &Lines) -> Self {
        Self {
            line: 1,
            children: children_of_table(document, lines),
        }
    }

    /// The line of `path`, or of its nearest parent in the file.
    pub(super) fn line(&self, path: &str) -> usize {
        let path = path.strip_prefix('.').unwrap_or(path);
        self.children
            .iter()
            .find_map(|(step, place)| {
                let rest = path.strip_prefix(step.as_str())?;
                let whole_step = rest.is_empty() || rest.starts_with(['.', '[']);
                whole_step.then(|| place.line(rest))
            })
            .unwrap_or(self.line)
    }
}

fn children_of_table(table: &DeTable<'_>, lines: &Lines) -> Vec<(String, Places)> {
    let children = table.iter().map(|(key, value)| {
        let place = place(value.get_ref(), value.span().start, lines);
        (step(key.get_ref()), place)
    });
    children.collect()
}

fn place(value: &DeValue<'_>, offset: usize, lines: &Lines) -> Places {
    let children = match value {
        DeValue::Table(table) => children_of_table(table, lines),
        DeValue::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, item)| {
                let place = place(item.get_ref(), item.span().start, lines);
                (format!("[{at}]"), place)
            })
            .collect(),
        _ => Vec::new(),
    };
    Places {
        line: lines.of(offset),
        children,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n[b.c]\nd = [\n  2,\n  { e = 3 },\n]\n[[r]]\n[[r]]\n\"x.y\" = 4\n";

    fn line(path: &str) -> usize {
        let document = DeTable::parse(TEXT).unwrap();
        Places::new(document.get_ref(), &Lines::new(TEXT)).line(path)
    }

    #[test]
    fn each_path_has_its_line() {
        assert_eq!(line("a"), 1);
        assert_eq!(line("b.c"), 2);
        assert_eq!(line("b.c.d"), 3);
        assert_eq!(line("b.c.d[0]"), 4);
        assert_eq!(line("b.c.d[1].e"), 5);
        assert_eq!(line("r[0]"), 7);
        assert_eq!(line("r[1]"), 8);
        assert_eq!(line("r[1].\"x.y\""), 9);
    }

    #[test]
    fn what_is_not_there_has_the_line_of_its_nearest_parent() {
        assert_eq!(line("b.c.missing.key"), 2);
        assert_eq!(line("b.c.d[7]"), 3);
        assert_eq!(line("r[1].x"), 8);
        assert_eq!(line("nothing"), 1);
        assert_eq!(line(""), 1);
    }

    #[test]
    fn paths_are_short_and_on_one_line() {
        assert_eq!(join("a", "b-1"), "a.b-1");
        assert_eq!(join("", "a b"), "\"a b\"");
        assert_eq!(join("a", "b\nc"), "a.\"b\\nc\"");
        assert!(join("a", &"ä".repeat(1000)).len() < 150);
    }
}
