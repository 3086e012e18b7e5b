//! What functions change: about the answer, and about the request that goes on.

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName,
    HeaderValue, TRANSFER_ENCODING,
};
use http::{StatusCode, Uri};

/// Headers that describe a body, and go with it when it is replaced.
pub static OF_THE_BODY: [HeaderName; 9] = [
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    TRANSFER_ENCODING,
    ETAG,
    ACCEPT_RANGES,
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

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

    /// Makes the change. A map that is full takes no more.
    pub fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Self::Set(name, value) => drop(headers.try_insert(name.clone(), value.clone())),
            Self::Add(name, value) => drop(headers.try_append(name.clone(), value.clone())),
            Self::Remove(name) => drop(headers.remove(name)),
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

/// The request edits of one function, or of a chain so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestEdits {
    /// Path and query to ask the upstream for, in normal form, if set.
    pub uri: Option<Uri>,
    /// In the order in which they were made.
    pub headers: Vec<HeaderEdit>,
    /// The body, if set.
    pub body: Option<Bytes>,
}

impl Edits {
    /// Adds the edits of a later function, which win.
    pub fn merge(&mut self, later: Self) {
        self.status = later.status.or(self.status);
        merge(
            (&mut self.headers, &mut self.body),
            (later.headers, later.body),
        );
    }

    /// Bytes the host holds for them.
    pub(super) fn held(&self) -> usize {
        header_size(&self.headers) + self.body.as_ref().map_or(0, Bytes::len)
    }
}

impl RequestEdits {
    /// Adds the edits of a later function, which win.
    pub fn merge(&mut self, later: Self) {
        if later.uri.is_some() {
            self.uri = later.uri;
        }
        merge(
            (&mut self.headers, &mut self.body),
            (later.headers, later.body),
        );
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.uri.is_none() && self.headers.is_empty() && self.body.is_none()
    }
}

/// What a later function says of the old body's headers stays only if it keeps the body.
fn merge(
    (headers, body): (&mut Vec<HeaderEdit>, &mut Option<Bytes>),
    (later, replaced): (Vec<HeaderEdit>, Option<Bytes>),
) {
    if replaced.is_some() {
        headers.retain(|edit| !OF_THE_BODY.contains(edit.name()));
        *body = replaced;
    }
    headers.extend(later);
}

/// Records a header edit; one that replaces or removes makes the earlier ones of its name
/// pointless, so they are dropped and cannot pile up.
pub(super) fn record(edits: &mut Vec<HeaderEdit>, edit: HeaderEdit) {
    if !matches!(edit, HeaderEdit::Add(..)) {
        edits.retain(|earlier| earlier.name() != edit.name());
    }
    edits.push(edit);
}

/// What would stay beside `edit` if it were recorded.
pub(super) fn kept_beside(edits: &[HeaderEdit], edit: &HeaderEdit) -> Kept {
    let replaces = !matches!(edit, HeaderEdit::Add(..));
    edits
        .iter()
        .filter(|earlier| !(replaces && earlier.name() == edit.name()))
        .fold(Kept::default(), |kept, earlier| Kept {
            count: kept.count + 1,
            size: kept.size + earlier.size(),
        })
}

/// Bytes of all names and values.
pub(super) fn header_size(edits: &[HeaderEdit]) -> usize {
    edits.iter().map(HeaderEdit::size).sum()
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
    fn what_an_earlier_function_said_of_its_body_goes_with_it() {
        let encoded = |body| Edits {
            headers: vec![
                set("1"),
                HeaderEdit::Set(CONTENT_ENCODING, HeaderValue::from_static("gzip")),
            ],
            body,
            status: None,
        };
        let mut edits = encoded(Some(Bytes::from_static(b"first")));
        edits.merge(Edits {
            body: Some(Bytes::from_static(b"second")),
            ..Edits::default()
        });
        assert_eq!(edits.headers, [set("1")]);
        edits.merge(encoded(None));
        assert_eq!(edits.headers.len(), 3, "the body is kept, and described");
    }

    #[test]
    fn replacing_a_header_again_and_again_keeps_one_edit() {
        let mut edits = Vec::new();
        for _ in 0..1000 {
            record(&mut edits, set("v"));
        }
        record(
            &mut edits,
            HeaderEdit::Remove(HeaderName::from_static("x-a")),
        );
        assert_eq!(edits.len(), 1);
    }
}
