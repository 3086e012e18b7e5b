//! C2, C3, C4: a function that reaches for another one's cache, or for all of it.

use crate::harness::{Node, Redis, Setup, report};
use crate::siege::Siege;
use crate::worlds::several;

const REDIS: &str = "[cache]\nurl = \"redis://{redis}\"\ntimeout = \"5s\"";

/// Keys made to leave a namespace, in the text format's escapes, and their length.
const KEYS: [(&str, usize); 12] = [
    ("k", 1),
    ("b:k", 3),
    ("aegis:b:k", 9),
    (":k", 2),
    ("..", 2),
    ("../b/k", 6),
    ("\\7bx\\7d", 3),
    ("\\00", 1),
    ("k\\0d\\0aFLUSHALL\\0d\\0a", 13),
    ("*3\\0d\\0a$3\\0d\\0aSET\\0d\\0a", 18),
    ("*", 1),
    ("\\ff\\fe", 2),
];

/// One function that sets every key to its own name, and one that looks for them.
fn reaching() -> [(&'static str, &'static str, String); 2] {
    let each = |call: &dyn Fn(&str) -> String| -> String {
        KEYS.iter().map(|(key, _)| call(key)).collect()
    };
    let set = each(&|key| {
        format!("(call $tried (call $cache_set {{{key}}} {{from a}} (i32.const 60)))\n")
    });
    let get = each(&|key| format!("(call $tried (call $cache_get {{{key}}}))\n"));
    [
        ("a", "", report(&format!("{set}{get}"))),
        ("b", "", report(&get)),
    ]
}

/// What `a` finds of its own keys, and what `b` finds of them.
fn cross(siege: &Siege) {
    for (number, text) in siege.attack(2, |client| {
        (
            client.number,
            client.get(["/a", "/b"][client.number]).text(),
        )
    }) {
        let expected = match number {
            0 => "0\n".repeat(KEYS.len()) + &"6\n".repeat(KEYS.len()),
            _ => "-1/1\n".repeat(KEYS.len()),
        };
        assert_eq!(text, expected);
    }
}

#[test]
fn c2_no_key_reaches_another_namespace_in_process() {
    let siege = Siege::of(several(&reaching(), ""));
    cross(&siege);
}

#[test]
fn c2_no_key_reaches_another_namespace_in_redis() {
    let redis = Redis::start();
    let setup = several(&reaching(), REDIS).set("redis", &redis.address);
    assert_eq!(redis.query(&["SET", "foreign", "untouched"]), "OK");
    let siege = Siege::of(setup);
    cross(&siege);
    assert_eq!(redis.query(&["DBSIZE"]), (KEYS.len() + 1).to_string());
    assert_eq!(redis.query(&["GET", "foreign"]), "untouched");
    for key in redis
        .query(&["KEYS", "*"])
        .split('\n')
        .filter(|key| key.contains("aegis"))
    {
        assert!(key.starts_with("aegis:a:"), "{key:?}");
    }
    assert_eq!(redis.query(&["GET", "aegis:a:k\r\nFLUSHALL\r\n"]), "from a");
}

#[test]
fn c2_c3_keys_values_and_lifetimes_hold_at_their_limits_and_not_past_them() {
    let redis = Redis::start();
    let set = |key: &str, value: u32, ttl: i64| {
        format!(
            "(call $tried (call $cache_set (i32.const 0x100000) (i32.const {key}) (i32.const 0x100000) (i32.const {value}) (i32.const {ttl})))\n"
        )
    };
    let body = [
        "(memory.fill (i32.const 0x100000) (i32.const 97) (i32.const 1000))".to_owned(),
        set("0", 1, 60),
        set("256", 1, 60),
        set("257", 1, 60),
        set("1", 1 << 20, 60),
        set("1", (1 << 20) + 1, 60),
        set("2", 1, 0),
        set("3", 1, 31_536_000),
        set("4", 1, 31_536_001),
        set("5", 1, -1),
        set("6", 1, i64::from(i32::MIN)),
        set("7", 1, i64::from(i32::MAX)),
        "(call $tried (call $cache_get (i32.const 0x100000) (i32.const 1)))".to_owned(),
    ];
    let body = body.concat();
    let functions = [("limits", "", report(&body))];
    let expected = [
        "-1/2", "0", "-1/3", "0", "-1/3", "0", "0", "-1/2", "-1/2", "-1/2", "-1/2", "1048576",
    ];
    for rest in ["", REDIS] {
        let siege = Siege::of(several(&functions, rest).set("redis", &redis.address));
        for text in siege.attack(1, |client| client.get("/limits").text()) {
            assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{rest}");
        }
    }
    // Nothing is kept for ever: one year at most, the default where none was given.
    let ttl = |key: &str| {
        redis
            .query(&["TTL", &format!("aegis:limits:{key}")])
            .parse::<i64>()
            .unwrap()
    };
    assert!((3500..=3600).contains(&ttl("aa")), "{}", ttl("aa"));
    assert!((31_535_900..=31_536_000).contains(&ttl("aaa")));
    for key in redis.query(&["KEYS", "*"]).split('\n') {
        assert!(
            redis.query(&["TTL", key]).parse::<i64>().unwrap() > 0,
            "{key}"
        );
    }
}

/// `flood` sets a thousand keys of a KiB per request, each time others; `kept` sets and counts fifty.
fn flooding() -> Setup {
    let flood = "
        (drop (call $random_bytes (i32.const 0x100000) (i32.const 8)))
        (loop $again
          (i32.store (i32.const 0x100008) (local.get $i))
          (drop (call $cache_set (i32.const 0x100000) (i32.const 12) (i32.const 0x110000) (i32.const 1024) (i32.const 3600)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 1000))))";
    let walk = |call: &str| {
        format!(
            "(loop $again
               (i32.store (i32.const 0x100000) (local.get $i))
               {call}
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const 50))))
             (call $note (local.get $n))"
        )
    };
    let set = walk("(local.set $n (i32.add (local.get $n)
        (call $cache_set (i32.const 0x100000) (i32.const 4) (i32.const 0x100000) (i32.const 4096) (i32.const 3600))))");
    let count = walk(
        "(local.set $n (i32.add (local.get $n)
        (i32.eq (call $cache_get (i32.const 0x100000) (i32.const 4)) (i32.const 4096))))",
    );
    let keys = "limits = { fuel = 100_000_000, execution_time = \"2s\" }";
    let shared = "cache_namespace = \"kept\"";
    let functions = [
        ("flood", keys, report(flood)),
        ("keep", shared, report(&set)),
        ("count", shared, report(&count)),
    ];
    several(&functions, "")
}

fn kept(node: &Node) -> String {
    node.get("/count").text()
}

#[test]
fn c4_a_flood_of_100_000_entries_costs_no_other_namespace_its_own() {
    let siege = Siege::of(flooding());
    assert_eq!(siege.node.get("/keep").text(), "0\n");
    // A first flood fills what its namespace may hold, so that what comes after it takes nothing more.
    for _ in 0..25 {
        siege.node.get("/flood");
    }
    let floods = siege.attack(2, |client| {
        assert_eq!(client.get("/flood").status, 200);
        assert_eq!(kept(client.node), "50\n");
    });
    for _ in floods.len()..100 {
        siege.node.get("/flood");
    }
    assert_eq!(kept(&siege.node), "50\n");
}
