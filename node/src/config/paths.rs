//! Every file and folder a configuration makes the node use.

use std::path::PathBuf;

use crate::cache::StoreSettings;
use crate::sandbox::Need;

use super::{Config, Listener, LoginSettings};

/// A key of the file, and what of the system it makes the node use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathUse {
    /// The TOML path.
    pub key: String,
    /// Which file or folder, and what for.
    pub need: Need,
}

// === impl Config ===

impl Config {
    /// What the keys of this configuration make the node read and write. The configuration file
    /// itself is not among it.
    pub fn paths(&self) -> Vec<PathUse> {
        let modules = self.functions.iter().map(|(name, function)| {
            let key = format!("functions.{name}.module");
            of(&key, Need::File(function.module.clone()))
        });
        let paths = modules.chain(self.store_paths());
        let mut paths: Vec<_> = paths.chain(self.upstream_paths()).collect();
        let routes = self.routes.iter().enumerate();
        paths.extend(routes.filter_map(|(position, route)| {
            let root = route.files.as_ref()?.root.clone();
            let key = format!("routes[{position}].files");
            Some(of(&key, Need::Folder(root)))
        }));
        if let Some(file) = &self.egress.ca_file {
            paths.push(of("egress.ca_file", Need::File(file.clone())));
        }
        paths.extend(self.listeners.iter().flat_map(certificate_paths));
        for (position, route) in self.routes.iter().enumerate() {
            for (key, file) in route.rules.login.iter().flat_map(LoginSettings::files) {
                let key = format!("routes[{position}].{key}");
                paths.push(of(&key, Need::File(file)));
            }
        }
        if let Some(folder) = &self.edge.cache_dir {
            paths.push(of("edge.cache_dir", Need::Store(folder.clone())));
        }
        paths
    }

    fn store_paths(&self) -> Vec<PathUse> {
        let StoreSettings::Dragonfly {
            url,
            password_file,
            ca_file,
        } = &self.cache.store
        else {
            return Vec::new();
        };
        let socket = url.socket().map(|path| Need::Socket(path.to_owned()));
        let file = |file: &Option<PathBuf>| file.clone().map(Need::File);
        [
            ("cache.url", socket),
            ("cache.password_file", file(password_file)),
            ("cache.ca_file", file(ca_file)),
        ]
        .into_iter()
        .filter_map(|(key, need)| Some(of(key, need?)))
        .collect()
    }

    fn upstream_paths(&self) -> impl Iterator<Item = PathUse> {
        self.upstreams.iter().flat_map(|(name, upstream)| {
            let tls = upstream.tls.as_ref();
            let identity = tls.and_then(|tls| tls.identity.as_ref());
            let files = [
                ("ca_file", tls.and_then(|tls| tls.ca_file.clone())),
                ("cert", identity.map(|files| files.cert.clone())),
                ("key", identity.map(|files| files.key.clone())),
            ];
            files.into_iter().filter_map(move |(key, file)| {
                let key = format!("upstreams.{name}.tls.{key}");
                Some(of(&key, Need::File(file?)))
            })
        })
    }
}

fn certificate_paths(listener: &Listener) -> Vec<PathUse> {
    let Some(tls) = &listener.settings.tls else {
        return Vec::new();
    };
    let file = |key: &str, file: &PathBuf| {
        let key = format!("listeners[{}].{key}", listener.position);
        of(&key, Need::File(file.clone()))
    };
    let mut paths = Vec::new();
    for (at, pair) in tls.certificates.iter().enumerate() {
        paths.push(file(&format!("certificates[{at}].cert"), &pair.cert));
        paths.push(file(&format!("certificates[{at}].key"), &pair.key));
    }
    paths.extend(tls.client_ca.iter().map(|ca| file("client_ca", ca)));
    paths
}

fn of(key: &str, need: Need) -> PathUse {
    let key = key.to_owned();
    PathUse { key, need }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    fn paths(toml: &str) -> Vec<(String, Need)> {
        let parsed = parse(toml, Path::new("/etc/aegis"), &|_| None);
        let paths = parsed.config.paths().into_iter();
        paths.map(|path| (path.key, path.need)).collect()
    }

    /// Everything that names a file or folder, as seen from `/etc/aegis`.
    const EVERYTHING: &str = r#"
        [cache]
        url = "rediss://store"
        password_file = "secret"
        ca_file = "store.pem"
        [upstreams.a]
        backends = ["origin.example:443"]
        tls = { ca_file = "a.pem", cert = "b.pem", key = "b.key" }
        [egress]
        ca_file = "ca.pem"
        [[listeners]]
        address = "127.0.0.1:80"
        [[listeners]]
        address = "127.0.0.1:443"
        certificates = [{ cert = "site.pem", key = "/srv/site.key" }]
        client_ca = "clients.pem"
        [edge]
        cache_dir = "/var/cache/aegis"
        [functions.a]
        module = "a.wasm"
        [functions.b]
        module = "/srv/b.wasm"
        [[routes]]
        respond = { status = 200 }
        basic_auth = { file = "htpasswd" }
        [[routes]]
        respond = { status = 200 }
        jwt = { issuer = "i", jwks_file = "keys.json" }
        [[routes]]
        respond = { status = 200 }
        jwt = { issuer = "i", jwks_url = "https://i/", ca_file = "i.pem" }
        [[routes]]
        files = "public"
        [[routes]]
        files = { root = "/srv/www" }
    "#;

    #[test]
    fn every_key_with_a_path_is_there() {
        let wanted = [
            ("functions.a.module", "a.wasm"),
            ("functions.b.module", "/srv/b.wasm"),
            ("cache.password_file", "secret"),
            ("cache.ca_file", "store.pem"),
            ("upstreams.a.tls.ca_file", "a.pem"),
            ("upstreams.a.tls.cert", "b.pem"),
            ("upstreams.a.tls.key", "b.key"),
            ("routes[3].files", "public"),
            ("routes[4].files", "/srv/www"),
            ("egress.ca_file", "ca.pem"),
            ("listeners[1].certificates[0].cert", "site.pem"),
            ("listeners[1].certificates[0].key", "/srv/site.key"),
            ("listeners[1].client_ca", "clients.pem"),
            ("routes[0].basic_auth.file", "htpasswd"),
            ("routes[1].jwt.jwks_file", "keys.json"),
            ("routes[2].jwt.ca_file", "i.pem"),
            ("edge.cache_dir", "/var/cache/aegis"),
        ];
        let wanted = wanted.map(|(key, path)| {
            let path = Path::new("/etc/aegis").join(path);
            let need = match key.rsplit('.').next() {
                Some("files") => Need::Folder(path),
                Some("cache_dir") => Need::Store(path),
                _ => Need::File(path),
            };
            (key.to_owned(), need)
        });
        assert_eq!(paths(EVERYTHING), wanted);
    }

    #[test]
    fn a_socket_is_connected_to_and_not_read() {
        let found = paths("[cache]\nurl = \"unix:///run/store.sock\"");
        let wanted = (
            "cache.url".to_owned(),
            Need::Socket("/run/store.sock".into()),
        );
        assert_eq!(found, [wanted]);
    }
}
