//! An HTTPS origin a guest can call: its certificate authority, its name, and the configuration that allows it.

use super::answer::{Answer, Gate};
use super::dns::Dns;
use super::node::Setup;
use super::origin::{Origin, Received};
use super::tls::Authority;

/// Keys of a function that may call the origin, up to the end of the `[egress]` table.
pub(crate) const EGRESS: &str = r#"
    egress = ["*"]
    [egress]
    allow = ["api.example.com:{port}"]
    allow_private = ["127.0.0.0/8"]
    ca_file = "ca.pem"
    nameservers = ["{dns}"]"#;

/// The second leads to a loopback address that is not the origin's.
const NAMES: &[(&str, &[&str])] = &[
    ("api.example.com", &["127.0.0.1"]),
    ("rebind.example.com", &["127.0.0.2"]),
];

pub(crate) struct Https {
    pub(crate) origin: Origin,
    dns: Dns,
    authority: Authority,
}

impl Https {
    /// `https://api.example.com:PORT`, answering what `script` makes of each request.
    pub(crate) fn start(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let authority = Authority::new();
        let origin = Origin::start_tls(authority.server(&["api.example.com"]), script);
        Self {
            origin,
            dns: Dns::start(NAMES),
            authority,
        }
    }

    /// Never answers `/held`, and opens the gate when the caller of it has gone away; answers the rest when
    /// that has arrived.
    pub(crate) fn holding() -> (Gate, Self) {
        let (left, arrived) = (Gate::default(), Gate::default());
        let tell = left.clone();
        let https = Self::start(move |request| {
            if request.target == "/held" {
                arrived.open();
                return Answer::never(&tell);
            }
            Answer::ok("answered").held(&arrived)
        });
        (left, https)
    }

    pub(crate) fn port(&self) -> u16 {
        self.origin.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://api.example.com:{}{path}", self.port())
    }

    /// Fills in what `EGRESS` names.
    pub(crate) fn reachable_from(&self, setup: Setup) -> Setup {
        setup
            .set("port", &self.port())
            .set("dns", &self.dns.address)
            .file("ca.pem", &self.authority.pem)
    }
}
