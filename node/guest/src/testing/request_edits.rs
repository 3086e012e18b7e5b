//! What a function under test does to the request.

use aegis_abi::{Code, MAX_URL};

use super::Failure;
use super::header;
use super::header_edits::HeaderEdits;
use super::request::Request;
use super::response::MAX_BODY;

#[derive(Debug, Default)]
pub(crate) struct RequestEdits {
    headers: HeaderEdits,
    uri: Option<String>,
    pub(super) body: Option<Vec<u8>>,
}

impl RequestEdits {
    pub(crate) fn set_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        header::own_forwarded_name(name)?;
        self.headers.set(name, value)
    }

    pub(crate) fn add_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        header::own_forwarded_name(name)?;
        self.headers.add(name, value)
    }

    pub(crate) fn remove_header(&mut self, name: &[u8]) -> Result<(), Failure> {
        header::own_forwarded_name(name)?;
        self.headers.remove(name)
    }

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

    /// The request after the edits.
    pub(super) fn apply(&self, request: &Request) -> Request {
        Request {
            method: request.method.clone(),
            uri: self.uri.as_ref().unwrap_or(&request.uri).clone(),
            headers: self.headers.apply(&request.headers),
            body: self.body.as_ref().or(request.body.as_ref()).cloned(),
            client_address: request.client_address.clone(),
        }
    }
}
