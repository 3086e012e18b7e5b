//! The normal form of a path: what routes match, functions see and upstreams get, so that no two
//! of them can disagree about which resource a request names.

use std::borrow::Cow;

/// A path in normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalPath<'a> {
    /// The path: starts with `/`, has no dot segments and no empty segments but perhaps the last,
    /// and no percent-encoding that it could do without. Borrowed where nothing had to change.
    pub path: Cow<'a, str>,
    /// Whether the path came with a `%2F`, which stays as it is and separates no segments.
    /// Callers refuse such a path unless they know their upstream reads it the same way.
    pub encoded_slash: bool,
}

/// Why a path has no normal form. Each is a request to be refused: what is listed here is read
/// differently by different servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The empty path, `*`, or a relative path.
    #[error("path does not start with '/'")]
    NotAbsolute,
    /// A control character, space, `#`, `?` or byte past ASCII as it is.
    #[error("path contains byte 0x{0:02x}, which must be percent-encoded")]
    Raw(u8),
    /// `\` or `%5C`.
    #[error("path contains a backslash")]
    Backslash,
    /// `%` without two hexadecimal digits.
    #[error("path contains a malformed percent-encoding")]
    Malformed,
    /// `%00` to `%1F`, or `%7F`.
    #[error("path contains an encoded control character")]
    EncodedControl,
    /// `..%2F`, `..;` and their kin: a way up for a server that decodes the one, or takes what
    /// follows the other for a parameter.
    #[error("path contains a dot segment beside an encoded slash or a semicolon")]
    HiddenDotSegment,
}

/// What one pass over a path finds.
#[derive(Default)]
struct Survey {
    /// Some percent-encoding is not in normal form.
    decode: bool,
    /// Some segment is empty, `.` or `..`.
    resolve: bool,
    encoded_slash: bool,
    semicolon: bool,
}

/// Brings a path, without its query, into normal form.
///
/// In this order: percent-encoded unreserved characters are decoded, once, and the digits of other
/// encodings put in upper case; empty segments are merged (`//` is `/`); dot segments are resolved
/// as in RFC 3986, 5.2.4, where `..` of the root is the root. A trailing slash is kept. A path that
/// is already normal is scanned once and nothing is allocated; any other takes linear time.
///
/// # Errors
///
/// A path that servers read in different ways, see [`PathError`].
pub fn normalise(path: &str) -> Result<NormalPath<'_>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    let survey = Survey::of(path.as_bytes())?;
    let decoded = if survey.decode {
        Cow::Owned(decode(path))
    } else {
        Cow::Borrowed(path)
    };
    if (survey.encoded_slash || survey.semicolon) && decoded.split('/').any(hides_dot_segment) {
        return Err(PathError::HiddenDotSegment);
    }
    let path = if survey.decode || survey.resolve {
        Cow::Owned(resolve(&decoded))
    } else {
        decoded
    };
    Ok(NormalPath {
        path,
        encoded_slash: survey.encoded_slash,
    })
}

// === impl Survey ===

impl Survey {
    fn of(path: &[u8]) -> Result<Self, PathError> {
        let mut survey = Self::default();
        for (at, &byte) in path.iter().enumerate() {
            let rest = &path[at + 1..];
            match byte {
                b'/' => survey.resolve |= starts_with_empty_or_dot_segment(rest),
                b'%' => survey.note_encoding(rest)?,
                b'\\' => return Err(PathError::Backslash),
                b';' => survey.semicolon = true,
                0..=b' ' | b'#' | b'?' | 0x7f.. => return Err(PathError::Raw(byte)),
                _ => {}
            }
        }
        Ok(survey)
    }

    fn note_encoding(&mut self, digits: &[u8]) -> Result<(), PathError> {
        match decode_digits(digits).ok_or(PathError::Malformed)? {
            b'\\' => return Err(PathError::Backslash),
            0..=0x1f | 0x7f => return Err(PathError::EncodedControl),
            b'/' => self.encoded_slash = true,
            b';' => self.semicolon = true,
            byte if is_unreserved(byte) => self.decode = true,
            _ => {}
        }
        self.decode |= digits[..2].iter().any(u8::is_ascii_lowercase);
        Ok(())
    }
}

fn starts_with_empty_or_dot_segment(rest: &[u8]) -> bool {
    matches!(
        rest,
        [b'/', ..] | [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..]
    )
}

/// The byte that the two hexadecimal digits at the start of `digits` stand for.
fn decode_digits(digits: &[u8]) -> Option<u8> {
    let &[high, low, ..] = digits else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Decodes what need not be encoded. The path was surveyed: ASCII, and its encodings well-formed.
fn decode(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut decoded = String::with_capacity(path.len());
    decoded.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (digits, text) = piece.split_at(2);
        match decode_digits(digits.as_bytes()) {
            Some(byte) if is_unreserved(byte) => decoded.push(char::from(byte)),
            _ => {
                decoded.push('%');
                decoded.extend(digits.chars().map(|digit| digit.to_ascii_uppercase()));
            }
        }
        decoded.push_str(text);
    }
    decoded
}

/// Whether a server that decodes `%2F`, or drops what follows a semicolon, would find a dot segment
/// in this one. `segment` is decoded, so there is one spelling of the slash and one of the dot.
fn hides_dot_segment(segment: &str) -> bool {
    let is_dots = |name: &str| matches!(name, "." | "..");
    let name = |piece: &str| {
        let end = piece.find(';').into_iter().chain(piece.find("%3B")).min();
        piece.get(..end.unwrap_or(piece.len())).is_some_and(is_dots)
    };
    !is_dots(segment) && segment.split("%2F").any(name)
}

fn resolve(path: &str) -> String {
    let mut resolved = String::with_capacity(path.len());
    let mut ends_in_slash = true;
    for segment in path.split('/') {
        ends_in_slash = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => resolved.truncate(resolved.rfind('/').unwrap_or(0)),
            name => {
                resolved.push('/');
                resolved.push_str(name);
            }
        }
    }
    if ends_in_slash {
        resolved.push('/');
    }
    resolved
}

#[cfg(test)]
mod tests;
