//! Recorded cases of malformed and ambiguous requests: what is refused, and what an upstream gets to see of each.

mod case;

use std::net::Shutdown;

use self::case::{Case, End, cases};
use crate::harness::http::Response;
use crate::harness::{Node, RawOrigin, Request, module, node};

const FILES: [(&str, &str); 8] = [
    ("request_lines", include_str!("smuggling/request_lines.txt")),
    ("targets", include_str!("smuggling/targets.txt")),
    ("hosts", include_str!("smuggling/hosts.txt")),
    ("fields", include_str!("smuggling/fields.txt")),
    ("lengths", include_str!("smuggling/lengths.txt")),
    ("codings", include_str!("smuggling/codings.txt")),
    ("chunks", include_str!("smuggling/chunks.txt")),
    ("sequences", include_str!("smuggling/sequences.txt")),
];

const AFTER: &str = "
    [[routes]]
    path = \"/after\"
    respond = { status = 204 }
    [upstreams.origin]
    backends = [\"{origin}\"]";

const PLAIN: &str = "
    [[routes]]
    upstream = \"origin\"";

const BUFFERED: &str = "
    [functions.f]
    module = \"f.wasm\"
    body = \"request\"
    [[routes]]
    functions = [\"f\"]
    upstream = \"origin\"";

#[test]
fn nothing_ambiguous_passes_a_plain_route() {
    hold(PLAIN, |_| true);
}

#[test]
fn nothing_ambiguous_passes_a_function_that_reads_bodies() {
    hold(BUFFERED, |file| {
        ["lengths", "codings", "chunks", "sequences"].contains(&file)
    });
}

#[test]
fn nothing_ambiguous_passes_where_bytes_come_one_by_one() {
    let origin = RawOrigin::start();
    let node = serving(PLAIN, &origin);
    let wrong: Vec<String> = FILES
        .iter()
        .flat_map(|(_, text)| cases(text))
        .filter(|case| case.bytes.len() < 300)
        .step_by(5)
        .filter_map(|case| difference(&case, &node, &origin, &Pace::ByteByByte))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How a case is written.
enum Pace {
    AtOnce,
    ByteByByte,
}

fn serving(route: &str, origin: &RawOrigin) -> Node {
    node(&format!("{AFTER}{route}"))
        .set("origin", &origin.address)
        .wasm("f", module("(i32.const 0)"))
        .start()
}

/// Runs the cases of the files that are `wanted` on a route.
fn hold(route: &str, wanted: impl Fn(&str) -> bool) {
    let origin = RawOrigin::start();
    let node = serving(route, &origin);
    let (mut count, mut wrong) = (0, Vec::new());
    for (file, text) in FILES.iter().filter(|(file, _)| wanted(file)) {
        for case in cases(text) {
            count += 1;
            let difference = difference(&case, &node, &origin, &Pace::AtOnce);
            wrong.extend(difference.map(|difference| format!("{file}: {difference}")));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count > 200, "only {count} cases");
    drop(node);
    assert_eq!(origin.ambiguous(), [""; 0]);
    let text = origin.text();
    let smuggled = text
        .lines()
        .filter(|line| line.starts_with("GET /smuggled"));
    // As a body, where a case says so.
    assert!(
        smuggled.clone().count() <= 3,
        "{:?}",
        smuggled.collect::<Vec<_>>()
    );
}

/// What came of a case, where it is not what was expected.
fn difference(case: &Case, node: &Node, origin: &RawOrigin, pace: &Pace) -> Option<String> {
    let mut connection = node.connect();
    match pace {
        Pace::AtOnce => connection.send(&case.bytes),
        Pace::ByteByByte => case.bytes.iter().for_each(|byte| connection.send(&[*byte])),
    }
    let mut answers: Vec<Response> = Vec::new();
    while answers.len() < case.statuses.len()
        && let Some(answer) = connection.read("GET")
    {
        answers.push(answer);
    }
    connection.send(&Request::get("/after").header("Connection", "close").bytes());
    if case.end == End::Closed {
        // A node that lingers need not.
        connection.socket().shutdown(Shutdown::Write).ok();
    }
    answers.extend(std::iter::from_fn(|| connection.read("GET")));
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    let upstream = origin.take().join(" & ");
    let (closed, open) = (&case.statuses, [&case.statuses[..], &[204]].concat());
    let as_expected = upstream == case.upstream
        && match case.end {
            End::Open => statuses == open,
            End::Closed => statuses == *closed,
            End::Either => statuses == open || statuses == *closed,
        };
    let (name, wanted) = (&case.name, &case.upstream);
    (!as_expected).then(|| format!("{name}: {statuses:?} {upstream:?}, not {closed:?} {wanted:?}"))
}
