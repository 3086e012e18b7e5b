//! `[[listeners]]`.

use std::{collections::BTreeSet, net::SocketAddr};

use super::section::Section;
use crate::listener::Settings;

const FIRST: &str = "write [[listeners]] and below it address = \"0.0.0.0:8080\"";
const ADDRESS: &str = "write an IP address and port such as \"0.0.0.0:8080\" or \"[::1]:8080\"";

/// Where clients connect (`[[listeners]]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
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
    let read = listeners.iter().filter_map(|listener| {
        let address = listener.table(TABLES, |section| address(section, &mut seen))??;
        Some(Listener {
            address,
            settings: Settings::default(),
        })
    });
    read.collect()
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
