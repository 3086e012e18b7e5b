//! Names of backends: followed while the node runs, and no reason not to start.

use std::net::TcpListener;

use crate::harness::node::message;
use crate::harness::{Answer, Dns, Node, Origin, Setup, node};

/// A node whose only backend is `origin.test` at the port of `origin`, as `dns` knows it.
fn named(dns: &Dns, origin: &Origin) -> Setup {
    node(
        "[upstreams.origin]\nbackends = [\"origin.test:{port}\"]\nnameservers = [\"{dns}\"]\n\
         [[routes]]\nupstream = \"origin\"",
    )
    .set("port", &origin.address.port())
    .set("dns", &dns.address)
}

/// Two origins on the same port of two addresses, 127.0.0.1 and 127.0.0.2.
fn pair() -> (Origin, Origin) {
    loop {
        let first = Origin::saying("first");
        let mut address = first.address;
        address.set_ip("127.0.0.2".parse().unwrap());
        // Another process may have this port of the other address.
        if TcpListener::bind(address).is_ok() {
            let second = Origin::start_at(address, |_| Answer::ok("second"));
            return (first, second);
        }
    }
}

fn wait_for(node: &Node, text: &str) -> String {
    node.stderr.wait_for(|line| message(line).contains(text))
}

fn count(node: &Node, text: &str) -> usize {
    let lines = node.stderr.all();
    let with = lines.iter().filter(|line| message(line).contains(text));
    with.count()
}

#[test]
fn a_change_of_addresses_is_followed_when_the_old_answer_is_no_longer_valid() {
    let (first, _second) = pair();
    let dns = Dns::start_with_ttl(&[("origin.test", &["127.0.0.1"])], 1);
    let node = named(&dns, &first).start();
    assert_eq!(node.get("/").text(), "first");
    dns.set("origin.test", &["127.0.0.2"]);
    let line = wait_for(&node, "new addresses");
    assert!(
        line.contains("127.0.0.2") && line.contains("origin.test"),
        "{line}"
    );
    assert_eq!(node.get("/").text(), "second");
}

#[test]
fn a_name_with_several_addresses_is_several_backends() {
    let (first, second) = pair();
    let dns = Dns::start(&[("origin.test", &["127.0.0.2", "127.0.0.1"])]);
    let node = named(&dns, &first).start();
    (0..10).for_each(|_| assert_eq!(node.get("/").status, 200));
    assert_eq!((first.requests().len(), second.requests().len()), (5, 5));
}

#[test]
fn a_name_that_cannot_be_resolved_any_more_keeps_its_addresses() {
    let origin = Origin::saying("page");
    let dns = Dns::start_with_ttl(&[("origin.test", &["127.0.0.1"])], 1);
    let node = named(&dns, &origin).start();
    dns.remove("origin.test");
    let line = wait_for(&node, "cannot be resolved");
    assert!(
        line.contains("WARN") && line.contains("origin.test"),
        "{line}"
    );
    assert_eq!(node.get("/").text(), "page");
    let asked = dns.questions();
    while dns.questions() < asked + 2 {
        assert_eq!(node.get("/").text(), "page");
    }
    assert_eq!(
        count(&node, "cannot be resolved"),
        1,
        "a change is one line"
    );
    dns.set("origin.test", &["127.0.0.1"]);
    wait_for(&node, "is resolved again");
    assert_eq!(count(&node, "new addresses"), 0, "they are the same");
}

#[test]
fn a_node_starts_with_a_name_that_cannot_be_resolved_and_serves_when_it_can() {
    let origin = Origin::saying("page");
    let dns = Dns::start(&[]);
    let node = named(&dns, &origin).start();
    wait_for(&node, "cannot be resolved");
    assert_eq!(node.get("/").error(), (503, "no-healthy-upstream"));
    dns.set("origin.test", &["127.0.0.1"]);
    wait_for(&node, "is resolved again");
    assert_eq!(node.get("/").text(), "page");
}

#[test]
fn a_check_of_the_file_asks_no_server() {
    let dns = Dns::start(&[]);
    let origin = Origin::saying("");
    let setup = named(&dns, &origin);
    let (code, printed) = setup.check(&[]);
    assert_eq!((code, dns.questions()), (Some(0), 0), "{printed}");
    setup.start();
    assert!(dns.questions() > 0, "a node does");
}

#[test]
fn a_name_of_the_hosts_file_needs_no_server() {
    let origin = Origin::saying("page");
    let node = node(
        "[upstreams.origin]\nbackends = [\"localhost:{port}\"]\n[[routes]]\nupstream = \"origin\"",
    )
    .set("port", &origin.address.port())
    .start();
    assert_eq!(node.get("/").text(), "page");
}
