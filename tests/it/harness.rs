//! What the tests stand on: the node as a process, clients, origins, a name server, a Redis, and guests.

pub(crate) mod answer;
pub(crate) mod dns;
pub(crate) mod frames;
pub(crate) mod framing;
pub(crate) mod guest;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod http2_origin;
pub(crate) mod https;
pub(crate) mod kernel;
pub(crate) mod lines;
pub(crate) mod mortal;
pub(crate) mod node;
pub(crate) mod origin;
pub(crate) mod raw_origin;
pub(crate) mod redis;
pub(crate) mod secure;
pub(crate) mod tls;

pub(crate) use answer::{Answer, Gate};
pub(crate) use dns::Dns;
pub(crate) use guest::{answers, fixture, module, phases, report};
pub(crate) use http::{Connection, Request};
pub(crate) use http2::Http2;
pub(crate) use http2_origin::Http2Origin;
pub(crate) use https::{EGRESS, Https};
pub(crate) use mortal::Mortal;
pub(crate) use node::{Node, Setup, aegis, node, printed};
pub(crate) use origin::{Origin, Received};
pub(crate) use raw_origin::RawOrigin;
pub(crate) use redis::Redis;
pub(crate) use secure::{Client, Secure};
pub(crate) use tls::Authority;
