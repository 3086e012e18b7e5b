//! `[cache]`.

use crate::cache::{MAX_TTL, Settings, StoreSettings};

use super::{
    quantity::{MIB, MILLISECOND, MINUTE, SECOND, TIB},
    section::Section,
};

const URL: &str = "write a URL such as \"redis://127.0.0.1:6379\"";

const DEFAULT_CAPACITY: u64 = 64 * MIB;
const DEFAULT_NAMESPACE_CAPACITY: u64 = 16 * MIB;

pub(super) fn read(section: &mut Section<'_>) -> Settings {
    let default = Settings::default();
    Settings {
        store: read_store(section),
        default_ttl: section.duration("default_ttl", default.default_ttl, SECOND..=MAX_TTL),
        timeout: section.duration("timeout", default.timeout, MILLISECOND..=MINUTE),
    }
}

fn read_store(section: &mut Section<'_>) -> StoreSettings {
    let embedded = read_embedded(section);
    let Some(value) = section.take("url") else {
        return embedded;
    };
    for key in ["capacity", "namespace_capacity"] {
        if let Some(useless) = section.take(key) {
            useless.wrong(
                "the in-process cache is not used where there is a url",
                "remove this key, or remove url",
            );
        }
    }
    // The address may hold a password, so it is not repeated.
    let text = value.string();
    match text.map(|text| text.parse()) {
        Some(Ok(url)) => return StoreSettings::Dragonfly { url },
        Some(Err(error)) => value.wrong(error, URL),
        None => {}
    }
    embedded
}

fn read_embedded(section: &mut Section<'_>) -> StoreSettings {
    let capacity = section.size("capacity", DEFAULT_CAPACITY, 1..=TIB);
    let known = section.context.is_sound("cache.capacity") && !section.misspells("capacity");
    let most = if known { capacity } else { TIB };
    let default = DEFAULT_NAMESPACE_CAPACITY.min(capacity);
    StoreSettings::Embedded {
        capacity,
        namespace_capacity: section.size("namespace_capacity", default, 1..=most),
    }
}
