//! What a function under test does to the request.

use aegis_abi::{Code, MAX_URL};

use super::Failure;
use super::header_edits::HeaderEdits;
use super::response::MAX_BODY;

#[derive(Debug, Default)]
pub(crate) struct RequestEdits {
    pub(crate) headers: HeaderEdits,
    pub(super) uri: Option<String>,
    pub(super) body: Option<Vec<u8>>,
}

impl RequestEdits {
    /// Takes what looks like a path and query; the test host does not normalise it.
    pub(crate) fn set_uri(&mut self, uri: &[u8]) -> Result<(), Failure> {
        if uri.len() > MAX_URL {
            return Err(Failure(Code::TooLarge, "the uri is too long"));
        }
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\';
        let uri = std::str::from_utf8(uri)
            .ok()
            .filter(|uri| uri.starts_with('/') && !uri.starts_with("//"))
            .filter(|uri| uri.bytes().all(plain))
            .ok_or(Failure(Code::BadArgument, "not a path and query"))?;
        self.uri = Some(uri.into());
        Ok(())
    }

    pub(crate) fn set_body(&mut self, body: &[u8]) -> Result<(), Failure> {
        if body.len() > MAX_BODY {
            return Err(Failure(Code::TooLarge, "the body is too large"));
        }
        self.body = Some(body.to_vec());
        Ok(())
    }
}
