//! Pingora alone, answering every request with one recorded response: what the node's `respond`
//! routes and functions are measured against.
//!
//! `bare_respond ADDRESS FILE`, where FILE holds a response as it comes over the wire.

use std::{env, error::Error, fs};

use async_trait::async_trait;
use bytes::Bytes;
use pingora::{
    ErrorType,
    http::ResponseHeader,
    proxy::{ProxyHttp, Session, http_proxy_service},
    server::{RunArgs, Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};

/// The node's own: the two are compared for what they do, not for how they allocate.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The response, ready to be sent.
struct Recorded {
    header: ResponseHeader,
    body: Bytes,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, address, file] = arguments.as_slice() else {
        return Err("usage: bare_respond ADDRESS FILE".into());
    };
    let response = Recorded::parse(&fs::read(file)?).ok_or("FILE is not a response")?;
    let conf = ServerConf {
        threads: 1,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, response);
    service.add_tcp(address);
    server.add_service(service);
    server.run(RunArgs::default());
    Ok(())
}

// === impl Recorded ===

impl Recorded {
    fn parse(response: &[u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut headers);
        let length = match parsed.parse(response).ok()? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial => return None,
        };
        let mut header = ResponseHeader::build(parsed.code?, None).ok()?;
        for field in parsed.headers {
            header
                .append_header(field.name.to_owned(), field.value)
                .ok()?;
        }
        let body = Bytes::copy_from_slice(&response[length..]);
        Some(Self { header, body })
    }
}

#[async_trait]
impl ProxyHttp for Recorded {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn request_filter(&self, session: &mut Session, _: &mut ()) -> pingora::Result<bool> {
        let header = Box::new(self.header.clone());
        session.write_response_header(header, false).await?;
        let body = Some(self.body.clone());
        session.write_response_body(body, true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> pingora::Result<Box<HttpPeer>> {
        pingora::Error::e_explain(ErrorType::InternalError, "there is no upstream")
    }
}
