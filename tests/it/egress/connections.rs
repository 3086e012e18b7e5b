//! Whose connections there are, and where none may lead.

use crate::harness::{Answer, EGRESS, Https, answers, module, report};

#[test]
fn functions_do_not_share_connections_and_keep_them_over_a_reload() {
    let https = Https::start(|_| Answer::ok("x"));
    let keys = format!(
        "{EGRESS}\n[functions.g]\nmodule = \"f.wasm\"\negress = [\"*\"]
         [[routes]]\npath = \"/g\"\nfunctions = [\"g\"]"
    );
    let guest = module(&format!(
        "(drop (call $http_get {{{}}})) (i32.const 0)",
        https.url("/")
    ));
    let node = https.reachable_from(answers(&keys, &guest)).start();
    for (path, connections) in [("/f", 1), ("/g", 2), ("/f", 2), ("/g", 2)] {
        assert_eq!(node.get(path).text(), "x");
        assert_eq!(https.origin.accepts(), connections, "{path}");
    }
    node.reload_files().unwrap();
    for path in ["/f", "/g"] {
        assert_eq!(node.get(path).text(), "x");
    }
    assert_eq!(https.origin.accepts(), 2);
}

#[test]
fn the_nodes_own_listener_is_refused() {
    let https = Https::start(|_| Answer::ok("neighbour"));
    let keys = r#"
        config = { own = "https://{listen}/own" }
        egress = ["*"]
        [egress]
        allow = ["{listen}", "api.example.com:{port}"]
        allow_private = ["127.0.0.0/8"]
        ca_file = "ca.pem"
        nameservers = ["{dns}"]"#;
    let body = "
        (local.set $n (call $config_get {own}))
        (drop (call $get_shared_buffer (i32.const 0x100000) (i32.const 0) (local.get $n)))
        (call $tried (call $http_get (i32.const 0x100000) (local.get $n)))
        (call $text (call $last_error))
        (call $tried (call $http_get {URL}))";
    let body = body.replace("URL", &https.url("/"));
    let node = https.reachable_from(answers(keys, &report(&body))).start();
    assert_eq!(
        node.get("/").text(),
        "-1/4\nthe host's address is the node's own\n9\n"
    );
}
