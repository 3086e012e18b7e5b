//! Lines of a header: which are allowed, and what they say of the body.

/// What a header has said so far.
#[derive(Debug, Default)]
pub(super) struct Header {
    /// Bytes of its lines.
    pub(super) size: usize,
    /// Its fields.
    pub(super) fields: usize,
    is_old: bool,
    /// The method is one that hardly ever comes with a body.
    reads: bool,
    length: Said<u64>,
    coding: Said<()>,
}

/// How the body behind a header is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    Chunks,
}

/// A field that frames the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Said<T> {
    #[default]
    Nothing,
    Once(T),
    /// Something else than what every recipient understands, or more than once.
    Unclear,
}

// === impl Header ===

impl Header {
    /// Takes the request line: `method SP request-target SP HTTP-version`, and nothing else
    /// (RFC 9112, section 3).
    pub(super) fn begin(&mut self, line: &[u8]) -> Option<()> {
        let mut words = line.split(|byte| *byte == b' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let is_target = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#';
        let is_line = words.next().is_none()
            && is_token(method)
            && !target.is_empty()
            && target.iter().all(is_target);
        self.reads = [&b"GET"[..], b"HEAD", b"DELETE"].contains(&method);
        self.is_old = version == b"HTTP/1.0";
        (is_line && (self.is_old || version == b"HTTP/1.1")).then_some(())
    }

    /// Takes one field: `field-name ":" OWS field-value OWS`, and no folded line (RFC 9112,
    /// section 5).
    pub(super) fn field(&mut self, line: &[u8]) -> Option<()> {
        let is_name = |byte: &u8| TOKEN[usize::from(*byte)];
        let end_of_name = line.iter().position(|byte| !is_name(byte))?;
        let (name, rest) = line.split_at(end_of_name);
        let value = rest.strip_prefix(b":")?;
        if name.is_empty() || has_controls(value) {
            return None;
        }
        self.fields += 1;
        if name.eq_ignore_ascii_case(b"content-length") {
            self.length = self.length.and(length(value));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let is_chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
            self.coding = self.coding.and(is_chunked.then_some(()));
        }
        Some(())
    }

    /// Whether anything in it frames a body.
    pub(super) fn frames(&self) -> bool {
        self.length != Said::Nothing || self.coding != Said::Nothing
    }

    /// `None` where recipients could differ over it: RFC 9112, section 6.3, with every choice
    /// it leaves taken against the client.
    pub(super) fn body(&self) -> Option<Body> {
        match (self.length, self.coding) {
            (Said::Nothing, Said::Nothing) => Some(Body::Length(0)),
            // Servers of HTTP/1.0 take such a body for the next request.
            (Said::Once(1..), Said::Nothing) if self.is_old && self.reads => None,
            (Said::Once(length), Said::Nothing) => Some(Body::Length(length)),
            (Said::Nothing, Said::Once(())) if !self.is_old => Some(Body::Chunks),
            _ => None,
        }
    }
}

impl<T> Said<T> {
    fn and(self, said: Option<T>) -> Self {
        match (self, said) {
            (Self::Nothing, Some(said)) => Self::Once(said),
            _ => Self::Unclear,
        }
    }
}

/// Decimal digits, of a number that all integers of recipients can hold.
fn length(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (length <= i64::MAX as u64).then_some(length)
}

/// RFC 9110, section 5.6.2.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// Anything but a tab, a space, or what can be seen (RFC 9110, section 5.5). Without a way out
/// in the middle, so that it is done for many bytes at once.
pub(super) fn has_controls(text: &[u8]) -> bool {
    let found = text.iter().fold(0, |found, &byte| {
        let is_control = u8::from(byte < b' ') & u8::from(byte != b'\t');
        found | is_control | u8::from(byte == 0x7f)
    });
    found != 0
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(
            byte as u8,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\''
                | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        );
        byte += 1;
    }
    table
};
