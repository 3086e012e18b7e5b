//! What a function under test changes about the headers of a request or response.

use aegis_abi::Code;

use super::{Failure, header};

/// How many header edits a function may make, by a node's default.
const MAX_EDITS: usize = 64;

/// How long their names and values may be together, by a node's default: 16 KiB.
const MAX_SIZE: usize = 16 * 1024;

/// Names are in lower case.
#[derive(Debug, Default)]
pub(crate) struct HeaderEdits {
    pub(super) set: Vec<(String, Vec<u8>)>,
    pub(super) removed: Vec<String>,
    replaced: Vec<String>,
}

impl HeaderEdits {
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        let name = header::own_name(name)?;
        let value = header::value(value)?;
        let mut headers = self.set.clone();
        headers.retain(|(other, _)| *other != name);
        self.replace(headers, (name.clone(), value))?;
        self.replaced.push(name);
        Ok(())
    }

    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        let name = header::own_name(name)?;
        let value = header::value(value)?;
        self.replace(self.set.clone(), (name, value))
    }

    pub(crate) fn remove(&mut self, name: &[u8]) -> Result<(), Failure> {
        let name = header::own_name(name)?;
        self.set.retain(|(other, _)| *other != name);
        self.removed.push(name);
        Ok(())
    }

    /// The headers after the edits.
    pub(super) fn apply(&self, headers: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
        let stays = |name: &String| !self.removed.contains(name) && !self.replaced.contains(name);
        let kept = headers.iter().filter(|(name, _)| stays(name));
        kept.chain(&self.set).cloned().collect()
    }

    /// Takes the new headers, or none of them where they break a limit.
    fn replace(
        &mut self,
        mut headers: Vec<(String, Vec<u8>)>,
        added: (String, Vec<u8>),
    ) -> Result<(), Failure> {
        headers.push(added);
        let size: usize = headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if headers.len() > MAX_EDITS || size > MAX_SIZE {
            return Err(Failure(Code::LimitReached, "too many header edits"));
        }
        self.set = headers;
        Ok(())
    }
}
