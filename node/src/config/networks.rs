//! Lists of networks.

use crate::proxy::{Network, NetworkError, Networks};

use super::{section::Section, value::Value};

const NETWORK: &str = "write an address or a network such as \"192.0.2.1\" or \"10.0.0.0/8\"";

/// Those that `key` lists.
pub(super) fn take(section: &mut Section<'_>, key: &'static str) -> Networks {
    let list = section.take(key);
    list.map_or_else(Networks::default, |list| read(&list))
}

/// Those of the list that are good.
pub(super) fn read(list: &Value<'_>) -> Networks {
    let items = list.items(&format!("write an array; for each element, {NETWORK}"));
    let networks = items.iter().filter_map(|item| {
        let text = item.string()?;
        let network = text.parse::<Network>();
        let wrong = |error: &NetworkError| match error {
            NetworkError::HostBits(network) => {
                item.wrong(
                    format!("{} has bits behind its prefix", item.shown()),
                    format!("write \"{network}\""),
                );
            }
            NetworkError::Form | NetworkError::Mapped => {
                item.wrong(format!("{}: {error}", item.shown()), NETWORK);
            }
        };
        network.inspect_err(wrong).ok()
    });
    networks.collect()
}
