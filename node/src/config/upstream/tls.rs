//! `tls` of an upstream.

use std::net::IpAddr;

use crate::config::value::Value;
use crate::upstream::{BackendSettings, IdentityFiles, TlsSettings};

use super::is_host_name;

const TABLE: &str =
    "write {} for TLS with all defaults, or { sni = \"origin.example\", ca_file = \"ca.pem\" }";
const SNI: &str = "write the name in the backends' certificate, such as \"origin.example\"";

#[derive(Debug, thiserror::Error)]
#[error("not a host name")]
struct NotAName;

/// `None` where something is wrong with it.
pub(super) fn read(value: &Value<'_>) -> Option<TlsSettings> {
    value.table(TABLE, |section| {
        let sni = section.take("sni");
        let sni = sni.and_then(|value| value.parsed_by(name, SNI));
        let ca_file = section.take("ca_file").and_then(|value| value.path());
        let (cert, key) = (section.take("cert"), section.take("key"));
        if let (Some(alone), None) | (None, Some(alone)) = (&cert, &key) {
            let message = "cert and key go together";
            value
                .context
                .lacks(&alone.spot, message, "name both files, or neither");
        }
        let path = |value: Option<Value<'_>>| value.and_then(|value| value.path());
        let identity = match (path(cert), path(key)) {
            (Some(cert), Some(key)) => Some(IdentityFiles { cert, key }),
            _ => None,
        };
        TlsSettings {
            sni,
            ca_file,
            identity,
        }
    })
}

/// Holds the backends against it: an address is in hardly any certificate.
pub(super) fn check_names(value: &Value<'_>, tls: &TlsSettings, backends: &[BackendSettings]) {
    if tls.sni.is_some() || value.has("sni") {
        return;
    }
    let is_address = |backend: &&BackendSettings| backend.host.parse::<IpAddr>().is_ok();
    if let Some(backend) = backends.iter().find(is_address) {
        let host = &backend.host;
        let message =
            format!("the backend {host} is an address, which no certificate is held against");
        value
            .context
            .lacks(&value.spot, message, format!("add sni; {SNI}"));
    }
}

fn name(text: &str) -> Result<String, NotAName> {
    match is_host_name(text) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(NotAName),
    }
}
