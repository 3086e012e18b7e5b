//! Who is invoked, how often, and what has to come of it.

use std::time::Duration;

use crate::it::harness::node::Setup;
use crate::it::harness::{Answer, EGRESS, Gate, Https, fixture, module, node, report};

/// One way to be invoked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guest {
    pub(crate) path: &'static str,
    pub(crate) client: Behaviour,
    /// Status and code of the error; empty for none.
    pub(crate) answer: (u16, &'static str),
}

/// What the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Waits for the answer.
    Waits,
    /// Goes away as soon as it has asked.
    Leaves,
    /// Announces a body, sends a part of it and goes away.
    LeavesInBody,
}

use Behaviour::{Leaves, LeavesInBody, Waits};

/// How long a guest waits for its HTTPS call.
const WAIT: Duration = Duration::from_millis(10);

/// Nearly every third invocation is of the first.
const GUESTS: [Guest; 15] = [
    guest("/good", Waits, (200, "")),
    guest("/loop", Waits, (500, "function-time")),
    guest("/fuel", Waits, (500, "function-fuel")),
    guest("/memory", Waits, (500, "function-memory")),
    guest("/touch", Waits, (200, "")),
    guest("/trap", Waits, (500, "function-trap")),
    guest("/stack", Waits, (500, "function-trap")),
    guest("/flood", Waits, (200, "")),
    guest("/negative", Waits, (500, "function-error")),
    guest("/headers", Waits, (200, "")),
    guest("/cache", Waits, (200, "")),
    guest("/table", Waits, (500, "function-memory")),
    guest("/start", Waits, (500, "function-fuel")),
    guest("/wait", Waits, (200, "")),
    guest("/good", LeavesInBody, (200, "")),
];

/// Clients that leave do not see how these end.
const LEFT: [Guest; 2] = [
    guest("/loop", Leaves, (500, "function-time")),
    guest("/wait", Leaves, (200, "")),
];

/// Invocations of one guest in a row, while the node warms up: all clients are at it at once.
const ROW: u64 = 50;

/// The cache is small enough to be full, and the log short enough to be written, after the first
/// thousand invocations.
const CONFIGURATION: &str = r#"
    [functions.wait]
    module = "wait.wasm"{EGRESS}
    [cache]
    capacity = "4MiB"
    namespace_capacity = "2MiB"
    [functions.good]
    module = "good.wasm"
    body = "request"
    [functions.loop]
    module = "loop.wasm"
    limits = { fuel = 1_000_000_000_000, execution_time = "2ms" }
    [functions.fuel]
    module = "loop.wasm"
    limits = { fuel = 100_000 }
    [functions.memory]
    module = "memory.wasm"
    [functions.touch]
    module = "touch.wasm"
    [functions.trap]
    module = "trap.wasm"
    [functions.stack]
    module = "stack.wasm"
    [functions.flood]
    module = "flood.wasm"
    limits = { log_size = "8KiB" }
    [functions.negative]
    module = "negative.wasm"
    [functions.headers]
    module = "headers.wasm"
    [functions.cache]
    module = "cache.wasm"
    [functions.table]
    module = "table.wasm"
    [functions.start]
    module = "start.wasm"
    limits = { fuel = 100_000 }
    [[routes]]
    path = "/control"
    respond = { status = 200, body = "fine" }
    [[routes]]
    path = "/good"
    functions = ["good"]
    [[routes]]
    path = "/loop"
    functions = ["loop"]
    [[routes]]
    path = "/fuel"
    functions = ["fuel"]
    [[routes]]
    path = "/memory"
    functions = ["memory"]
    [[routes]]
    path = "/touch"
    functions = ["touch"]
    [[routes]]
    path = "/trap"
    functions = ["trap"]
    [[routes]]
    path = "/stack"
    functions = ["stack"]
    [[routes]]
    path = "/flood"
    functions = ["flood"]
    [[routes]]
    path = "/negative"
    functions = ["negative"]
    [[routes]]
    path = "/headers"
    functions = ["headers"]
    [[routes]]
    path = "/cache"
    functions = ["cache"]
    [[routes]]
    path = "/table"
    functions = ["table"]
    [[routes]]
    path = "/start"
    functions = ["start"]
    [[routes]]
    path = "/wait"
    functions = ["wait"]
"#;

/// What a guest waits for: an answer that takes its time, and a connection that is not kept.
pub(crate) fn origin() -> Https {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nslow";
    Https::start(|_| Answer::raw(ANSWER).held_for(&Gate::default(), WAIT))
}

/// The configuration and its modules.
pub(crate) fn setup(origin: &Https) -> Setup {
    let setup = node(&CONFIGURATION.replace("{EGRESS}", EGRESS));
    let wait = format!("(call $http_get {{{}}})", origin.url("/"));
    origin
        .reachable_from(setup)
        .wasm("wait", module(&wait))
        .wasm("good", report("(call $text (call $request_get_method))"))
        .wasm("loop", fixture("endless_loop"))
        .wasm("memory", fixture("memory_hog"))
        .wasm("touch", module(TOUCH))
        .wasm("trap", module("unreachable"))
        .wasm("stack", fixture("deep_recursion"))
        .wasm("flood", module(FLOOD))
        .wasm("negative", module("(i32.const -1)"))
        .wasm("headers", module(HEADERS))
        .wasm("cache", module(CACHE))
        .wasm("table", fixture("table_hog"))
        .wasm("start", fixture("start_loop"))
}

/// Grows by 4 MiB and writes to all of it.
const TOUCH: &str = "
    (local.set $i (i32.mul (memory.grow (i32.const 64)) (i32.const 0x10000)))
    (memory.fill (local.get $i) (i32.const 7) (i32.const 0x400000))
    (i32.const 0)";

/// A thousand lines, of which most are past the limit.
const FLOOD: &str = "
    (local.set $i (i32.const 1000))
    (loop $again
      (call $log (i32.const 0x10000) (i32.const 300))
      (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (i32.const 0)";

/// As many headers as there may be, of 200 bytes.
const HEADERS: &str = "
    (memory.fill (i32.const 0x10000) (i32.const 118) (i32.const 200))
    (loop $again
      (br_if $again (i32.eqz
        (call $response_add_header {x-large} (i32.const 0x10000) (i32.const 200)))))
    (i32.const 0)";

/// Keeps 32 KiB under one of 256 keys, and answers with it.
const CACHE: &str = "
    (drop (call $random_bytes (i32.const 0x10000) (i32.const 1)))
    (drop (call $cache_set (i32.const 0x10000) (i32.const 1)
      (i32.const 0x20000) (i32.const 0x8000) (i32.const 0)))
    (call $cache_get (i32.const 0x10000) (i32.const 1))";

const fn guest(path: &'static str, client: Behaviour, answer: (u16, &'static str)) -> Guest {
    Guest {
        path,
        client,
        answer,
    }
}

/// The guest of invocation `number`: mixed, or in rows of the same.
pub(crate) fn choose(number: u64, in_rows: bool) -> Guest {
    let listed = (GUESTS.len() + LEFT.len()) as u64;
    let chosen = match in_rows {
        true => number / ROW % listed,
        // Past the end of the list it is the good one, that often.
        false => fastrand::Rng::with_seed(number).u64(0..listed + 6),
    };
    let all = GUESTS.iter().chain(&LEFT);
    let at = usize::try_from(chosen).unwrap();
    all.copied().nth(at).unwrap_or(GUESTS[0])
}
