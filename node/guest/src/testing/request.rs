//! The request a function under test sees.

use aegis_abi::Code;

use super::{Failure, header};

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(super) method: String,
    pub(super) uri: String,
    /// Names in lower case, as the node hands them out.
    pub(super) headers: Vec<(String, Vec<u8>)>,
    /// `None` where the function did not ask for it.
    pub(super) body: Option<Vec<u8>>,
    pub(super) client_address: String,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            uri: "/".into(),
            headers: Vec::new(),
            body: None,
            client_address: "127.0.0.1".into(),
        }
    }
}

impl Request {
    pub(crate) fn method(&self) -> Vec<u8> {
        self.method.clone().into_bytes()
    }

    pub(crate) fn uri(&self) -> Vec<u8> {
        self.uri.clone().into_bytes()
    }

    pub(crate) fn header(&self, name: &[u8]) -> Result<Vec<u8>, Failure> {
        header::first(&self.headers, name)
    }

    pub(crate) fn header_names(&self) -> Vec<u8> {
        header::names(&self.headers)
    }

    pub(crate) fn client_address(&self) -> Vec<u8> {
        self.client_address.clone().into_bytes()
    }

    pub(crate) fn body(&self) -> Result<Vec<u8>, Failure> {
        self.body
            .clone()
            .ok_or(Failure(Code::NotAllowed, "the function gets no body"))
    }
}
