//! `[[listeners]]`.

use std::{collections::BTreeSet, net::SocketAddr};

use super::{section::Section, value::Value};
use crate::listener::{CertificateFiles, Settings, TlsSettings};

const FIRST: &str = "write [[listeners]] and below it address = \"0.0.0.0:8080\"";
const CERTIFICATES: &str = "write an array such as [{ cert = \"site.pem\", key = \"site.key\" }]";
const CERTIFICATE: &str = "write a table such as { cert = \"site.pem\", key = \"site.key\" }";
const CERT: &str = "name the PEM file of the certificate and those that lead to its authority";
const KEY: &str = "name the PEM file of the certificate's private key";
const ADDRESS: &str = "write an IP address and port such as \"0.0.0.0:8080\" or \"[::1]:8080\"";

/// Where clients connect (`[[listeners]]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it stands in the file, from 0.
    pub position: usize,
    /// The address; port 0 is any free one.
    pub address: SocketAddr,
    /// What it does with its connections.
    pub settings: Settings,
}

pub(super) fn read(root: &mut Section<'_>) -> Vec<Listener> {
    const TABLES: &str = "write [[listeners]] for each";
    let Some(list) = root.require("listeners", FIRST) else {
        return Vec::new();
    };
    let listeners = list.items(TABLES);
    if listeners.is_empty() && list.inner.is_array() {
        list.wrong("there is no listener", FIRST);
    }
    let mut seen = BTreeSet::new();
    let read = listeners
        .iter()
        .enumerate()
        .filter_map(|(position, listener)| {
            let read = |section: &mut Section<'_>| (address(section, &mut seen), settings(section));
            let (address, settings) = listener.table(TABLES, read)?;
            Some(Listener {
                position,
                address: address?,
                settings,
            })
        });
    read.collect()
}

fn settings(section: &mut Section<'_>) -> Settings {
    Settings {
        h2c: h2c(section),
        tls: tls(section),
        proxy_protocol: section.switch("proxy_protocol"),
    }
}

/// Over TLS the two sides agree on the version.
fn h2c(section: &mut Section<'_>) -> bool {
    let value = section.peek("h2c");
    let h2c = section.switch("h2c");
    if let Some(value) = value.filter(|_| h2c && section.has("certificates")) {
        value.wrong(
            "over TLS clients choose HTTP/2 by themselves",
            "remove it, or the certificates",
        );
    }
    h2c
}

fn tls(section: &mut Section<'_>) -> Option<TlsSettings> {
    let certificates = section.take("certificates");
    let client_ca = section.take("client_ca");
    if let (None, Some(client_ca)) = (&certificates, &client_ca)
        && !section.misspells("certificates")
    {
        client_ca.wrong(
            "clients show certificates over TLS only",
            "give the listener certificates of its own",
        );
    }
    let certificates = certificates.and_then(|list| pairs(&list));
    let client_ca = client_ca.map(|file| file.path());
    Some(TlsSettings {
        certificates: certificates?,
        client_ca: match client_ca {
            Some(file) => Some(file?),
            None => None,
        },
    })
}

/// `None` unless all are whole: what is wrong with files is told by their position.
fn pairs(list: &Value<'_>) -> Option<Vec<CertificateFiles>> {
    let items = list.items(CERTIFICATES);
    if items.is_empty() && list.inner.is_array() {
        list.wrong("there is no certificate", CERTIFICATES);
    }
    let pairs: Vec<_> = items.iter().map(pair).collect();
    let pairs: Vec<_> = pairs.into_iter().collect::<Option<_>>()?;
    (!pairs.is_empty()).then_some(pairs)
}

fn pair(item: &Value<'_>) -> Option<CertificateFiles> {
    item.table(CERTIFICATE, |section| {
        let mut file = |key, remedy| section.require(key, remedy)?.path();
        let (cert, key) = (file("cert", CERT), file("key", KEY));
        Some(CertificateFiles {
            cert: cert?,
            key: key?,
        })
    })?
}

fn address(section: &mut Section<'_>, seen: &mut BTreeSet<SocketAddr>) -> Option<SocketAddr> {
    let value = section.require("address", ADDRESS)?;
    let address: SocketAddr = value.parsed(ADDRESS)?;
    // Port 0 is another port each time.
    if address.port() != 0 && !seen.insert(address) {
        value.wrong(
            format!("{} is the address of another listener", value.shown()),
            "remove one of the two",
        );
        return None;
    }
    Some(address)
}
