//! One function's way out: its calls, each checked, timed and recorded.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::address::Refusal;
use super::allow::AllowList;
use super::client::Node;
use super::error::{Crowd, Denial, EgressError};
use super::journal::{Entry, Journal};
use super::pool::{Connector, Peer, Pool};
use super::redirect::Hop;
use super::target::{Host, Target};
use super::{Call, MAX_FUNCTION_CALLS, MAX_REDIRECTS, Reply, Room, body};

/// An address that is never public, for a connection that does not tell its own.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Makes the HTTPS calls of one function.
pub struct Caller {
    node: Arc<Node>,
    grant: AllowList,
    pool: Pool,
    places: Semaphore,
    journal: Journal,
}

// === impl Caller ===

impl Caller {
    pub(super) fn new(node: Arc<Node>, function: Arc<str>, grant: AllowList) -> Self {
        Self {
            node,
            grant,
            pool: Pool::new(),
            places: Semaphore::new(MAX_FUNCTION_CALLS),
            journal: Journal::new(function),
        }
    }

    pub(super) fn is_granted(&self, grant: &AllowList) -> bool {
        self.grant == *grant
    }

    /// Makes one call. Must be polled inside a tokio runtime with I/O and time enabled.
    /// Dropping the future ends the call.
    ///
    /// Any status is a reply; redirects are followed and never one. The reply takes its
    /// place in `room` as it arrives.
    ///
    /// # Errors
    ///
    /// When the call is refused or fails. Nothing is repeated: a call that may
    /// have reached the host is the guest's to repeat.
    pub async fn call(&self, call: Call, room: &dyn Room) -> Result<Reply, EgressError> {
        let mut entry = self.journal.open(&call);
        let result = self.timed(call, room, &mut entry).await;
        entry.close(&result);
        result
    }

    async fn timed(
        &self,
        call: Call,
        room: &dyn Room,
        entry: &mut Entry<'_>,
    ) -> Result<Reply, EgressError> {
        let _places = self.enter()?;
        let work = async {
            let response = self.follow(call, entry).await?;
            body::read(response, room).await
        };
        match tokio::time::timeout(self.node.total_timeout, work).await {
            Ok(result) => result,
            Err(_elapsed) => Err(EgressError::Timeout),
        }
    }

    fn enter(&self) -> Result<[SemaphorePermit<'_>; 2], EgressError> {
        let of_function = self.places.try_acquire();
        let of_function = of_function.map_err(|_| EgressError::Busy(Crowd::Function))?;
        let of_node = self.node.places.try_acquire();
        let of_node = of_node.map_err(|_| EgressError::Busy(Crowd::Node))?;
        Ok([of_function, of_node])
    }

    async fn follow(
        &self,
        call: Call,
        entry: &mut Entry<'_>,
    ) -> Result<reqwest::Response, EgressError> {
        let mut hop = Hop::first(call)?;
        for _ in 0..=MAX_REDIRECTS {
            entry.hop(&hop);
            let target = &hop.destination.target;
            let connector = self.admit(target)?;
            let peer = self.pool.peer(target, connector)?;
            let response = self.send(&peer, &hop, entry).await?;
            match hop.next(response.status(), response.headers())? {
                Some(next) => hop = next,
                None => return Ok(response),
            }
        }
        Err(EgressError::TooManyRedirects)
    }

    /// Everything that can be decided before a name is looked up.
    fn admit(&self, target: &Target) -> Result<&Connector, EgressError> {
        let connector = match &self.node.connector {
            Some(connector) if self.node.allow.allows(target) => connector,
            _ => return Err(EgressError::NotAllowed(Denial::Node)),
        };
        if !self.grant.grants(target) {
            return Err(EgressError::NotAllowed(Denial::Function));
        }
        // The resolver is never asked for a literal.
        if let Host::Address(address) = target.host {
            self.check(SocketAddr::new(address, target.port))?;
        }
        Ok(connector)
    }

    async fn send(
        &self,
        peer: &Peer,
        hop: &Hop,
        entry: &mut Entry<'_>,
    ) -> Result<reqwest::Response, EgressError> {
        entry.asks(peer);
        let response = peer
            .http
            .request(hop.method.clone(), hop.destination.url.clone())
            .headers(hop.headers.clone())
            .body(hop.body.clone())
            .send()
            .await?;
        entry.answered(&response);
        // Should the library ever connect past the resolver, nothing comes back.
        self.check(response.remote_addr().unwrap_or(UNKNOWN))?;
        body::check_header(response.headers())?;
        Ok(response)
    }

    fn check(&self, address: SocketAddr) -> Result<(), EgressError> {
        self.node
            .addresses
            .check(address)
            .map_err(|refusal| match refusal {
                Refusal::NotPublic => EgressError::AddressRefused(address.ip()),
                Refusal::Own => EgressError::OwnAddress(address),
            })
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};

    use super::*;
    use crate::egress::{Client, MAX_CALLS, OwnAddresses, Settings};

    struct Plenty;

    impl Room for Plenty {
        fn take(&self, _bytes: usize) -> bool {
            true
        }
    }

    async fn crowd(caller: &Caller) -> Option<Crowd> {
        let call = Call {
            request_id: String::new(),
            method: Method::GET,
            url: "https://example.com/".to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            passed: Vec::new(),
        };
        match caller.call(call, &Plenty).await {
            Err(EgressError::Busy(crowd)) => Some(crowd),
            Err(EgressError::NotAllowed(_)) => None,
            other => panic!("{other:?}"),
        }
    }

    /// Every place that there is for it.
    fn all(caller: &Caller) -> Vec<[SemaphorePermit<'_>; 2]> {
        std::iter::from_fn(|| caller.enter().ok()).collect()
    }

    #[tokio::test]
    async fn calls_past_those_of_a_function_or_the_node_are_refused_until_others_are_over() {
        let client = Client::new(&Settings::default(), OwnAddresses::default()).unwrap();
        let of = |name: &str| client.caller(&Arc::from(name), &AllowList::default());
        let (first, second, third) = (of("first"), of("second"), of("third"));
        let held = all(&first);
        assert_eq!(held.len(), MAX_FUNCTION_CALLS);
        assert_eq!(crowd(&first).await, Some(Crowd::Function));
        assert_eq!(crowd(&second).await, None, "others find a place");
        let rest = all(&second);
        assert_eq!(held.len() + rest.len(), MAX_CALLS);
        assert_eq!(crowd(&third).await, Some(Crowd::Node));
        drop(rest);
        assert_eq!(crowd(&third).await, None);
        drop(held);
        assert_eq!(crowd(&first).await, None);
    }
}
