//! Certificates that change on disk.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Instant;

use super::{OK, Pair, SITE};
use crate::harness::kernel::can_sandbox;
use crate::harness::lines::PATIENCE;
use crate::harness::node::message;
use crate::harness::{Authority, Client, Node, node};

/// `archive/` beside the configuration has the files, and `live/` links to them, as certbot keeps them.
struct Live(Node);

const LIVE: &str = r#"
    [[listeners]]
    address = "{listen}"
    certificates = [{ cert = "live/cert.pem", key = "live/key.pem" }]"#;

impl Live {
    fn start(rest: &str, pair: &Pair) -> Self {
        let setup = node(&format!("{LIVE}\n{rest}"));
        for folder in ["live", "archive"] {
            fs::create_dir(setup.path(folder)).unwrap();
        }
        let (certificate, key) = (certificate(pair), pair.1.serialize_pem());
        fs::write(setup.path("archive/cert1.pem"), certificate).unwrap();
        fs::write(setup.path("archive/key1.pem"), key).unwrap();
        for name in ["cert", "key"] {
            let target = format!("../archive/{name}1.pem");
            symlink(target, setup.path(&format!("live/{name}.pem"))).unwrap();
        }
        Self(setup.start())
    }

    /// Writes further files, then turns the links to them, one after the other.
    fn renew(&self, number: usize, certificate: &str, key: &str) {
        for (name, content) in [("cert", certificate), ("key", key)] {
            let file = format!("archive/{name}{number}.pem");
            fs::write(self.0.path(&file), content).unwrap();
            let (new, link) = (
                self.0.path("live/new"),
                self.0.path(&format!("live/{name}.pem")),
            );
            symlink(format!("../{file}"), &new).unwrap();
            fs::rename(new, link).unwrap();
        }
    }

    fn serves(&self, pair: &Pair) -> bool {
        let client = Client::default().open(self.0.address, Some("site.test"));
        client.unwrap().is_with(pair)
    }

    fn wait_until_served(&self, pair: &Pair) {
        let deadline = Instant::now() + PATIENCE;
        while !self.serves(pair) {
            assert!(Instant::now() < deadline, "the new certificate never comes");
        }
    }

    fn complaints(&self) -> usize {
        let of = |line: &&String| message(line).contains("certificates not renewed");
        self.0.stderr.all().iter().filter(of).count()
    }
}

fn certificate(pair: &Pair) -> String {
    pair.0.pem()
}

fn pairs<const N: usize>() -> [Pair; N] {
    let authority = Authority::new();
    [(); N].map(|()| authority.certificate(&["site.test"]))
}

#[test]
fn renewed_certificates_are_picked_up_by_themselves_and_connections_live_on() {
    let [old, new] = pairs();
    let live = Live::start(OK, &old);
    let mut kept = Client::default().open(live.0.address, None).unwrap();
    assert!(live.serves(&old) && kept.is_with(&old));
    live.renew(2, &certificate(&new), &new.1.serialize_pem());
    live.wait_until_served(&new);
    assert_eq!(kept.get("/").text(), "over tls");
}

#[test]
fn a_broken_renewal_keeps_the_old_one_and_says_so_once() {
    let [old, new, last] = pairs();
    let live = Live::start(OK, &old);
    // The key stays the old one's.
    live.renew(2, &certificate(&new), &old.1.serialize_pem());
    let told = |line: &str| message(line).contains("certificates not renewed");
    let line = live.0.stderr.find_from(0, told).expect("a complaint");
    assert!(line.contains("is not that of the certificate in"), "{line}");
    assert!(line.contains("listeners[0].certificates[0].key"), "{line}");
    assert!(live.serves(&old));
    assert!(live.0.reload_files().is_err());
    assert!(live.serves(&old));
    live.renew(3, &certificate(&last), &last.1.serialize_pem());
    live.wait_until_served(&last);
    assert_eq!(live.complaints(), 1);
}

#[test]
fn sighup_reads_them_at_once() {
    let [old, new] = pairs();
    let live = Live::start(OK, &old);
    live.renew(2, &certificate(&new), &new.1.serialize_pem());
    live.0.reload_files().unwrap();
    assert!(live.serves(&new));
}

#[test]
fn what_a_listener_does_changes_with_a_reload() {
    let [site, other] = pairs();
    let plain = format!("[[listeners]]\naddress = \"{{listen}}\"\n{OK}");
    let mut node = super::with_pair(node(&plain), "site", &site).start();
    assert_eq!(node.get("/").text(), "over tls");
    node.reload(&format!("{SITE}\n{OK}")).unwrap();
    let secure = Client::default().open(node.address, None).unwrap();
    assert!(secure.is_with(&site));
    fs::write(node.path("other.pem"), other.0.pem()).unwrap();
    fs::write(node.path("other.key"), other.1.serialize_pem()).unwrap();
    let changed = SITE.replace("site.", "other.");
    node.reload(&format!("{changed}\n{OK}")).unwrap();
    let secure = Client::default().open(node.address, None).unwrap();
    assert!(secure.is_with(&other));
    node.reload(&plain).unwrap();
    assert_eq!(node.get("/").text(), "over tls");
}

#[test]
fn the_sandbox_lets_links_into_other_folders_be_renewed() {
    if !can_sandbox() {
        return;
    }
    let [old, new] = pairs();
    let live = Live::start(&format!("{OK}\n[server]\nsandbox = true"), &old);
    live.renew(2, &certificate(&new), &new.1.serialize_pem());
    live.wait_until_served(&new);
}
