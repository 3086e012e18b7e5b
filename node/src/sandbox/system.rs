//! What libraries read of the system, whatever the configuration says. Most of it is missing on
//! most systems.

use std::fs;
use std::path::{Path, PathBuf};

/// Single files, for what else is in their folders is nobody's business.
pub(super) const FILES: [&str; 15] = [
    // Names to addresses, as the C library does it.
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/ld.so.cache",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    // How many threads make sense, and how many mappings there may be.
    "/proc/cpuinfo",
    "/proc/stat",
    "/proc/sys/vm/max_map_count",
    "/sys/devices/system/cpu/online",
    "/sys/devices/system/cpu/possible",
    // Names of functions for the backtrace of a panic.
    "/proc/self/exe",
];

/// Folders with nothing else in them.
pub(super) const FOLDERS: [&str; 4] = [
    // Where /etc/resolv.conf may lead; the files there are replaced, so one rule each will not do.
    "/run/systemd/resolve",
    "/run/resolvconf",
    // The share of the processors there is to use.
    "/sys/fs/cgroup",
    // The mappings of this process, pages held and cgroup.
    "/proc/self",
];

/// Where systems keep the certificates of authorities, and what those are links to. The proxy
/// library insists on reading them, egress or not.
const AUTHORITIES: [&str; 10] = [
    "/etc/ssl/certs",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted",
    "/opt/etc/ssl/certs",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/var/lib/ca-certificates",
];

/// Where else, as the libraries for TLS take it.
const AUTHORITIES_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Files and folders with what the system trusts.
pub(super) fn authorities() -> Vec<PathBuf> {
    let named = AUTHORITIES_VARIABLES
        .iter()
        .filter_map(std::env::var_os)
        .flat_map(|list| std::env::split_paths(&list).collect::<Vec<_>>())
        .filter(|path| {
            path.canonicalize()
                .is_ok_and(|real| real.parent().is_some())
        });
    let usual = AUTHORITIES.iter().map(PathBuf::from);
    named.chain(usual).collect()
}

/// The folder of the C library, which loads more of its parts from there to look names up.
pub(super) fn libraries() -> Option<PathBuf> {
    let mappings = fs::read_to_string("/proc/self/maps").ok()?;
    let files = mappings
        .lines()
        .filter_map(|line| line.find('/').and_then(|at| line.get(at..)))
        .map(Path::new);
    let is_libc = |file: &&Path| {
        file.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("libc.so") || name.starts_with("libc-"))
    };
    let mut libraries = files.filter(is_libc);
    libraries.next()?.parent().map(Path::to_owned)
}
