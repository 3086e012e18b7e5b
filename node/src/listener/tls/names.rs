//! Which certificate a client gets.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::error::TlsError;

/// The certificates of a listener by the names they are for.
#[derive(Debug)]
pub(super) struct Names {
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By the part after `*.`; a wildcard is for one label.
    wildcard: HashMap<Box<str>, Arc<CertifiedKey>>,
    first: Arc<CertifiedKey>,
}

impl Names {
    /// The first one is for clients that ask for another name, or none.
    pub(super) fn starting_with(first: &Certificate) -> Self {
        let mut names = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            first: Arc::clone(&first.key),
        };
        for name in &first.names {
            names.insert(name, &first.key);
        }
        names
    }

    /// Another one, from the file `path`.
    pub(super) fn add(&mut self, other: &Certificate, path: &Path) -> Result<(), TlsError> {
        let path = || path.to_owned();
        if other.names.is_empty() {
            return Err(TlsError::Nameless { path: path() });
        }
        for name in &other.names {
            let before = self.insert(name, &other.key);
            // A certificate may say a name twice.
            if before.is_some_and(|before| !Arc::ptr_eq(&before, &other.key)) {
                return Err(TlsError::NameTaken {
                    path: path(),
                    name: name.clone(),
                });
            }
        }
        Ok(())
    }

    fn insert(&mut self, name: &str, key: &Arc<CertifiedKey>) -> Option<Arc<CertifiedKey>> {
        match name.strip_prefix("*.") {
            Some(parent) => self.wildcard.insert(parent.into(), Arc::clone(key)),
            None => self.exact.insert(name.into(), Arc::clone(key)),
        }
    }

    fn choose(&self, name: Option<&str>) -> &Arc<CertifiedKey> {
        let Some(name) = name else {
            return &self.first;
        };
        let name = name.trim_end_matches('.');
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.named(&name.to_ascii_lowercase());
        }
        self.named(name)
    }

    fn named(&self, name: &str) -> &Arc<CertifiedKey> {
        let wildcard = || self.wildcard.get(name.split_once('.')?.1);
        let found = self.exact.get(name).or_else(wildcard);
        found.unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.choose(hello.server_name())))
    }
}
