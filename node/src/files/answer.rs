//! What is asked of a file, and what is answered.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, LAST_MODIFIED, LOCATION, RANGE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::entity::Entity;
use super::preconditions::{Preconditions, Validators, Verdict};
use super::range::{Part, part};
use super::settings::Settings;
use crate::coding::Accepted;

/// Bytes that are read at once.
const PIECE: u64 = 64 * 1024;

/// What of a request says which file is meant, and what of it is wanted.
#[derive(Clone, Debug)]
pub struct Asked {
    /// In normal form.
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) accepted: Accepted,
    preconditions: Preconditions,
    range: Option<HeaderValue>,
    wants_body: bool,
}

/// An answer to a GET or HEAD, but for the fields that frame it.
#[derive(Debug)]
pub struct Answer {
    /// Of the answer.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Length of the body, or of that which a GET would get; `None` where there is none.
    pub length: Option<u64>,
    /// The body, if there is one to send.
    pub content: Option<Content>,
}

/// Bytes of a file that are still to be sent.
#[derive(Debug)]
pub struct Content {
    file: File,
    at: u64,
    left: u64,
    /// Read, and not sent yet.
    piece: Bytes,
}

impl Asked {
    /// By a GET or HEAD with these fields.
    pub fn new(method: &Method, (path, query): (&str, Option<&str>), headers: &HeaderMap) -> Self {
        let wants_body = *method != Method::HEAD;
        Self {
            path: path.to_owned(),
            query: query.map(str::to_owned),
            accepted: Accepted::of(headers),
            preconditions: Preconditions::of(headers),
            // RFC 9110, section 14.2: of GET only.
            range: headers.get(RANGE).filter(|_| wants_body).cloned(),
            wants_body,
        }
    }
}

impl Answer {
    /// From a folder to the same with a slash at its end.
    pub(super) fn redirect(asked: &Asked) -> Self {
        let to = match &asked.query {
            Some(query) => format!("{}/?{query}", asked.path),
            None => format!("{}/", asked.path),
        };
        let to = HeaderValue::try_from(to).ok();
        Self {
            status: StatusCode::MOVED_PERMANENTLY,
            headers: to.map(|to| (LOCATION, to)).into_iter().collect(),
            length: Some(0),
            content: None,
        }
    }

    /// What is answered from this file, the first piece of it read.
    pub(super) fn of(entity: Entity, asked: &Asked, settings: &Settings) -> io::Result<Self> {
        let (tag, modified) = (entity.tag(), entity.modified());
        let file = Validators {
            tag: &tag,
            modified,
        };
        let mut headers = validators(&file);
        if !settings.precompressed.is_empty() {
            headers.insert(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
        }
        headers.extend(settings.cache_control.clone().map(|v| (CACHE_CONTROL, v)));
        match asked.preconditions.verdict(&file) {
            Verdict::NotModified => {
                return Ok(Self::empty(StatusCode::NOT_MODIFIED, headers, None));
            }
            Verdict::Failed => {
                return Ok(Self::empty(
                    StatusCode::PRECONDITION_FAILED,
                    HeaderMap::new(),
                    Some(0),
                ));
            }
            Verdict::Proceed => {}
        }
        let range = asked.range.as_ref();
        let range = range.filter(|_| asked.preconditions.wants_part(&file));
        let part = range.map_or(Part::Whole, |range| part(range, entity.size));
        let (status, at, length) = match part {
            Part::Whole => (StatusCode::OK, 0, entity.size),
            Part::Bytes(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
            Part::Unsatisfiable => return Ok(Self::out_of_range(entity.size)),
        };
        describe(&mut headers, &entity);
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {at}-{}/{}", at + length - 1, entity.size);
            insert(&mut headers, CONTENT_RANGE, range);
        }
        Ok(Self {
            status,
            headers,
            length: Some(length),
            content: match asked.wants_body && length > 0 {
                true => Some(Content::begin(entity.file, at, length)?),
                false => None,
            },
        })
    }

    fn out_of_range(size: u64) -> Self {
        let mut headers = HeaderMap::new();
        insert(&mut headers, CONTENT_RANGE, format!("bytes */{size}"));
        Self::empty(StatusCode::RANGE_NOT_SATISFIABLE, headers, Some(0))
    }

    fn empty(status: StatusCode, headers: HeaderMap, length: Option<u64>) -> Self {
        Self {
            status,
            headers,
            length,
            content: None,
        }
    }
}

/// What a 304 has of these too.
fn validators(file: &Validators<'_>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(10);
    headers.extend(file.tag.value().map(|tag| (ETAG, tag)));
    if let Some(modified) = file.modified {
        let date = httpdate::fmt_http_date(modified);
        insert(&mut headers, LAST_MODIFIED, date);
    }
    headers
}

fn describe(headers: &mut HeaderMap, entity: &Entity) {
    headers.insert(CONTENT_TYPE, entity.media_type());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(coding) = entity.coding {
        headers.insert(CONTENT_ENCODING, coding.value());
    }
}

/// Text of the node's own making is always a field value.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
}

impl Content {
    fn begin(file: File, at: u64, length: u64) -> io::Result<Self> {
        let mut content = Self {
            file,
            at,
            left: length,
            piece: Bytes::new(),
        };
        content.read()?;
        Ok(content)
    }

    /// What was read last.
    pub fn take_piece(&mut self) -> Bytes {
        std::mem::take(&mut self.piece)
    }

    /// Whether nothing is left to be read.
    pub fn is_at_end(&self) -> bool {
        self.left == 0
    }

    /// Reads the next bytes; what a file has grown since is not among them.
    ///
    /// # Errors
    /// That of the system, or when the file has become shorter.
    pub fn read(&mut self) -> io::Result<()> {
        let length = self.left.min(PIECE);
        let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file
            .read_exact_at(&mut piece, self.at)
            .map_err(|error| match error.kind() == ErrorKind::UnexpectedEof {
                true => io::Error::new(error.kind(), "the file has become shorter"),
                false => error,
            })?;
        self.at += length;
        self.left -= length;
        self.piece = piece.into();
        Ok(())
    }
}
