//! Follows the bytes of a client through the frames of HTTP/1: headers, bodies, chunks. What the
//! grammar of RFC 9112 does not have, or has in two readings, is held back from the parser, which
//! would repair some of it.

mod chunk;
mod header;

use self::header::{Body, Header};

/// Room for extensions in all chunk-size lines of one body; none is of any use.
const EXTENSIONS: usize = 16 << 10;

/// Header fields of one request, and as many trailer fields: the parser takes no more.
const FIELDS: usize = 256;

/// The longest header that the parser takes.
const PARSED: usize = (1 << 20) - 1;

/// The longest chunk-size line.
const SIZE_LINE: usize = 4 << 10;

/// Where in a connection's bytes the next one belongs.
#[derive(Debug)]
pub(super) struct Framing {
    expected: Expected,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
    header: Header,
    header_size: usize,
    /// Bytes of chunk extensions in this body.
    extensions: usize,
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    Line(Line),
    /// So many bytes, then a line.
    Data(u64, Line),
    /// Nothing more: what follows is not told apart from it.
    Nothing(Fault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Request,
    Field,
    ChunkSize,
    /// The line break behind the data of a chunk.
    ChunkEnd,
    Trailer,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its header is not one.
    Header,
    /// Its body is not framed as announced.
    Body,
    /// Its header is larger than `header_size`, or has too many fields.
    HeaderTooLarge,
    /// Its target alone is.
    TargetTooLong,
}

/// Where a fault is, in the bytes looked at: those before it are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) good: usize,
    pub(super) fault: Fault,
}

// === impl Framing ===

impl Framing {
    /// For a new connection.
    pub(super) fn new(header_size: usize) -> Self {
        Self {
            expected: Expected::Line(Line::Request),
            begun: Vec::new(),
            header: Header::default(),
            header_size: header_size.min(PARSED),
            extensions: 0,
        }
    }

    /// The fault that was found, if any.
    pub(super) fn fault(&self) -> Option<Fault> {
        match self.expected {
            Expected::Nothing(fault) => Some(fault),
            Expected::Line(_) | Expected::Data(..) => None,
        }
    }

    /// Takes the next bytes of the client.
    ///
    /// # Errors
    /// At the first line that is not as it should be; nothing is good after that.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let (mut good, mut start_of_header) = (0, 0);
        while let Some(rest) = bytes.get(good..).filter(|rest| !rest.is_empty()) {
            if self.is_between_requests() {
                start_of_header = good;
            }
            let taken = match self.expected {
                Expected::Nothing(fault) => Err(fault),
                Expected::Data(left, line) => Ok(self.data(left, line, rest.len())),
                Expected::Line(line) => self.line(line, rest),
            };
            match taken {
                Ok(taken) => good += taken,
                Err(fault) => return Err(self.broken(good, fault)),
            }
        }
        match self.outgrown() {
            Some(fault) => Err(self.broken(start_of_header, fault)),
            None => Ok(()),
        }
    }

    fn broken(&mut self, good: usize, fault: Fault) -> Broken {
        self.begun = Vec::new();
        self.expected = Expected::Nothing(fault);
        Broken { good, fault }
    }

    fn is_between_requests(&self) -> bool {
        let is_request = matches!(self.expected, Expected::Line(Line::Request));
        is_request && self.header.size == 0 && self.begun.is_empty()
    }

    /// Whether the header under way is too large. One that is complete has a request that can
    /// be told so, and is left to the proxy.
    fn outgrown(&self) -> Option<Fault> {
        let is_too_large = self.header.size + self.begun.len() > self.header_size;
        match self.expected {
            Expected::Line(Line::Request) if is_too_large && !self.begun.is_empty() => {
                Some(Fault::TargetTooLong)
            }
            Expected::Line(Line::Request | Line::Field) if is_too_large => {
                Some(Fault::HeaderTooLarge)
            }
            _ => None,
        }
    }

    fn data(&mut self, left: u64, line: Line, available: usize) -> usize {
        let taken = left.min(available as u64);
        self.expected = match left - taken {
            0 => Expected::Line(line),
            left => Expected::Data(left, line),
        };
        taken as usize
    }

    /// Takes the rest of a line, or what is there of it.
    fn line(&mut self, line: Line, rest: &[u8]) -> Result<usize, Fault> {
        let Some(end) = memchr::memchr(b'\n', rest) else {
            self.begun.extend_from_slice(rest);
            self.check_room(line)?;
            return Ok(rest.len());
        };
        let taken = end + 1;
        if self.begun.is_empty() {
            self.complete(line, &rest[..taken])?;
        } else {
            let mut whole = std::mem::take(&mut self.begun);
            whole.extend_from_slice(&rest[..taken]);
            self.complete(line, &whole)?;
        }
        Ok(taken)
    }

    /// A line of a body may be long, but not for ever.
    fn check_room(&self, line: Line) -> Result<(), Fault> {
        let length = self.begun.len();
        let fits = match line {
            Line::Request | Line::Field => true,
            Line::ChunkSize => length <= SIZE_LINE,
            Line::ChunkEnd => self.begun == b"\r",
            Line::Trailer => self.header.size + length <= self.header_size,
        };
        fits.then_some(()).ok_or(Fault::Body)
    }

    /// Takes a line with its end.
    fn complete(&mut self, line: Line, bytes: &[u8]) -> Result<(), Fault> {
        let fault = match line {
            Line::Request | Line::Field => Fault::Header,
            Line::ChunkSize | Line::ChunkEnd | Line::Trailer => Fault::Body,
        };
        let text = bytes.strip_suffix(b"\r\n").ok_or(fault)?;
        self.header.size += bytes.len();
        let next = match line {
            // RFC 9112, section 2.2: left by clients that end a body with one too many.
            Line::Request if text.is_empty() => Some(Line::Request),
            Line::Request => self.header.begin(text).map(|()| Line::Field),
            Line::Field if text.is_empty() => return self.end_of_header(),
            Line::Field => {
                self.header.field(text).ok_or(fault)?;
                let too_many = self.header.fields > FIELDS;
                return if too_many {
                    Err(Fault::HeaderTooLarge)
                } else {
                    Ok(())
                };
            }
            Line::ChunkSize => return self.begin_chunk(text).ok_or(fault),
            Line::ChunkEnd => text.is_empty().then_some(Line::ChunkSize),
            Line::Trailer if text.is_empty() => {
                self.header = Header::default();
                Some(Line::Request)
            }
            Line::Trailer => self.trailer(text).map(|()| Line::Trailer),
        };
        self.expected = Expected::Line(next.ok_or(fault)?);
        Ok(())
    }

    fn end_of_header(&mut self) -> Result<(), Fault> {
        let header = std::mem::take(&mut self.header);
        self.expected = match header.body().ok_or(Fault::Header)? {
            Body::Length(0) => Expected::Line(Line::Request),
            Body::Length(length) => Expected::Data(length, Line::Request),
            Body::Chunks => {
                self.extensions = 0;
                Expected::Line(Line::ChunkSize)
            }
        };
        Ok(())
    }

    fn begin_chunk(&mut self, line: &[u8]) -> Option<()> {
        let size = chunk::size(line)?;
        self.extensions += size.extensions;
        if self.extensions > EXTENSIONS {
            return None;
        }
        self.header = Header::default();
        self.expected = match size.data {
            0 => Expected::Line(Line::Trailer),
            length => Expected::Data(length, Line::ChunkEnd),
        };
        Some(())
    }

    fn trailer(&mut self, line: &[u8]) -> Option<()> {
        self.header.field(line)?;
        let fits = self.header.fields <= FIELDS && self.header.size <= self.header_size;
        (fits && !self.header.frames()).then_some(())
    }
}

#[cfg(test)]
mod tests;
