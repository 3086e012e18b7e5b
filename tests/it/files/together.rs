//! Files together with functions, reloads and the sandbox.

use std::fs;

use super::{shown, site};
use crate::harness::{Request, module, phases};

/// A folder behind the function `f`.
const BEHIND: &str = r#"
    [functions.f]
    module = "f.wasm"
    {keys}
    [[routes]]
    path_prefix = "/app"
    functions = ["f"]
    files = "site""#;

const FILES: [(&str, &str); 2] = [("a.txt", "file a"), ("b.txt", "file b")];

#[test]
fn functions_answer_or_let_the_file_be_shown() {
    let guest = module(
        "(if (i32.ge_s (call $request_get_header {x-stop}) (i32.const 0))
            (then (drop (call $request_terminate (i32.const 403)))))
         (drop (call $response_set_header {x-edge} {seen}))
         (i32.const 0)",
    );
    let node = site(&BEHIND.replace("{keys}", ""), &FILES)
        .wasm("f", guest)
        .start();
    let response = node.get("/app/a.txt");
    assert_eq!((response.status, response.text().as_str()), (200, "file a"));
    assert_eq!(response.header("x-edge"), Some("seen"));
    let stopped = node.send(&Request::get("/app/a.txt").header("X-Stop", "1"));
    assert_eq!((stopped.status, stopped.text().as_str()), (403, ""));
    // The node's own errors are not edited.
    let absent = node.get("/app/absent");
    assert_eq!(
        (absent.error(), absent.header("x-edge")),
        ((404, "not-found"), None)
    );
}

#[test]
fn functions_choose_the_file_and_change_its_answer() {
    let guest = module(
        "(drop (call $request_set_uri {/app/b.txt?x=1}))
         (drop (call $request_remove_header {range}))
         (drop (call $response_set_status (i32.const 203)))
         (i32.const 0)",
    );
    let node = site(&BEHIND.replace("{keys}", ""), &FILES)
        .wasm("f", guest)
        .start();
    let response = node.send(&Request::get("/app/a.txt").header("Range", "bytes=0-1"));
    assert_eq!((response.status, response.text().as_str()), (203, "file b"));
    let outside = module("(drop (call $request_set_uri {/b.txt})) (i32.const 0)");
    let node = site(&BEHIND.replace("{keys}", ""), &FILES)
        .wasm("f", outside)
        .start();
    assert_eq!(node.get("/app/a.txt").error(), (404, "not-found"));
    let replaced = module("(drop (call $response_set_body {new})) (i32.const 0)");
    let node = site(&BEHIND.replace("{keys}", ""), &FILES)
        .wasm("f", replaced)
        .start();
    let response = node.get("/app/a.txt");
    assert_eq!(
        (response.text().as_str(), response.header("etag")),
        ("new", None)
    );
}

#[test]
fn the_response_phase_sees_the_header_of_the_file() {
    let guest = phases(
        "(i32.const 0)",
        "(drop (call $response_set_header {x-phase} {two}))
         (call $response_get_status) (i32.const 200) (i32.ne)",
    );
    let keys = "response_entry = \"handle_response\"";
    let node = site(&BEHIND.replace("{keys}", keys), &FILES)
        .wasm("f", guest.clone())
        .start();
    let response = node.get("/app/a.txt");
    assert_eq!(
        (response.text().as_str(), response.header("x-phase")),
        ("file a", Some("two"))
    );
    // Bodies of files are not read for functions.
    let keys = format!("{keys}\nbody = \"response\"");
    let setup = site(&BEHIND.replace("{keys}", &keys), &FILES).wasm("f", guest);
    let (code, text) = setup.check(&[]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("\"f\" asks for the bodies of responses"),
        "{text}"
    );
}

#[test]
fn a_bypassed_function_leaves_the_file() {
    let guest = module("(unreachable)");
    let toml = BEHIND.replace("{keys}", "on_failure = \"bypass\"");
    let node = site(&toml, &FILES).wasm("f", guest).start();
    assert_eq!(shown(&node, "/app/a.txt"), (200, "file a".to_owned()));
}

#[test]
fn a_reload_serves_another_folder() {
    let mut node = site("[[routes]]\nfiles = \"site\"", &FILES).start();
    assert_eq!(node.get("/a.txt").text(), "file a");
    fs::create_dir(node.path("site/next")).unwrap();
    fs::write(node.path("site/next/a.txt"), "next a").unwrap();
    node.reload("[[routes]]\nfiles = \"site/next\"").unwrap();
    assert_eq!(node.get("/a.txt").text(), "next a");
    let refused = node.reload("[[routes]]\nfiles = \"absent\"").unwrap_err();
    assert!(refused.contains("routes[0].files"), "{refused}");
    assert_eq!(node.get("/a.txt").text(), "next a");
}

#[test]
fn a_sandboxed_node_serves_its_folder_and_no_other() {
    let sandboxed = "[server]\nsandbox = true\n[[routes]]\nfiles = ";
    let mut node = site(&format!("{sandboxed}\"site\""), &FILES).start();
    assert_eq!(node.get("/a.txt").text(), "file a");
    assert_eq!(node.get("/absent").error(), (404, "not-found"));
    let other = tempfile::tempdir().unwrap();
    let elsewhere = format!("{sandboxed}{:?}", other.path());
    let refused = node.reload(&elsewhere).unwrap_err();
    assert!(
        refused.contains("outside what the sandbox may read"),
        "{refused}"
    );
    assert_eq!(node.get("/b.txt").text(), "file b");
}
