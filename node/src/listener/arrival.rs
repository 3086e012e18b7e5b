//! What comes before HTTP on a connection: its place, who it is from, and TLS.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora::protocols::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tracing::field::display;
use tracing::{debug, warn};

use super::gate::{Gate, Place};
use super::guard::{Refusal, Refusals};
use super::http2;
use super::limits::Limits;
use super::proxy_protocol;
use super::settings::Settings;
use super::tls::{Marks, Secured, Tls, TlsProblem};
use crate::telemetry::Complaints;

/// A client that there is no place for is waited for this long, to be refused in its language.
const FIRST_WORD: Duration = Duration::from_millis(50);

/// How connections of one listener begin. May be replaced: that counts for those opened
/// afterwards.
#[derive(Clone)]
pub struct Entrance {
    arrival: Arc<ArcSwap<Arrival>>,
    complaints: Arc<Complaints<1>>,
}

/// [`Settings`] with their files read.
pub struct Arrival {
    settings: Settings,
    tls: Option<Tls>,
}

/// What all entrances lead through.
pub(super) struct Door<'a> {
    pub(super) gate: &'a Gate,
    pub(super) limits: &'a Limits,
    pub(super) refusals: Refusals,
}

/// A connection on which HTTP begins.
pub(super) struct Arrived {
    pub(super) stream: Stream,
    /// Who it is from, as far as that is known.
    pub(super) client: Option<IpAddr>,
    pub(super) place: Place,
    /// By TLS.
    pub(super) secured: Option<Secured>,
    /// Whether it may be HTTP/2 though TLS does not say so.
    pub(super) h2c: bool,
}

// === impl Arrival ===

impl Arrival {
    /// Reads the files. What there was before is kept if it is made of the same ones.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn prepare(
        settings: &Settings,
        previous: Option<Arc<Self>>,
    ) -> Result<Arc<Self>, Vec<TlsProblem>> {
        if let Some(previous) = previous
            && previous.settings == *settings
            && previous
                .marks()
                .is_none_or(|marks| Some(marks) == previous.marks_now().as_ref())
        {
            return Ok(previous);
        }
        let tls = settings.tls.as_ref().map(Tls::load).transpose()?;
        Ok(Arc::new(Self {
            settings: settings.clone(),
            tls,
        }))
    }

    /// What it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Of the files, when they were read; `None` without any.
    pub fn marks(&self) -> Option<&Marks> {
        self.tls.as_ref().map(|tls| &tls.marks)
    }

    /// Of the files now.
    pub fn marks_now(&self) -> Option<Marks> {
        self.settings.tls.as_ref().map(Marks::of)
    }
}

// === impl Entrance ===

impl Entrance {
    /// A listener's.
    pub fn new(arrival: Arc<Arrival>) -> Self {
        Self {
            arrival: Arc::new(ArcSwap::new(arrival)),
            complaints: Arc::default(),
        }
    }

    /// What counts at the moment.
    pub fn arrival(&self) -> Arc<Arrival> {
        self.arrival.load_full()
    }

    /// From now on, connections begin like this.
    pub fn change(&self, arrival: Arc<Arrival>) {
        self.arrival.store(arrival);
    }

    /// `None` when the connection goes no further; it is closed then. It takes as long as the
    /// client does: the caller sets the deadline.
    pub(super) async fn admit(&self, mut stream: Stream, door: &Door<'_>) -> Option<Arrived> {
        let arrival = self.arrival();
        let (client, place) = self.place(&arrival, &mut stream, door).await?;
        let (place, tls) = match (place, &arrival.tls) {
            (Some(place), tls) => (place, tls),
            (None, None) => {
                let may_be_framed = arrival.settings.h2c;
                return door
                    .turn_away(stream, may_be_framed.then_some(FIRST_WORD))
                    .await;
            }
            // No handshake for who is turned away, and without one there is no telling why.
            (None, Some(_)) => return None,
        };
        let (stream, secured): (Stream, _) = match tls {
            None => (stream, None),
            Some(tls) => {
                let stream = tls.accept(stream).await;
                let failed = |error: &_| {
                    let client = client.map(display);
                    debug!(client, %error, "a tls handshake failed");
                };
                let stream = stream.inspect_err(failed).ok()?;
                let secured = stream.secured();
                (Box::new(stream), Some(secured))
            }
        };
        Some(Arrived {
            stream,
            client,
            place,
            secured,
            h2c: arrival.settings.h2c,
        })
    }

    /// The client and its place, if there is one. `None` without the PROXY header that must be
    /// there.
    async fn place(
        &self,
        arrival: &Arrival,
        stream: &mut Stream,
        door: &Door<'_>,
    ) -> Option<(Option<IpAddr>, Option<Place>)> {
        let peer = peer(stream);
        if !arrival.settings.proxy_protocol {
            return Some((peer, door.gate.enter(counted(peer), door.limits)));
        }
        // All connections come from the balancer: whose they are is yet to be told.
        let Some(mut place) = door.gate.enter_unknown(door.limits) else {
            return Some((peer, None));
        };
        let told = proxy_protocol::read(stream).await;
        let told = told.inspect_err(|error| self.complain(peer, error)).ok()?;
        let client = told.or(peer);
        let has_room = place.claim(counted(client), door.limits);
        Some((client, has_room.then_some(place)))
    }

    /// Whoever can connect can cause it as often as he likes.
    fn complain(&self, peer: Option<IpAddr>, error: &proxy_protocol::HeaderError) {
        if let Some(withheld) = self.complaints.due(0) {
            let peer = peer.map(display);
            warn!(peer, withheld, "a connection is closed: {error}");
        }
    }
}

impl Door<'_> {
    /// In its language, for which its first word is waited for where it may speak either.
    async fn turn_away(&self, mut stream: Stream, wait: Option<Duration>) -> Option<Arrived> {
        let mut word = *b"   ";
        if let Some(wait) = wait {
            timeout(wait, stream.read_exact(&mut word)).await.ok();
        }
        let answer = match http2::PREFACE.starts_with(&word) {
            true => http2::REFUSAL.to_vec(),
            false => (self.refusals)(Refusal::TooManyConnections),
        };
        stream.write_all(&answer).await.ok();
        AsyncWriteExt::shutdown(&mut stream).await.ok();
        None
    }
}

/// A stream without an address counts as one client more.
fn counted(client: Option<IpAddr>) -> IpAddr {
    client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn peer(stream: &Stream) -> Option<IpAddr> {
    let digest = stream.get_socket_digest()?;
    let peer = digest.peer_addr()?;
    Some(peer.as_inet()?.ip())
}
