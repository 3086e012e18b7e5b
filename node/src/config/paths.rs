//! Every file and folder a configuration makes the node use.

use crate::sandbox::Need;

use super::Config;

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
        let mut paths: Vec<_> = modules.collect();
        if let Some(file) = &self.egress.ca_file {
            paths.push(of("egress.ca_file", Need::File(file.clone())));
        }
        if let Some(folder) = &self.edge.cache_dir {
            paths.push(of("edge.cache_dir", Need::Store(folder.clone())));
        }
        paths
    }
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

    #[test]
    fn every_key_with_a_path_is_there() {
        let found = paths(
            r#"
            [egress]
            ca_file = "ca.pem"
            [edge]
            cache_dir = "/var/cache/aegis"
            [functions.a]
            module = "a.wasm"
            [functions.b]
            module = "/srv/b.wasm"
            "#,
        );
        let wanted = [
            ("functions.a.module", Need::File("/etc/aegis/a.wasm".into())),
            ("functions.b.module", Need::File("/srv/b.wasm".into())),
            ("egress.ca_file", Need::File("/etc/aegis/ca.pem".into())),
            ("edge.cache_dir", Need::Store("/var/cache/aegis".into())),
        ];
        let wanted = wanted.map(|(key, need)| (key.to_owned(), need));
        assert_eq!(found, wanted);
    }
}
