//! Trust anchors: what `ca_file` may hold, and a system without any.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::egress::{Client, OwnAddresses, Settings};
use crate::trust::TrustError;

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn authority() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.self_signed(&key).unwrap().pem()
}

#[test]
fn a_file_may_hold_several_anchors() {
    let bundle = file(&format!("{}# second\n{}", authority(), authority()));
    assert_eq!(anchors(bundle.path()).unwrap().len(), 2);
}

#[test]
fn an_unusable_ca_file_is_named_with_its_key() {
    let missing = anchors(&PathBuf::from("/nonexistent/ca.pem")).unwrap_err();
    assert!(matches!(
        missing,
        BuildError::Trust(TrustError::Unreadable { .. })
    ));
    assert_eq!(missing.key(), Some("ca_file"));
    assert!(missing.to_string().contains("/nonexistent/ca.pem"));

    for text in ["", "no pem", "-----BEGIN CERTIFICATE-----\n!!\n"] {
        let empty = file(text);
        let error = anchors(empty.path()).unwrap_err();
        assert!(
            matches!(error, BuildError::Trust(TrustError::Empty { .. })),
            "{text}"
        );
    }

    let second = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = file(&format!("{}{second}", authority()));
    let error = anchors(broken.path()).unwrap_err();
    assert!(matches!(
        error,
        BuildError::Trust(TrustError::Certificate { number: 2, .. })
    ));
}

#[test]
fn a_ca_file_is_checked_even_where_nothing_is_allowed() {
    let settings = Settings {
        ca_file: Some("/nonexistent/ca.pem".into()),
        ..Settings::default()
    };
    assert!(Client::new(&settings, OwnAddresses::default()).is_err());
}

/// The system's certificates are found through the environment, so a system
/// without any is a process of its own: the ignored test below.
#[test]
fn without_any_authority_only_an_empty_allow_list_builds() {
    let name = module_path!().split_once("::").unwrap().1;
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact"])
        .arg(format!("{name}::in_a_system_without_authorities"))
        .env("SSL_CERT_FILE", "/nonexistent")
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[test]
#[ignore = "run by the test above, in a process without certificates"]
fn in_a_system_without_authorities() {
    assert!(Client::new(&Settings::default(), OwnAddresses::default()).is_ok());

    let mut settings = Settings {
        allow: ["example.com".parse().unwrap()].into_iter().collect(),
        ..Settings::default()
    };
    let error = Client::new(&settings, OwnAddresses::default())
        .err()
        .unwrap();
    assert!(matches!(error, BuildError::Trust(TrustError::NoRoots)));
    assert_eq!(error.key(), Some("ca_file"));
    assert!(error.to_string().contains("ca-certificates"));

    let authority = file(&authority());
    settings.ca_file = Some(authority.path().to_owned());
    assert!(Client::new(&settings, OwnAddresses::default()).is_ok());
}
