//! What is attacked: hostile functions beside the control routes.

use crate::harness::{Setup, module, node};

/// The path of the well-behaved function.
pub(crate) const FUNCTION: &str = "/control";
/// The path of the answer no function makes.
pub(crate) const FIXED: &str = "/fixed";

/// For guests that are to meet another limit than fuel.
pub(crate) const ENDLESS_FUEL: &str = "limits = { fuel = 1_000_000_000_000 }";

const CONTROL: &str = r#"
[functions.control]
module = "control.wasm"
[[routes]]
path = "/control"
functions = ["control"]
[[routes]]
path = "/fixed"
respond = { status = 200, body = "fine" }
"#;

/// `toml` and the control routes.
pub(crate) fn beside_control(toml: &str) -> Setup {
    let guest = module("(drop (call $response_set_body {fine})) (i32.const 0)");
    node(&format!("{toml}\n{CONTROL}")).wasm("control", guest)
}

/// The guest `text`, configured with `keys`, on every path but those of the control routes.
pub(crate) fn attacked(keys: &str, text: &str) -> Setup {
    let toml =
        format!("[functions.f]\nmodule = \"f.wasm\"\n{keys}\n[[routes]]\nfunctions = [\"f\"]");
    beside_control(&toml).wasm("f", text)
}

/// The guest `text` in front of the upstream at `{origin}`, on every path but those of the control routes.
pub(crate) fn in_front(keys: &str, text: &str) -> Setup {
    let toml = format!(
        "[functions.f]\nmodule = \"f.wasm\"\n{keys}\n[upstreams.origin]\nbackends = [\"{{origin}}\"]\n\
         [[routes]]\nfunctions = [\"f\"]\nupstream = \"origin\""
    );
    beside_control(&toml).wasm("f", text)
}

/// Functions by name, each on the path of its name, with its keys and guest; `rest` is the rest of the file.
pub(crate) fn several(functions: &[(&str, &str, String)], rest: &str) -> Setup {
    let section = |(name, keys, _): &(&str, &str, String)| {
        format!(
            "[functions.{name}]\nmodule = \"{name}.wasm\"\n{keys}\n\
             [[routes]]\npath = \"/{name}\"\nfunctions = [\"{name}\"]\n"
        )
    };
    let sections: String = functions.iter().map(section).collect();
    let setup = beside_control(&format!("{sections}{rest}"));
    let add = |setup: Setup, (name, _, text): &(&str, &str, String)| setup.wasm(name, text);
    functions.iter().fold(setup, add)
}
