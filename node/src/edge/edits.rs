//! What functions change about the answer.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

/// One change of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Replaces every value of the name.
    Set(HeaderName, HeaderValue),
    /// Adds a value.
    Add(HeaderName, HeaderValue),
    /// Removes every value of the name.
    Remove(HeaderName),
}

impl HeaderEdit {
    /// The header it is about.
    pub fn name(&self) -> &HeaderName {
        match self {
            Self::Set(name, _) | Self::Add(name, _) | Self::Remove(name) => name,
        }
    }

    /// Bytes of name and value.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Set(name, value) | Self::Add(name, value) => name.as_str().len() + value.len(),
            Self::Remove(name) => name.as_str().len(),
        }
    }
}

/// How many header edits there are and how many bytes they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) count: usize,
    pub(super) size: usize,
}

/// The response edits of one function, or of a chain so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The status, if set.
    pub status: Option<StatusCode>,
    /// In the order in which they were made.
    pub headers: Vec<HeaderEdit>,
    /// The body, if set.
    pub body: Option<Bytes>,
}

impl Edits {
    /// Adds the edits of a later function, which win.
    pub fn merge(&mut self, later: Self) {
        self.status = later.status.or(self.status);
        self.headers.extend(later.headers);
        if later.body.is_some() {
            self.body = later.body;
        }
    }

    /// Records a header edit; one that replaces or removes makes the earlier ones of
    /// its name pointless, so they are dropped and cannot pile up.
    pub(super) fn record(&mut self, edit: HeaderEdit) {
        if !matches!(edit, HeaderEdit::Add(..)) {
            self.headers.retain(|earlier| earlier.name() != edit.name());
        }
        self.headers.push(edit);
    }

    /// What would stay beside `edit` if it were recorded.
    pub(super) fn kept_beside(&self, edit: &HeaderEdit) -> Kept {
        let replaces = !matches!(edit, HeaderEdit::Add(..));
        self.headers
            .iter()
            .filter(|earlier| !(replaces && earlier.name() == edit.name()))
            .fold(Kept::default(), |kept, earlier| Kept {
                count: kept.count + 1,
                size: kept.size + earlier.size(),
            })
    }

    /// Bytes of all names and values.
    fn header_size(&self) -> usize {
        self.headers.iter().map(HeaderEdit::size).sum()
    }

    /// Bytes the host holds for them.
    pub(super) fn held(&self) -> usize {
        self.header_size() + self.body.as_ref().map_or(0, Bytes::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(value: &'static str) -> HeaderEdit {
        HeaderEdit::Set(
            HeaderName::from_static("x-a"),
            HeaderValue::from_static(value),
        )
    }

    #[test]
    fn the_last_writer_wins() {
        let mut first = Edits {
            status: Some(StatusCode::OK),
            headers: vec![set("1")],
            body: Some(Bytes::from_static(b"first")),
        };
        first.merge(Edits {
            status: Some(StatusCode::NOT_FOUND),
            headers: vec![set("2")],
            body: None,
        });
        assert_eq!(first.status, Some(StatusCode::NOT_FOUND));
        assert_eq!(first.headers, [set("1"), set("2")]);
        assert_eq!(first.body.as_deref(), Some(b"first".as_slice()));
    }

    #[test]
    fn replacing_a_header_again_and_again_keeps_one_edit() {
        let mut edits = Edits::default();
        for _ in 0..1000 {
            edits.record(set("v"));
        }
        edits.record(HeaderEdit::Remove(HeaderName::from_static("x-a")));
        assert_eq!(edits.headers.len(), 1);
    }
}
