//! Files that cannot be used: found by `aegis check`, all at once, each at its key.

use std::process::Command;

use rcgen::{CertificateParams, KeyPair};

use super::with_pair;
use crate::harness::{Authority, Setup, node};

const ROUTE: &str = "[[routes]]\nrespond = { status = 200 }";

/// Each certificate but the first is broken in its own way.
const BROKEN: &str = r#"
[[listeners]]
address = "127.0.0.1:0"
certificates = [
    { cert = "site.pem", key = "site.key" },
    { cert = "absent.pem", key = "site.key" },
    { cert = "site.pem", key = "absent.key" },
    { cert = "site.key", key = "site.key" },
    { cert = "garbage.pem", key = "site.key" },
    { cert = "other.pem", key = "other.pem" },
    { cert = "other.pem", key = "garbage.key" },
    { cert = "other.pem", key = "site.key" },
    { cert = "other.pem", key = "encrypted.key" },
    { cert = "other.pem", key = "legacy.key" },
    { cert = "copy.pem", key = "copy.key" },
    { cert = "nameless.pem", key = "nameless.key" },
]
client_ca = "site.key"
"#;

/// Which key of which certificate is told of, and how.
const COMPLAINTS: [(&str, &str); 11] = [
    ("[1].cert", "cannot read absent.pem: No such file"),
    ("[2].key", "cannot read absent.key: No such file"),
    ("[3].cert", "site.key holds no PEM certificate"),
    ("[4].cert", "a certificate in garbage.pem is malformed"),
    ("[5].key", "other.pem holds no PEM private key"),
    ("[6].key", "the private key in garbage.key cannot be used"),
    (
        "[7].key",
        "the private key in site.key is not that of the certificate in other.pem",
    ),
    ("[8].key", "the private key in encrypted.key is encrypted"),
    ("[9].key", "the private key in legacy.key is encrypted"),
    (
        "[10].cert",
        "the certificate in copy.pem is for site.test, as an earlier one of this listener is",
    ),
    (
        "[11].cert",
        "the certificate in nameless.pem is for no name",
    ),
];

/// Runs openssl in the folder of `setup`.
fn openssl(setup: &Setup, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(setup.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments}: {output:?}");
}

/// The lines `aegis check` prints of a listener with these keys, without the folder they name.
fn problems(setup: &Setup) -> Vec<String> {
    let (code, printed) = setup.check(&[]);
    assert_eq!(code, Some(1), "{printed}");
    let folder = setup.path("").to_str().unwrap().to_owned();
    let lines = printed.lines().filter(|line| line.contains("listeners["));
    lines
        .map(|line| {
            let (_, problem) = line.split_once("aegis.toml: ").unwrap();
            problem.replace(&folder, "")
        })
        .collect()
}

#[test]
fn everything_wrong_with_the_files_is_told_at_once() {
    let authority = Authority::new();
    let mut setup = node(&format!("{BROKEN}{ROUTE}"));
    for (name, names) in [
        ("site", &["site.test"][..]),
        ("other", &["other.test"]),
        ("copy", &["copy.test", "site.test"]),
        ("nameless", &[]),
    ] {
        setup = with_pair(setup, name, &authority.certificate(names));
    }
    let garbage = |kind: &str| format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
    setup = setup
        .file("garbage.pem", garbage("CERTIFICATE"))
        .file("garbage.key", garbage("PRIVATE KEY"));
    openssl(
        &setup,
        "genrsa -aes128 -passout pass:x -traditional -out legacy.key 2048",
    );
    openssl(
        &setup,
        "genrsa -aes128 -passout pass:x -out encrypted.key 2048",
    );
    let found = problems(&setup);
    let expected = COMPLAINTS.map(|(key, text)| {
        let line = 5 + key
            .trim_matches(|c: char| !c.is_ascii_digit())
            .parse::<usize>()
            .unwrap();
        format!("listeners[0].certificates{key} (line {line}): {text}")
    });
    let last = "listeners[0].client_ca (line 18): site.key holds no PEM certificate".to_owned();
    let all: Vec<_> = expected.into_iter().chain([last]).collect();
    assert_eq!(found.len(), all.len(), "{found:#?}");
    for (line, expected) in found.iter().zip(&all) {
        assert!(line.starts_with(expected.as_str()), "{line}\n{expected}");
        assert!(line.contains("; "), "no remedy: {line}");
    }
}

#[test]
fn keys_of_all_usual_kinds_can_be_used_and_an_expired_certificate_is_a_warning() {
    let kinds = ["rsa", "ec", "ed25519", "expired"];
    let certificates =
        kinds.map(|kind| format!("{{ cert = \"{kind}.pem\", key = \"{kind}.key\" }}"));
    let setup = node(&format!(
        "[[listeners]]\naddress = \"127.0.0.1:0\"\ncertificates = [{}]\n{ROUTE}",
        certificates.join(", ")
    ));
    for (kind, algorithm) in [
        ("rsa", "rsa:2048"),
        ("ec", "ec -pkeyopt ec_paramgen_curve:P-384"),
        ("ed25519", "ed25519"),
    ] {
        let made = format!(
            "req -x509 -newkey {algorithm} -nodes -keyout {kind}.key -out {kind}.pem -days 1 -subj /CN=x \
             -addext subjectAltName=DNS:{kind}.test"
        );
        openssl(&setup, &made);
    }
    let mut params = CertificateParams::new(["old.test".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    let key = KeyPair::generate().unwrap();
    let setup = with_pair(setup, "expired", &(params.self_signed(&key).unwrap(), key));
    let (code, printed) = setup.check(&[]);
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(printed.matches("has expired").count(), 1, "{printed}");
    assert!(printed.contains("expired.pem"), "{printed}");
}
