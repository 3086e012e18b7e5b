//! A10: guests that log without end, at great length, and what would forge lines or drive a terminal.

use serde_json::Value;

use crate::harness::{Node, module, report};
use crate::siege::Siege;
use crate::worlds::{ENDLESS_FUEL, attacked, several};

/// What one invocation may log, and what a record counts for at least.
const CAP: usize = 64 << 10;
const LEAST: usize = 64;

/// The events of a node's log; every line must be one.
fn events(node: &Node) -> Vec<Value> {
    let parse = |line: &String| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: not JSON: {line}"))
    };
    node.stderr.all().iter().map(parse).collect()
}

/// The records guests logged.
fn records(events: &[Value]) -> Vec<&str> {
    let guests = events
        .iter()
        .filter(|event| event["target"] == "aegis::function");
    guests
        .map(|event| event["fields"]["message"].as_str().unwrap())
        .collect()
}

/// Logs one byte at a time until its time is over: some gigabytes in a day, if they were kept.
#[test]
fn a10_records_past_the_cap_are_counted_and_dropped() {
    let body =
        "(loop $again (call $log (i32.const 0x400) (i32.const 1)) (br $again)) (i32.const 0)";
    let siege = Siege::of(attacked(ENDLESS_FUEL, &module(body)));
    let answers = siege.attack(2, |client| client.get("/"));
    assert!(
        answers
            .iter()
            .all(|answer| answer.error() == (500, "function-time"))
    );
    let dropped = |line: &str| line.contains("were dropped");
    siege.node.stderr.wait_for(dropped);
    let events = events(&siege.node);
    let kept = records(&events).len();
    assert!(
        kept <= answers.len() * (CAP / LEAST),
        "{kept} records of {}",
        answers.len()
    );
    let dropped: u64 = events
        .iter()
        .filter_map(|event| event["fields"]["dropped"].as_u64())
        .sum();
    assert!(dropped > 100 * answers.len() as u64, "{dropped}");
}

/// One line of 50 MB, again and again.
#[test]
fn a10_a_long_record_is_cut_and_counts_for_what_is_left() {
    let guest = report(
        "(memory.fill (i32.const 0x100000) (i32.const 35) (i32.const 50000000))
         (loop $again
           (call $log (i32.const 0x100000) (i32.const 50000000))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $i) (i32.const 1000))))
         (call $log {the end})",
    );
    let guest = guest.replace(
        "(memory (export \"memory\") 40)",
        "(memory (export \"memory\") 800)",
    );
    let keys = "limits = { fuel = 1_000_000_000, execution_time = \"2s\" }";
    let siege = Siege::of(attacked(keys, &guest));
    let served = siege.storm(2, |client| client.get("/").status);
    assert_eq!(served, [200, 200]);
    let events = events(&siege.node);
    let lengths: Vec<usize> = records(&events).iter().map(|record| record.len()).collect();
    assert!(lengths.iter().all(|length| *length <= 4096), "{lengths:?}");
    assert!(lengths.iter().sum::<usize>() <= served.len() * CAP);
}

#[test]
fn a10_records_stay_on_their_line_and_off_the_terminal() {
    let hostile = [
        ("newline", "one\\0a{\\22level\\22:\\22ERROR\\22}"),
        ("return", "two\\0d\\0aFORGED 200"),
        ("escape", "three\\1b[2J\\1b]0;owned\\07"),
        ("nul", "four\\00\\08\\7f"),
        ("invalid", "five\\ff\\fe\\c3\\28\\ed\\a0\\80"),
        ("c1", "six\\c2\\9b31m\\c2\\85"),
        ("quotes", "seven\\22,\\22target\\22:\\22aegis\\22"),
    ];
    let functions = hostile.map(|(name, text)| {
        let text = text.replace('{', "\\7b").replace('}', "\\7d");
        (
            name,
            "",
            module(&format!("(call $log {{{text}}}) (i32.const 0)")),
        )
    });
    let siege = Siege::of(several(&functions, ""));
    let paths = functions.map(|(name, ..)| format!("/{name}"));
    let served = siege.attack(1, |client| {
        for path in &paths {
            assert_eq!(client.get(path).status, 200);
        }
    });
    siege.node.stderr.wait_for(|line| line.contains("seven"));
    for line in siege.node.stderr.all() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    let events = events(&siege.node);
    let records = records(&events);
    assert!(records.len() <= served.len() * hostile.len());
    for word in ["one", "two", "three", "four", "five", "six", "seven"] {
        let record = records.iter().find(|record| record.starts_with(word));
        let record = record.unwrap_or_else(|| panic!("{word} is missing"));
        assert!(!record.chars().any(char::is_control), "{record:?}");
    }
}
