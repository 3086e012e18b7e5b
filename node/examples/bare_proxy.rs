//! Pingora alone, passing every request on to one origin: what the node's proxied routes are
//! measured against.
//!
//! `bare_proxy ADDRESS ORIGIN`

use std::{env, error::Error, net::SocketAddr};

use async_trait::async_trait;
use pingora::{
    proxy::{ProxyHttp, Session, http_proxy_service},
    server::{RunArgs, Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};

/// The node's own: the two are compared for what they do, not for how they allocate.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

struct Proxy {
    origin: SocketAddr,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, address, origin] = arguments.as_slice() else {
        return Err("usage: bare_proxy ADDRESS ORIGIN".into());
    };
    let proxy = Proxy {
        origin: origin.parse()?,
    };
    let conf = ServerConf {
        threads: 1,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, proxy);
    service.add_tcp(address);
    server.add_service(service);
    server.run(RunArgs::default());
    Ok(())
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.origin, false, String::new())))
    }
}
