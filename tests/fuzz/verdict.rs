//! What must be true of every invocation, whatever the guest did.

use std::time::Duration;

use aegis_node::edge::{Answer, HeaderEdit, Outcome, RecordOutcome};

use super::sandbox::{Ended, LIMITS};

/// Running time is looked at by a ticker, which a busy machine may hold up, and after each host call.
const LATE: Duration = Duration::from_millis(150);

/// The wall clock goes on while the machine does other things.
const VERY_LATE: Duration = Duration::from_secs(5);

/// What a log record counts for at least.
const RECORD: usize = 64;

/// The longest a byte of a log record can become when it is escaped, as in `\u{1b}`.
const ESCAPED: usize = 6;

/// Checks outcome, figures and log against the limits.
pub(crate) fn check(ended: &Ended) {
    let [record] = &ended.records[..] else {
        panic!("one function, but not one record: {ended:?}");
    };
    let agree = match (&ended.outcome, record.outcome) {
        (Outcome::Respond(_), RecordOutcome::Respond | RecordOutcome::Forward) => true,
        (Outcome::Fail(fault), RecordOutcome::Fail(recorded)) => *fault == recorded,
        _ => false,
    };
    assert!(agree, "no outcome of a lone guest: {ended:?}");
    let spent = record.spent;
    // Once for the start section, once for the entry.
    assert!(spent.fuel <= 2 * LIMITS.fuel, "fuel: {spent:?}");
    assert!(spent.memory <= LIMITS.memory, "memory: {spent:?}");
    assert!(
        spent.running <= LIMITS.execution_time + LATE,
        "running time: {spent:?}"
    );
    assert!(
        spent.wall <= LIMITS.wall_time + VERY_LATE,
        "wall time: {spent:?}"
    );
    if let Outcome::Respond(answer) = &ended.outcome {
        check_answer(answer);
    }
    check_log(&ended.seen.logged);
}

fn check_answer(answer: &Answer) {
    let status = answer.status.as_u16();
    assert!((200..=599).contains(&status), "status {status}");
    assert!(
        answer.body.len() <= LIMITS.shared_buffer,
        "{} bytes of body",
        answer.body.len()
    );
    let headers = &answer.edits.headers;
    assert!(headers.len() <= LIMITS.response_headers, "{headers:?}");
    let mut size = 0;
    for edit in headers {
        let (name, value) = match edit {
            HeaderEdit::Set(name, value) | HeaderEdit::Add(name, value) => (name, value.as_bytes()),
            HeaderEdit::Remove(name) => (name, &b""[..]),
        };
        let control = |byte: &u8| matches!(byte, 0..=8 | 10..=31 | 127);
        assert!(!aegis_abi::is_reserved_header(name.as_str()), "{edit:?}");
        assert!(!value.iter().any(control), "{edit:?}");
        size += name.as_str().len() + value.len();
    }
    assert!(
        size <= LIMITS.response_header_size,
        "{size} bytes of headers"
    );
}

fn check_log(logged: &[String]) {
    let bytes: usize = logged.iter().map(String::len).sum();
    assert!(
        logged.len() * RECORD <= LIMITS.log_size,
        "{} records",
        logged.len()
    );
    assert!(bytes <= LIMITS.log_size * ESCAPED, "{bytes} bytes of log");
    for line in logged {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}
