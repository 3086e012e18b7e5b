//! A10: names a module gives its functions, which end up in the log when one of them traps.

use crate::siege::Siege;
use crate::worlds::attacked;

/// A chain of calls to a trap, twenty frames of functions called `name`.
fn trapping(name: &str) -> String {
    let functions: String = (0..20)
        .map(|n| {
            let then = if n == 19 {
                "unreachable".to_owned()
            } else {
                format!("(call {})", n + 1)
            };
            format!("(func (@name \"{name}\") {then})\n")
        })
        .collect();
    format!(
        "(module (memory (export \"memory\") 1) {functions} (func (export \"handle_request\") (call 0)))"
    )
}

/// A C++ name of 600 bytes whose readable form has twice as many for each of its arguments.
fn doubling() -> String {
    let digits = |n: usize| -> String {
        let all = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        if n < 36 {
            char::from(all[n]).to_string()
        } else {
            format!("{}{}", char::from(all[n / 36]), char::from(all[n % 36]))
        }
    };
    let arguments: String = (0..40)
        .map(|n| format!("S_IS{0}_S{0}_E", digits(n)))
        .collect();
    format!("_Z1f1aIiiE{arguments}")
}

#[test]
fn a10_long_names_of_functions_do_not_swell_the_log() {
    let siege = Siege::of(attacked("", &trapping(&"n".repeat(100_000))));
    for answer in siege.attack(1, |client| client.get("/")) {
        assert_eq!(answer.error(), (500, "function-trap"));
    }
    let longest = siege.node.stderr.all().iter().map(String::len).max();
    assert!(longest <= Some(64 << 10), "a line of {longest:?} bytes");
}

#[test]
fn a10_names_of_functions_stay_on_their_line_and_off_the_terminal() {
    let siege = Siege::of(attacked("", &trapping("one\\0a\\0d\\1b[2Jtwo")));
    for answer in siege.attack(1, |client| client.get("/")) {
        assert_eq!(answer.error(), (500, "function-trap"));
    }
    for line in siege.node.stderr.all() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn a10_names_that_double_when_they_are_made_readable_hold_nobody_up() {
    let siege = Siege::of(attacked("", &trapping(&doubling())));
    for answer in siege.attack(2, |client| client.get("/")) {
        assert_eq!(answer.error(), (500, "function-trap"));
    }
    let longest = siege.node.stderr.all().iter().map(String::len).max();
    assert!(longest <= Some(64 << 10), "a line of {longest:?} bytes");
}
