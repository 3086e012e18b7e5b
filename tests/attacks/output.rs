//! D1-D4: answers a guest would split, frame, disguise or swell.

use crate::harness::{Node, Origin, Request, Setup, module, report};
use crate::siege::{Client, Siege};
use crate::worlds::{attacked, in_front};

/// Everything on the wire in answer to one request, to the end of the connection.
fn wire(node: &Node, method: &str, target: &str) -> String {
    let mut connection = node.connect();
    let request = Request::new(method, target).header("Connection", "close");
    connection.send(&request.bytes());
    String::from_utf8_lossy(&connection.read_to_close()).into_owned()
}

/// The fields of an answer's head, in lower case.
fn fields(wire: &str) -> Vec<String> {
    let head = wire.split("\r\n\r\n").next().unwrap();
    head.split("\r\n").skip(1).map(str::to_lowercase).collect()
}

fn count(fields: &[String], name: &str) -> usize {
    let prefix = format!("{name}:");
    fields
        .iter()
        .filter(|field| field.starts_with(&prefix))
        .count()
}

/// The guest `body` answering by itself, and in front of an upstream.
fn both(guest: &str, attack: impl Fn(&mut Client<'_>) + Sync) {
    let origin = Origin::saying("page");
    let setups: [Setup; 2] = [
        attacked("", guest),
        in_front("", guest).set("origin", &origin.address),
    ];
    for setup in setups {
        Siege::of(setup).attack(2, &attack);
    }
}

#[test]
fn d1_no_name_or_value_splits_a_header() {
    let names = [
        "",
        "X\\0d\\0aY",
        "X\\0aY",
        "X Y",
        "X\\00Y",
        "x:y",
        "x\\09",
        "X\\0d\\0aSet-Cookie: x=1",
        "\\ff",
    ];
    let values = [
        "a\\0d\\0aSet-Cookie: x=1",
        "a\\0aSet-Cookie: x=1",
        "a\\0dSet-Cookie: x=1",
        "a\\0d\\0a\\0d\\0a<script>",
        "a\\0a",
        "a\\00",
        "\\7f",
    ];
    let mut body = String::new();
    for call in ["response_set_header", "response_add_header"] {
        for name in names {
            body += &format!("(call $tried (call ${call} {{{name}}} {{v}}))\n");
        }
        for value in values {
            body += &format!("(call $tried (call ${call} {{x-evil}} {{{value}}}))\n");
        }
        body += &format!("(call $tried (call ${call} {{:x}} {{v}}))\n");
    }
    let refused = ("-1/2\n".repeat(names.len() + values.len()) + "-1/4\n").repeat(2);
    both(&report(&body), |client| {
        let wire = wire(client.node, "GET", "/");
        let (_, answer) = wire.split_once("\r\n\r\n").unwrap();
        assert!(answer.contains(&refused), "{wire:?}");
        for trace in [
            "Set-Cookie",
            "set-cookie",
            "x-evil",
            "<script>",
            "\0",
            "x-y",
            "X\r",
        ] {
            assert!(!wire.contains(trace), "{trace:?} in {wire:?}");
        }
        assert!(!wire.replace("\r\n", "").contains('\r'), "{wire:?}");
    });
}

const OWNED: [&str; 24] = [
    "content-length",
    "Transfer-Encoding",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "Proxy-Connection",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "Host",
    "date",
    "forwarded",
    "x-forwarded-for",
    "X-Forwarded-Host",
    "x-forwarded-proto",
    "x-forwarded-",
    "x-real-ip",
    "via",
    "cdn-loop",
    "x-aegis-error",
    "X-Aegis-Anything",
    ":status",
    ":path",
];

#[test]
fn d2_the_headers_of_the_host_are_refused_and_it_frames_alone() {
    let mut body = String::new();
    for name in OWNED {
        body += &format!("(call $tried (call $response_set_header {{{name}}} {{5}}))\n");
        body += &format!("(call $tried (call $response_add_header {{{name}}} {{chunked}}))\n");
        body += &format!("(call $tried (call $response_remove_header {{{name}}}))\n");
    }
    let refused = "-1/4\n".repeat(3 * OWNED.len());
    both(&report(&body), |client| {
        let mut connection = client.node.connect();
        for _ in 0..2 {
            let answer = connection.exchange(&Request::get("/")).unwrap();
            assert_eq!((answer.status, answer.text()), (200, refused.clone()));
            assert!(answer.complete && answer.headers.iter().all(|(_, value)| value != "5"));
        }
        let fields = fields(&wire(client.node, "GET", "/"));
        assert_eq!(count(&fields, "date"), 1, "{fields:?}");
        assert_eq!(
            count(&fields, "content-length") + count(&fields, "transfer-encoding"),
            1,
            "{fields:?}"
        );
        for name in [
            "x-aegis-error",
            "x-aegis-anything",
            "via",
            "te",
            "upgrade",
            "host",
            "x-real-ip",
        ] {
            assert_eq!(count(&fields, name), 0, "{fields:?}");
        }
    });
}

#[test]
fn d3_only_final_statuses_and_no_body_where_http_has_none() {
    let refused: String = [0, 99, 100, 101, 102, 103, 199, 600, 999, -1, 65_736, i32::MIN, i32::MAX]
        .map(|status| {
            format!("(call $tried (call $response_set_status (i32.const {status}))) (call $tried (call $request_terminate (i32.const {status})))\n")
        })
        .concat();
    let guest = format!(
        "(local.set $n (call $request_get_uri))
         (if (i32.eq (local.get $n) (i32.const 1)) (then {refused} (call $answer) (return (i32.const 0))))
         (if (i32.eq (local.get $n) (i32.const 5)) (then (drop (call $response_set_status (i32.const 204)))))
         (if (i32.eq (local.get $n) (i32.const 6)) (then (drop (call $response_set_status (i32.const 304)))))
         (drop (call $response_set_body {{HTTP/1.1 200 SMUGGLED}})) (i32.const 0)"
    );
    both(&module(&guest), |client| {
        let told = wire(client.node, "GET", "/");
        assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
        assert_eq!(told.matches("-1/2\n").count(), 26, "{told}");
        assert!(!told.contains("HTTP/1.1 1"), "{told}");
        for (method, path, status) in [
            ("GET", "/five", 204),
            ("GET", "/sixth", 304),
            ("HEAD", "/head/", 304),
            ("HEAD", "/longest", 200),
        ] {
            let told = wire(client.node, method, path);
            assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{told}");
            assert!(
                told.ends_with("\r\n\r\n") && !told.contains("SMUGGLED"),
                "{told}"
            );
            assert_eq!(client.send(&Request::new(method, path)).status, status);
        }
    });
}

/// Repeats `call` `times` times and notes how often it was taken.
fn repeated(times: u32, call: &str) -> String {
    format!(
        "(local.set $i (i32.const 0)) (local.set $n (i32.const 0))
         (loop $again
           (i32.store (i32.const 0x200000) (i32.add (i32.const 0x61616161) (local.get $i)))
           (local.set $n (i32.add (local.get $n) (i32.eqz {call})))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $i) (i32.const {times}))))
         (call $note (local.get $n)) (call $note (call $last_error_code))\n"
    )
}

#[test]
fn d4_headers_stop_at_their_number_and_size() {
    let many = repeated(
        10_000,
        "(call $response_add_header {x-many} (i32.const 0x200000) (i32.const 1))",
    );
    let fill = "(memory.fill (i32.const 0x100000) (i32.const 97) (i32.const 0x100000))";
    let long = "(call $tried (call $response_set_header {x-long} (i32.const 0x100000) (i32.const 1000000)))
        (call $tried (call $response_set_header (i32.const 0x100000) (i32.const 1000000) {v}))";
    let thick = repeated(
        10_000,
        "(call $response_add_header {x-thick} (i32.const 0x100000) (i32.const 1000))",
    );
    let keys = "limits = { fuel = 1_000_000_000, execution_time = \"5s\" }";
    let siege = Siege::of(attacked(keys, &report(&format!("{fill}{long}{many}"))));
    siege.attack(2, |client| {
        let wire = wire(client.node, "GET", "/");
        let lines: Vec<&str> = wire.split_once("\r\n\r\n").unwrap().1.lines().collect();
        assert_eq!(lines[0], "-1/7");
        assert!(["-1/7", "-1/2"].contains(&lines[1]), "{lines:?}");
        assert_eq!(lines[2..], ["64", "7"]);
        let fields = fields(&wire);
        assert_eq!(count(&fields, "x-many"), 64);
        assert!(fields.len() < 74, "{fields:?}");
    });
    drop(siege);
    let siege = Siege::of(attacked(keys, &report(&format!("{fill}{thick}"))));
    siege.attack(2, |client| {
        let wire = wire(client.node, "GET", "/");
        let (head, body) = wire.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.lines().collect::<Vec<_>>(), ["16", "7"]);
        assert!(head.len() < 17 << 10, "{} bytes of head", head.len());
    });
}

/// A gigabyte in pieces: each one replaces the last, and none may be larger than the answer.
#[test]
fn d4_bodies_stop_at_their_size() {
    let tiny = repeated(
        1_000_000,
        "(call $response_set_body (i32.const 0x200000) (i32.const 1))",
    );
    let large = repeated(
        100,
        "(call $response_set_body (i32.const 0) (i32.const 10485760))",
    );
    let past = "(call $tried (call $response_set_body (i32.const 0) (i32.const 10485761)))";
    let text = report(&format!("{tiny}{large}{past}")).replace(
        "(memory (export \"memory\") 40)",
        "(memory (export \"memory\") 200)",
    );
    let keys =
        "limits = { fuel = 1_000_000_000_000, execution_time = \"20s\", wall_time = \"20s\" }";
    let siege = Siege::of(attacked(keys, &text));
    let before = siege.peak();
    for answer in siege.storm(1, |client| client.get("/").text()) {
        assert_eq!(
            answer.lines().collect::<Vec<_>>(),
            ["1000000", "0", "100", "0", "-1/3"]
        );
    }
    let more = siege.peak() - before;
    assert!(more < 64 << 20, "the node took {more} bytes more");
    drop(siege);
    let largest =
        "(drop (call $response_set_body (i32.const 0) (i32.const 10485760))) (i32.const 0)";
    let text = module(largest).replace(
        "(memory (export \"memory\") 40)",
        "(memory (export \"memory\") 200)",
    );
    let siege = Siege::of(attacked("", &text));
    for answer in siege.attack(1, |client| client.get("/")) {
        assert_eq!(
            (answer.status, answer.body.len(), answer.complete),
            (200, 10 << 20, true)
        );
    }
}

/// Clients that ask for the largest body and read no more than its head: what waits for them counts, too.
#[test]
fn d4_bodies_nobody_reads_are_held_within_the_edges_memory() {
    let largest =
        "(drop (call $response_set_body (i32.const 0) (i32.const 10485760))) (i32.const 0)";
    let text = module(largest).replace(
        "(memory (export \"memory\") 40)",
        "(memory (export \"memory\") 200)",
    );
    let siege = Siege::of(attacked("[edge]\nmemory = \"128MiB\"", &text));
    let before = siege.peak();
    let unread: Vec<_> = (0..100)
        .map(|_| {
            let mut connection = siege.node.connect();
            connection.send(&Request::get("/").bytes());
            let (status, _) = connection.read_head().unwrap();
            assert!(matches!(status, 200 | 503), "{status}");
            connection
        })
        .collect();
    assert_eq!(siege.node.get("/fixed").status, 200);
    let more = (siege.peak() - before) >> 20;
    assert!(more < 200, "the node took {more} MiB more");
    drop(unread);
    siege.storm(1, |client| client.get("/control").status);
}
