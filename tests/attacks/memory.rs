//! A3, A4, A5: guests that take all the memory they can get.

use crate::harness::{fixture, report};
use crate::siege::Siege;
use crate::worlds::{ENDLESS_FUEL, attacked, several};

const ENTRY: &str = r#"(func (export "handle_request") (result i32) (i32.const 0))"#;

/// Grows to 50 MiB, touches every page and keeps at it.
const HOG: &str = r#"(module (memory (export "memory") 1)
    (func (export "handle_request") (result i32) (local $at i32)
      (if (i32.eq (memory.grow (i32.const 799)) (i32.const -1)) (then (return (i32.const -2))))
      (loop $again
        (i32.store (local.get $at) (i32.const 7))
        (local.set $at (i32.rem_u (i32.add (local.get $at) (i32.const 4096)) (i32.const 52428800)))
        (br $again))
      (i32.const 0)))"#;

#[test]
fn a3_a_page_past_the_limit_is_refused_and_the_last_one_within_it_works() {
    let note = "(call $note (memory.grow (i32.const 761))) (call $note (memory.grow (i32.const 760)))
        (i32.store (i32.const 0x31ffffc) (i32.const 77)) (call $note (i32.load (i32.const 0x31ffffc)))
        (call $note (memory.grow (i32.const 1)))";
    let functions = [
        ("grows", "", report(note)),
        ("traps", "", fixture("memory_hog")),
    ];
    let siege = Siege::of(several(&functions, ""));
    for answer in siege.attack(4, |client| {
        client.get(["/grows", "/traps"][client.number % 2])
    }) {
        match answer.status {
            200 => assert_eq!(answer.text(), "-1\n40\n77\n-1\n"),
            _ => assert_eq!(answer.error(), (500, "function-memory")),
        }
    }
}

/// As many at once as the function may have fit into the node's memory.
#[test]
fn a3_hogs_at_their_full_share_leave_others_theirs() {
    at_full_share(HOG);
}

/// The same with single instructions that run for many milliseconds each.
#[test]
fn a3_hogs_that_fill_50_mib_at_once_leave_others_theirs() {
    let fill = "(memory.fill (i32.const 0) (i32.const 7) (i32.const 52428800))";
    at_full_share(&HOG.replace("(i32.store (local.get $at) (i32.const 7))", fill));
}

fn at_full_share(hog: &str) {
    let keys = "limits = { fuel = 1_000_000_000_000, max_in_flight = 16 }";
    let siege = Siege::of(attacked(keys, hog));
    let answers = siege.attack(32, |client| client.get("/"));
    for answer in &answers {
        assert!(
            matches!(answer.error(), (500, "function-time") | (503, "overloaded")),
            "{:?}",
            answer.error()
        );
    }
    assert!(answers.iter().any(|answer| answer.status == 500));
    let peak = siege.peak() >> 20;
    assert!((200..1100).contains(&peak), "{peak} MiB");
}

/// Without a share of its own that bounds it, what bounds a function is the node's memory.
#[test]
fn a3_hogs_without_a_share_hold_no_more_than_the_edges_memory() {
    let keys = format!("{ENDLESS_FUEL}\n[edge]\nmemory = \"256MiB\"");
    let siege = Siege::of(attacked(&keys, HOG));
    let answers = siege.storm(16, |client| client.get("/"));
    for answer in &answers {
        assert!(
            matches!(answer.error(), (500, "function-time") | (503, "overloaded")),
            "{:?}",
            answer.error()
        );
    }
    assert!(answers.iter().any(|answer| answer.status == 503));
    let peak = siege.peak() >> 20;
    assert!(peak < 400, "{peak} MiB");
}

#[test]
fn a4_a_table_past_the_limit_is_refused() {
    let table = |least: u32, more: u32| {
        report(&format!(
            "(call $note (table.grow $t (ref.null func) (i32.const {more})))"
        ))
        .replacen(
            "(func $byte",
            &format!("(table $t {least} funcref) (func $byte"),
            1,
        )
    };
    let functions = [
        ("within", "", table(1, 9_999)),
        ("past", "", table(1, 100_000)),
        ("traps", "", fixture("table_hog")),
    ];
    let siege = Siege::of(several(&functions, ""));
    let expected = [
        (200, "", "1\n"),
        (200, "", "-1\n"),
        (500, "function-memory", ""),
    ];
    let paths = ["/within", "/past", "/traps"];
    for (number, answer) in siege.attack(3, |client| {
        (client.number, client.get(paths[client.number]))
    }) {
        let (status, code, text) = expected[number];
        assert_eq!(answer.error(), (status, code));
        assert!(status == 500 || answer.text() == text, "{}", answer.text());
    }
}

/// Refused when loaded, by `check` as by a reload, while the old module serves.
#[test]
fn a3_a4_a5_modules_that_begin_past_the_limits_are_refused() {
    let memory = r#"(memory (export "memory") 1)"#;
    let refused = [
        (r#"(memory (export "memory") 801)"#.to_owned(), "memory"),
        (r#"(memory (export "memory") 900)"#.to_owned(), "memory"),
        (format!("{memory} (table 1000000 funcref)"), "table"),
        (format!("{memory} (table 10001 funcref)"), "table"),
        (format!("{memory} (memory 1)"), "memor"),
        (
            format!("{memory} (table 1 funcref) (table 1 funcref)"),
            "table",
        ),
        (r#"(memory (export "memory") i64 1)"#.to_owned(), "memory"),
        (
            r#"(memory (export "memory") 1 1 shared)"#.to_owned(),
            "memor",
        ),
    ];
    let modules: Vec<_> = refused
        .iter()
        .map(|(parts, _)| wat::parse_str(format!("(module {parts} {ENTRY})")).unwrap())
        .collect();
    let siege = Siege::of(attacked("", &report("(call $note (i32.const 1))")));
    siege.attack(1, |client| {
        for (module, (parts, reason)) in modules.iter().zip(&refused) {
            client.node.replace("f", module);
            let line = client.node.reload_files().expect_err(parts);
            assert!(
                line.contains("functions.f") && line.contains(reason),
                "{line}"
            );
            assert_eq!(client.get("/").text(), "1\n");
        }
    });
}
