//! What the repository ships: the example configuration, and the example functions it names.

use std::path::Path;

use crate::harness::{Answer, Node, Origin, aegis, node, printed};

pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
pub(crate) const MODULE: &str = "wasm-edge-function-example/target/wasm32-unknown-unknown/release/aegis_edge_function_example.wasm";

pub(crate) fn require_example() {
    let built = Path::new(ROOT).join(MODULE).exists();
    assert!(
        built,
        "the example is not built: run `make test`, which builds {MODULE} first"
    );
}

/// The shipped configuration with a free port, and `origin` as its only backend.
fn shipped(origin: &Origin) -> Node {
    require_example();
    let text = std::fs::read_to_string(format!("{ROOT}/proxy-config.toml")).unwrap();
    let text = text
        .replace("0.0.0.0:8080", "{listen}")
        .replace("127.0.0.1:9000", "{origin}");
    assert!(text.contains("\"{listen}\"") && text.contains("\"{origin}\""));
    node(&text.replace(MODULE, &format!("{ROOT}/{MODULE}")))
        .set("origin", &origin.address)
        .start()
}

#[test]
fn the_configuration_passes_check() {
    require_example();
    let output = aegis(&["check", "-c", &format!("{ROOT}/proxy-config.toml")]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
}

#[test]
fn hello_answers_from_the_request() {
    let response = shipped(&Origin::saying("page")).get("/hello?name=Ada");
    assert_eq!(response.status, 200);
    assert!(response.text().contains("Ada"), "{}", response.text());
}

#[test]
fn visits_counts_up() {
    let node = shipped(&Origin::saying("page"));
    let numbers: Vec<String> = (0..3)
        .map(|_| {
            node.get("/visits")
                .text()
                .chars()
                .filter(char::is_ascii_digit)
                .collect()
        })
        .collect();
    assert_eq!(numbers, ["1", "2", "3"]);
}

#[test]
fn headers_adds_to_a_proxied_page() {
    let origin = Origin::start(|_| Answer::ok("page").header("X-Powered-By", "something"));
    let response = shipped(&origin).get("/");
    assert_eq!((response.status, response.text().as_str()), (200, "page"));
    assert_eq!(
        (response.header("x-edge"), response.header("x-powered-by")),
        (Some("aegis"), None)
    );
}

#[test]
fn errors_of_the_upstream_get_a_page() {
    let origin = Origin::start(|_| Answer::new(500, "stack trace"));
    let response = shipped(&origin).get("/");
    assert_eq!(response.status, 500);
    assert!(!response.text().contains("stack trace"));
    assert_eq!(response.header("x-edge"), Some("aegis"));
}
