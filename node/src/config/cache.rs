//! `[cache]`.

use std::path::PathBuf;

use crate::cache::{MAX_TTL, NearSettings, Settings, StoreSettings, StoreUrl};

use super::{
    quantity::{MIB, MILLISECOND, MINUTE, SECOND, TIB},
    section::Section,
    value::Value,
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
        near: read_near(section),
    }
}

fn read_near(section: &mut Section<'_>) -> Option<NearSettings> {
    let default = NearSettings::default();
    let given = section.peek("near");
    let near = section.table("near", |near| NearSettings {
        capacity: near.size("capacity", default.capacity, 1..=TIB),
        ttl: near.duration("ttl", default.ttl, MILLISECOND..=MINUTE),
    });
    let given = given?;
    if !section.has("url") && !section.misspells("url") {
        given.wrong(
            "there are no copies of an in-process cache",
            "remove this key, or set url",
        );
        return None;
    }
    Some(near)
}

fn read_store(section: &mut Section<'_>) -> StoreSettings {
    let embedded = read_embedded(section);
    let Some(value) = section.take("url") else {
        refuse(
            section,
            ["password_file", "ca_file"],
            "there is no url, and the in-process cache needs none",
            "remove this key, or add url",
        );
        return embedded;
    };
    refuse(
        section,
        ["capacity", "namespace_capacity"],
        "the in-process cache is not used where there is a url",
        "remove this key, or remove url",
    );
    // The address may hold a password, so it is not repeated.
    let url = value.string().and_then(|text| {
        let url = text.parse::<StoreUrl>();
        url.map_err(|error| value.wrong(error, URL)).ok()
    });
    let password_file = section.take("password_file");
    let ca_file = section.take("ca_file");
    let Some(url) = url else { return embedded };
    let password_file = read_password_file(&url, &value, password_file);
    let ca_file = read_ca_file(&url, ca_file);
    StoreSettings::Dragonfly {
        url,
        password_file,
        ca_file,
    }
}

/// Reports keys that mean nothing here.
fn refuse(section: &mut Section<'_>, keys: [&'static str; 2], message: &str, remedy: &str) {
    for key in keys {
        if let Some(useless) = section.take(key) {
            useless.wrong(message, remedy);
        }
    }
}

/// A password is in the one place or in the other; a user needs one.
fn read_password_file(url: &StoreUrl, at: &Value<'_>, file: Option<Value<'_>>) -> Option<PathBuf> {
    match file {
        Some(file) if url.has_password() => {
            file.wrong("url has a password already", "remove one of the two");
            None
        }
        Some(file) => file.path(),
        None => {
            if url.has_user() && !url.has_password() {
                at.wrong(
                    "there is a user, but no password",
                    "write redis://user:password@host, or name a password_file",
                );
            }
            None
        }
    }
}

fn read_ca_file(url: &StoreUrl, file: Option<Value<'_>>) -> Option<PathBuf> {
    let file = file?;
    if url.is_encrypted() {
        return file.path();
    }
    file.wrong(
        "url is not over TLS, so no certificate is verified",
        "write rediss instead of redis in url, or remove this key",
    );
    None
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
