//! What a function under test does to the response.

use aegis_abi::{Code, MAX_STATUS, MIN_STATUS};

use super::Failure;
use super::header_edits::HeaderEdits;

/// How long a body may be, by a node's default for the buffers it shares with a guest: 10 MiB.
pub(super) const MAX_BODY: usize = 10 * 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Response {
    pub(super) terminated: bool,
    pub(super) status: Option<u16>,
    pub(crate) headers: HeaderEdits,
    pub(super) body: Option<Vec<u8>>,
}

impl Response {
    pub(super) fn terminate(&mut self, status: i32) -> Result<(), Failure> {
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

    pub(crate) fn set_body(&mut self, body: &[u8]) -> Result<(), Failure> {
        if body.len() > MAX_BODY {
            return Err(Failure(Code::TooLarge, "the body is too large"));
        }
        self.body = Some(body.to_vec());
        Ok(())
    }
}
