//! What a function under test does to the response.

use aegis_abi::{Code, MAX_STATUS, MIN_STATUS};

use super::{Failure, header};

/// How many headers a function may set, by a node's default.
const MAX_HEADERS: usize = 64;

/// How long their names and values may be together, by a node's default: 16 KiB.
const MAX_HEADER_SIZE: usize = 16 * 1024;

/// How long the body may be, by a node's default for the buffers it shares with a guest: 10 MiB.
const MAX_BODY: usize = 10 * 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Response {
    pub(super) terminated: bool,
    pub(super) status: Option<u16>,
    /// Names in lower case.
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) removed: Vec<String>,
    pub(super) body: Option<Vec<u8>>,
}

impl Response {
    pub(crate) fn terminate(&mut self, status: i32) -> Result<(), Failure> {
        self.set_status(status)?;
        self.terminated = true;
        Ok(())
    }

    pub(crate) fn set_status(&mut self, status: i32) -> Result<(), Failure> {
        let status = u16::try_from(status)
            .ok()
            .filter(|_| (MIN_STATUS..=MAX_STATUS).contains(&status))
            .ok_or(Failure(Code::BadArgument, "not a status from 200 to 599"))?;
        self.status = Some(status);
        Ok(())
    }

    pub(crate) fn set_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        let name = header::own_name(name)?;
        let value = header::value(value)?;
        let mut headers = self.headers.clone();
        headers.retain(|(other, _)| *other != name);
        self.replace_headers(headers, (name, value))
    }

    pub(crate) fn add_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        let name = header::own_name(name)?;
        let value = header::value(value)?;
        self.replace_headers(self.headers.clone(), (name, value))
    }

    pub(crate) fn remove_header(&mut self, name: &[u8]) -> Result<(), Failure> {
        let name = header::own_name(name)?;
        self.headers.retain(|(other, _)| *other != name);
        self.removed.push(name);
        Ok(())
    }

    pub(crate) fn set_body(&mut self, body: &[u8]) -> Result<(), Failure> {
        if body.len() > MAX_BODY {
            return Err(Failure(Code::TooLarge, "the body is too large"));
        }
        self.body = Some(body.to_vec());
        Ok(())
    }

    /// Takes the new headers, or none of them where they break a limit.
    fn replace_headers(
        &mut self,
        mut headers: Vec<(String, Vec<u8>)>,
        added: (String, Vec<u8>),
    ) -> Result<(), Failure> {
        headers.push(added);
        let size: usize = headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if headers.len() > MAX_HEADERS || size > MAX_HEADER_SIZE {
            return Err(Failure(Code::LimitReached, "too many response headers"));
        }
        self.headers = headers;
        Ok(())
    }
}
