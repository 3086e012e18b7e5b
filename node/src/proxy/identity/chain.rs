//! From the peer back to the client, proxy by proxy.

use std::fmt;
use std::net::IpAddr;

use crate::proxy::Networks;

/// Proxies that one request goes through, at most; what stands before them is not looked at.
const LONGEST: usize = 32;

/// Addresses on the way, the peer first, the client last.
#[derive(Debug)]
pub(super) struct Chain(Vec<IpAddr>);

impl Chain {
    pub(super) fn from(peer: IpAddr) -> Self {
        Self(vec![peer])
    }

    /// Goes on to who was before, as long as those who say so are trusted. What is no address
    /// ends it: who wrote that knew no more, or is not telling. Returns how many entries count.
    pub(super) fn walk(
        &mut self,
        trusted: &Networks,
        entries: impl Iterator<Item = Option<IpAddr>>,
    ) -> usize {
        let known = self.0.len();
        for address in entries.take(LONGEST).map_while(|entry| entry) {
            self.0.push(address);
            if !trusted.contain(address) {
                break;
            }
        }
        self.0.len() - known
    }

    pub(super) fn client(&self) -> IpAddr {
        self.0.last().copied().unwrap_or(IpAddr::from([0, 0, 0, 0]))
    }
}

/// As `x-forwarded-for` lists them.
impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.0.iter().rev().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{address}")?;
        }
        Ok(())
    }
}
