//! The access log: one JSON line per request, whatever became of it.

use serde_json::Value;

use crate::harness::{Node, Origin, Request, module, node};

fn mixed(origin: &Origin) -> Node {
    let toml = r#"
        [functions.good]
        module = "good.wasm"
        [functions.bad]
        module = "bad.wasm"
        [upstreams.origin]
        backends = ["{origin}"]
        [[routes]]
        name = "proxied"
        path_prefix = "/proxied"
        functions = ["good"]
        upstream = "origin"
        [[routes]]
        name = "failing"
        path = "/failing"
        functions = ["good", "bad"]
        [[routes]]
        name = "static"
        path = "/static"
        respond = { status = 203, body = "twelve bytes" }"#;
    let setup = node(toml).set("origin", &origin.address);
    setup
        .wasm("good", module("(i32.const 0)"))
        .wasm("bad", module("unreachable"))
        .start()
}

#[test]
fn a_proxied_request_is_one_line_with_its_upstream_and_functions() {
    let origin = Origin::saying("page");
    let node = mixed(&origin);
    node.send(
        &Request::new("PUT", "/proxied/x")
            .host("shop.test")
            .body(b"in"),
    );
    let line = node.access("/proxied/x");
    assert_eq!(
        (&line["method"], &line["host"], &line["route"]),
        (&"PUT".into(), &"shop.test".into(), &"proxied".into())
    );
    assert_eq!(
        (&line["status"], line["code"].is_null(), &line["bytes_sent"]),
        (&200.into(), true, &4.into())
    );
    assert_eq!(line["upstream"], origin.address.to_string());
    assert!(line["client"].as_str().unwrap().starts_with("127.0.0.1"));
    assert!(line["duration_ms"].as_f64().unwrap() >= line["upstream_ms"].as_f64().unwrap());
    let time = line["time"].as_str().unwrap();
    assert!(
        time.starts_with("20") && time.contains('T') && time.len() >= 20,
        "{time}"
    );
    let function = &line["functions"][0];
    assert_eq!(
        (&function["name"], &function["outcome"]),
        (&"good".into(), &"forward".into())
    );
    assert!(
        function["fuel"].as_u64().unwrap() > 0
            && function["memory"].as_u64().unwrap() >= 40 * 65_536
    );
    assert!(function["wall_ms"].is_number() && function["run_ms"].is_number());
}

#[test]
fn a_failure_names_its_code_and_the_function() {
    let node = mixed(&Origin::saying("page"));
    node.get("/failing");
    let line = node.access("/failing");
    assert_eq!(
        (&line["status"], &line["code"]),
        (&500.into(), &"function-trap".into())
    );
    assert_eq!(line["functions"].as_array().unwrap().len(), 2);
    assert_eq!(
        (
            &line["functions"][1]["outcome"],
            &line["functions"][1]["code"]
        ),
        (&"fail".into(), &"function-trap".into())
    );
    assert!(line["upstream"].is_null());
}

#[test]
fn every_request_has_exactly_one_line_with_an_id_of_its_own() {
    let node = mixed(&Origin::saying("page"));
    let mut connection = node.connect();
    for i in 0..10 {
        connection.exchange(&Request::get(["/static", "/none"][i % 2]));
    }
    node.get("/proxied/last");
    node.access("/proxied/last");
    let lines: Vec<Value> = node
        .stdout
        .all()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 11);
    let mut ids: Vec<&str> = lines
        .iter()
        .map(|line| line["request_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 11);
    let none = node.access("/none");
    assert_eq!(
        (&none["status"], &none["code"], none["route"].is_null()),
        (&404.into(), &"no-route".into(), true)
    );
    let fixed = node.access("/static");
    assert_eq!(
        (&fixed["status"], &fixed["bytes_sent"], &fixed["route"]),
        (&203.into(), &12.into(), &"static".into())
    );
}

#[test]
fn what_a_client_sends_stays_inside_one_line() {
    let node = mixed(&Origin::saying("page"));
    let target = "/none\"},{\"status\":200,%0a%1b[31m";
    let request = Request::get(target)
        .host("\"}.test")
        .header("User-Agent", "\"},{");
    node.connect().exchange(&request);
    node.send(&Request::get(target));
    node.get("/static");
    node.access("/static");
    for line in node.stdout.all() {
        assert!(
            serde_json::from_str::<Value>(&line).is_ok_and(|line| line["time"].is_string()),
            "{line}"
        );
    }
}

#[test]
fn a_client_that_leaves_is_told_nothing_and_warned_of_nowhere() {
    let toml = r#"
        [functions.f]
        module = "f.wasm"
        body = "request"
        limits = { shared_buffer = "32MiB" }
        [upstreams.gone]
        backends = ["{gone}"]
        [[routes]]
        functions = ["f"]
        [[routes]]
        path = "/gone"
        upstream = "gone""#;
    let large = "(drop (memory.grow (i32.const 300)))
        (drop (call $response_set_body (i32.const 0) (i32.const 20000000))) (i32.const 0)";
    let setup = node(toml).set("gone", &Origin::absent());
    let node = setup.wasm("f", module(large)).start();

    let mut sending = node.connect();
    sending.send(b"POST /sending HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    drop(sending);
    let line = node.access("/sending");
    assert_eq!(
        (&line["status"], line["code"].is_null()),
        (&499.into(), true)
    );

    let mut reading = node.connect();
    reading.send(&Request::get("/reading").bytes());
    assert_eq!(reading.read_head().unwrap().0, 200);
    drop(reading);
    let line = node.access("/reading");
    assert_eq!(
        (&line["status"], line["code"].is_null()),
        (&200.into(), true)
    );

    // Warnings come in order: the first one is of the request that really failed.
    node.get("/gone");
    let warning = node
        .stderr
        .wait_for(|line| line.contains("a request failed"));
    assert!(warning.contains("upstream-connect"), "{warning}");
}
