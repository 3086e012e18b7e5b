//! Loading modules: what is refused, what is stopped, and that it harms neither the traffic nor the next load.

mod bombs;
mod processes;
mod restart;

use crate::harness::{Setup, node};

/// A node that serves the good module `f` at `/` and has these `[edge.module_limits]`.
fn limited(limits: &str) -> Setup {
    node(&toml(limits)).file("f.wasm", good())
}

fn toml(limits: &str) -> String {
    format!(
        r#"
        [edge.module_limits]
        {limits}
        [functions.f]
        module = "f.wasm"
        limits = {{ execution_time = "10s", fuel = 1_000_000_000 }}
        [[routes]]
        functions = ["f"]"#
    )
}

fn good() -> Vec<u8> {
    with("")
}

/// A module that can serve, and has `parts` besides.
fn with(parts: &str) -> Vec<u8> {
    let served = r#"(memory (export "memory") 1) (func (export "handle_request"))"#;
    wat::parse_str(format!("(module {served} {parts})")).unwrap()
}

/// A function body that takes the compiler minutes: its time grows with the square of the depth.
fn endless_to_compile() -> Vec<u8> {
    const DEPTH: usize = 80_000;
    with(&format!(
        "(func {} {})",
        "loop ".repeat(DEPTH),
        "end ".repeat(DEPTH)
    ))
}
