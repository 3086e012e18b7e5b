//! Who a request is from: behind trusted proxies and without, as upstreams, functions and the access log see it.

use serde_json::Value;

use crate::harness::{Node, Origin, Received, Request, module, node};

const LOCAL: &str = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\", \"2001:db8::/32\"]";

/// Says in `x-seen` which client address it was told.
const SEES: &str = "
    (local.set $n (call $request_get_client_address))
    (drop (call $get_shared_buffer (i32.const 0x100000) (i32.const 0) (local.get $n)))
    (drop (call $request_set_header {x-seen} (i32.const 0x100000) (local.get $n)))
    (i32.const 0)";

/// A node with `keys` in `[server]`; a function looks on.
fn behind(keys: &str) -> (Origin, Node) {
    let origin = Origin::saying("fine");
    let toml = format!(
        r#"
        [server]
        {keys}
        [functions.f]
        module = "f.wasm"
        [upstreams.origin]
        backends = ["{{origin}}"]
        [[routes]]
        functions = ["f"]
        upstream = "origin""#
    );
    let setup = node(&toml).set("origin", &origin.address);
    (origin, setup.wasm("f", module(SEES)).start())
}

fn with(fields: &[(&str, &str)]) -> Request {
    let get = Request::get("/").host("shop.test");
    fields
        .iter()
        .fold(get, |request, (name, value)| request.header(name, value))
}

/// What the origin gets of a request with these fields.
fn sent(origin: &Origin, node: &Node, fields: &[(&str, &str)]) -> Received {
    assert_eq!(node.send(&with(fields)).status, 200, "{fields:?}");
    origin.last()
}

/// Of each field its only value.
fn told(received: &Received) -> [&str; 4] {
    let only = |name| match received.all(name)[..] {
        [value] => value,
        ref values => panic!("{name}: {values:?}"),
    };
    [
        only("x-forwarded-for"),
        only("x-real-ip"),
        only("x-forwarded-proto"),
        only("x-forwarded-host"),
    ]
}

#[test]
fn nobody_is_trusted_by_default() {
    let (origin, node) = behind("");
    let claims = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-For", "192.0.2.2"),
        ("X_Forwarded_For", "192.0.2.3"),
        ("Forwarded", "for=192.0.2.4;proto=https;host=other.test"),
        ("X-Real-IP", "192.0.2.5"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "other.test"),
        ("X-Forwarded-Port", "443"),
        ("X-Request-Id", "mine"),
    ];
    let received = sent(&origin, &node, &claims);
    assert_eq!(
        told(&received),
        ["127.0.0.1", "127.0.0.1", "http", "shop.test"]
    );
    assert_eq!(received.all("x-seen"), ["127.0.0.1"]);
    let others = ["forwarded", "x-forwarded-port", "x_forwarded_for"];
    assert_eq!(others.map(|name| received.header(name)), [None; 3]);
    assert_ne!(received.header("x-request-id"), Some("mine"));
    let line = node.access("/");
    assert_eq!(
        (&line["client"], &line["peer"]),
        (&"127.0.0.1".into(), &Value::Null)
    );
}

#[test]
fn a_proxy_outside_the_networks_is_not_trusted() {
    let (origin, node) = behind("trusted_proxies = [\"10.0.0.0/8\", \"127.0.0.2\", \"::1\"]");
    let received = sent(&origin, &node, &[("X-Forwarded-For", "10.0.0.1")]);
    assert_eq!(told(&received)[0], "127.0.0.1");
}

#[test]
fn a_chain_of_trusted_proxies_leads_to_the_client() {
    let (origin, node) = behind(LOCAL);
    let [v4, v6] = ["192.0.2.1", "2001:db9::1"];
    for (list, client, path) in [
        ("192.0.2.1", v4, "192.0.2.1, 127.0.0.1"),
        ("6.6.6.6, 192.0.2.1", v4, "192.0.2.1, 127.0.0.1"),
        (
            "192.0.2.1, 10.0.0.1, 2001:db8::1",
            v4,
            "192.0.2.1, 10.0.0.1, 2001:db8::1, 127.0.0.1",
        ),
        (
            "[2001:DB9::1]:4711, 10.0.0.1:80",
            v6,
            "2001:db9::1, 10.0.0.1, 127.0.0.1",
        ),
        (
            "10.0.0.2, 10.0.0.1",
            "10.0.0.2",
            "10.0.0.2, 10.0.0.1, 127.0.0.1",
        ),
        (
            "192.0.2.1, unknown, 10.0.0.1",
            "10.0.0.1",
            "10.0.0.1, 127.0.0.1",
        ),
        ("192.0.2.1, '; drop", "127.0.0.1", "127.0.0.1"),
    ] {
        let received = sent(&origin, &node, &[("X-Forwarded-For", list)]);
        assert_eq!(
            told(&received),
            [path, client, "http", "shop.test"],
            "{list}"
        );
        assert_eq!(received.all("x-seen"), [client], "{list}");
    }
    let lines = [
        ("X-Forwarded-For", "6.6.6.6, 192.0.2.1"),
        ("X-Forwarded-For", "10.0.0.1"),
    ];
    assert_eq!(told(&sent(&origin, &node, &lines))[1], "192.0.2.1");
    let line = node.access("/");
    assert_eq!(
        (&line["client"], &line["peer"]),
        (&v4.into(), &"127.0.0.1".into())
    );
}

#[test]
fn forwarded_counts_where_the_usual_list_is_missing() {
    let (origin, node) = behind(LOCAL);
    let forwarded = (
        "Forwarded",
        "for=6.6.6.6, for=\"192.0.2.1:4711\";proto=https;host=\"shop.test:8443\", for=10.0.0.1",
    );
    let received = sent(&origin, &node, &[forwarded]);
    let path = "192.0.2.1, 10.0.0.1, 127.0.0.1";
    assert_eq!(
        told(&received),
        [path, "192.0.2.1", "https", "shop.test:8443"]
    );
    assert_eq!(received.header("forwarded"), None);
    let v6 = sent(&origin, &node, &[("Forwarded", "For=\"[2001:db9::1]\"")]);
    assert_eq!(told(&v6)[1], "2001:db9::1");
    let both = sent(
        &origin,
        &node,
        &[forwarded, ("X-Forwarded-For", "192.0.2.9")],
    );
    assert_eq!(
        told(&both),
        ["192.0.2.9, 127.0.0.1", "192.0.2.9", "http", "shop.test"]
    );
    let real = sent(&origin, &node, &[("X-Real-IP", "192.0.2.3")]);
    assert_eq!(told(&real)[1], "192.0.2.3");
    let malformed = sent(&origin, &node, &[("Forwarded", "for=192.0.2.1;\"")]);
    assert_eq!(told(&malformed)[1], "127.0.0.1");
}

#[test]
fn a_trusted_proxy_says_which_scheme_and_host_the_client_used() {
    let (origin, node) = behind(LOCAL);
    let fields = [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "www.shop.test"),
    ];
    let received = sent(&origin, &node, &fields);
    assert_eq!(
        told(&received),
        ["127.0.0.1", "127.0.0.1", "https", "www.shop.test"]
    );
    assert_eq!(received.all("host"), ["shop.test"], "Host stays what it is");
    let fields = [
        ("X-Forwarded-Proto", "javascript"),
        ("X-Forwarded-Host", "a b"),
    ];
    assert_eq!(
        told(&sent(&origin, &node, &fields))[2..],
        ["http", "shop.test"]
    );
}

#[test]
fn a_connection_option_cannot_take_the_clients_address_away() {
    for keys in ["", LOCAL] {
        let (origin, node) = behind(keys);
        for option in [
            "X-Forwarded-For",
            "Forwarded",
            "X-Real-IP",
            "x-forwarded-proto",
        ] {
            let request = with(&[("Connection", option), ("X-Forwarded-For", "192.0.2.1")]);
            assert_eq!(
                node.send(&request).error(),
                (400, "bad-request"),
                "{option}"
            );
        }
        assert!(origin.requests().is_empty());
    }
}

#[test]
fn request_ids_of_trusted_proxies_are_kept() {
    let (origin, node) = behind(LOCAL);
    let id = "Root=1-67891233-abcdef012345678912345678";
    let received = sent(&origin, &node, &[("X-Request-Id", id)]);
    assert_eq!(received.all("x-request-id"), [id]);
    let line = node.access("/");
    assert_eq!(line["request_id"], id);
    let trace = received.header("traceparent").unwrap();
    assert_eq!(Some(&trace[3..35]), line["trace_id"].as_str());
    let long = "x".repeat(129);
    for id in ["", "a b", "a\"b", "a,b", &long] {
        let received = sent(&origin, &node, &[("X-Request-Id", id)]);
        let own = received.header("x-request-id").unwrap();
        assert!(own.len() == 32 && own != id, "{id}: {own}");
    }
}

#[test]
fn traces_go_on_or_begin() {
    let (origin, node) = behind("");
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let fields = [
        ("traceparent", good),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    ];
    let received = sent(&origin, &node, &fields);
    assert_eq!(received.all("traceparent"), [good]);
    assert_eq!(received.all("tracestate"), ["a=1", "b=2"]);
    assert_eq!(
        node.access("/")["trace_id"],
        "0af7651916cd43dd8448eb211c80319c"
    );
    let zeros = good.replace("b7ad6b7169203331", &"0".repeat(16));
    let upper = good.to_uppercase();
    let twice = [
        ("traceparent", good),
        ("traceparent", good),
        ("tracestate", "a=1"),
    ];
    let alone = [("tracestate", "a=1")];
    let invalid = |value| [("traceparent", value), ("tracestate", "a=1")];
    let cases: [&[(&str, &str)]; 6] = [
        &[],
        &alone,
        &twice,
        &invalid(&zeros),
        &invalid(&upper),
        &invalid("00-1-2-3"),
    ];
    for fields in cases {
        let received = sent(&origin, &node, fields);
        let [begun] = received.all("traceparent")[..] else {
            panic!("{fields:?}");
        };
        let id = received.header("x-request-id").unwrap();
        assert_eq!(begun.split('-').nth(1), Some(id), "{fields:?}");
        assert!(begun.starts_with("00-") && begun.ends_with("-01") && begun.len() == 55);
        assert_eq!(received.header("tracestate"), None, "{fields:?}");
    }
}

#[test]
fn what_trusted_proxies_say_can_be_changed_by_a_reload() {
    let (origin, mut node) = behind("");
    let list = [("X-Forwarded-For", "192.0.2.1")];
    assert_eq!(told(&sent(&origin, &node, &list))[1], "127.0.0.1");
    let toml = format!(
        "[server]\n{LOCAL}\n[upstreams.o]\nbackends = [\"{}\"]\n[[routes]]\nupstream = \"o\"",
        origin.address
    );
    node.reload(&toml).unwrap();
    assert_eq!(told(&sent(&origin, &node, &list))[1], "192.0.2.1");
}

#[test]
fn networks_that_are_none_are_told() {
    let toml = "[server]\ntrusted_proxies = [\"10.0.0.0/33\", \"proxy.test\", \"10.0.0.1\"]\n[[routes]]\nrespond = { status = 200 }";
    let (code, printed) = node(toml).check(&[]);
    assert_eq!(code, Some(1));
    for wrong in ["trusted_proxies[0]", "trusted_proxies[1]"] {
        assert!(printed.contains(wrong), "{printed}");
    }
    assert!(!printed.contains("trusted_proxies[2]"), "{printed}");
}
