//! Records a guest logs: cut, capped, and always one line of the node's own log.

use serde_json::Value;

use crate::harness::{Node, answers, report};

/// Everything logged until a second request logs `done`.
fn logged(node: &Node) -> Vec<String> {
    assert_eq!(node.get("/").status, 200);
    assert_eq!(node.get("/done").status, 200);
    node.stderr.wait_for(|line| line.contains("/done"));
    node.stderr.all()
}

/// A guest that logs its URI after what `body` logs on any other path than `/done`.
fn logging(body: &str) -> Node {
    let guest = report(&format!(
        "(local.set $n (call $request_get_uri))
         (drop (call $get_shared_buffer (i32.const 0x180000) (i32.const 0) (local.get $n)))
         (if (i32.eq (local.get $n) (i32.const 1)) (then {body}))
         (call $log (i32.const 0x180000) (local.get $n))"
    ));
    answers("", &guest).start()
}

#[test]
fn a_record_is_cut_at_4_kib() {
    let node = logging(
        "(memory.fill (i32.const 0x100000) (i32.const 35) (i32.const 5000))
        (call $log (i32.const 0x100000) (i32.const 5000))",
    );
    let longest = logged(&node)
        .iter()
        .map(|line| line.matches('#').count())
        .max();
    assert_eq!(longest, Some(4096));
}

#[test]
fn an_invocation_logs_no_more_than_its_limit() {
    let node = logging(
        "(memory.fill (i32.const 0x100000) (i32.const 35) (i32.const 4096))
        (loop $again
          (call $log (i32.const 0x100000) (i32.const 4096))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 100))))",
    );
    let total: usize = logged(&node)
        .iter()
        .map(|line| line.matches('#').count())
        .sum();
    assert!((32 << 10..=64 << 10).contains(&total), "{total}");
}

#[test]
fn control_characters_and_bad_utf8_stay_inside_one_json_line() {
    let node = logging("(call $log {first\\0d\\0a\\1b[31msecond\\00\\ff\\22third})");
    let lines = logged(&node);
    let line = lines.iter().find(|line| line.contains("first")).unwrap();
    assert!(
        line.contains("second") && line.contains("third") && !line.contains('\u{1b}'),
        "{line}"
    );
    for line in lines {
        assert!(
            serde_json::from_str::<Value>(&line).is_ok(),
            "not a line of JSON: {line}"
        );
    }
}

#[test]
fn a_record_names_its_function_and_request() {
    let node = logging("(call $log {who am i})");
    let line = logged(&node)
        .into_iter()
        .find(|line| line.contains("who am i"))
        .unwrap();
    assert!(line.contains("\"f\""), "{line}");
    let id = node.access("/")["request_id"].as_str().unwrap().to_owned();
    assert!(line.contains(&id), "{line}");
}
