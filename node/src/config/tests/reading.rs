//! How a file is read as a whole.

use super::*;
use crate::config::{Answer, ReadError, load};

const LISTENER: &str = "[[listeners]]\naddress = \"127.0.0.1:8080\"\n";

#[test]
fn a_listener_is_all_a_file_needs() {
    let parsed = parse_text(LISTENER);
    assert_eq!(shown(&parsed), [""; 0]);
    assert!(parsed.config.routes.is_empty() && parsed.config.functions.is_empty());
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_make_no_difference() {
    let text = format!("\u{feff}{LISTENER}[server]\nthreads = \"x\"\n").replace('\n', "\r\n");
    let parsed = parse_text(&text);
    assert_eq!(parsed.config.listeners.len(), 1);
    assert_eq!(parsed.problems.len(), 1);
    assert_eq!(parsed.problems[0].line, 4);
}

#[test]
fn variables_are_replaced_in_nested_values() {
    let text = format!(
        "{LISTENER}[upstreams.origin]\nbackends = [\"127.0.0.1:${{ORIGIN_PORT}}\"]\n\
         [functions.f]\nmodule = \"${{NONE:-a}}.wasm\"\nconfig = {{ a = \"${{ORIGIN_PORT}}\", b = \"$${{X}}\" }}\n"
    );
    let parsed = parse_text(&text);
    assert_eq!(shown(&parsed), [""; 0]);
    let config = parsed.config;
    assert_eq!(config.upstreams["origin"].backends[0].port, 9000);
    assert_eq!(config.functions["f"].module, Path::new("/etc/aegis/a.wasm"));
    assert_eq!(config.functions["f"].config["a"], "9000");
    assert_eq!(config.functions["f"].config["b"], "${X}");
}

#[test]
fn good_parts_of_a_bad_file_are_kept() {
    let text = format!(
        "{LISTENER}[functions.good]\nmodule = \"/good.wasm\"\nlimits = {{ fuel = 0 }}\n\
         [functions.bad]\nentry = \"x\"\n\
         [[routes]]\nfunctions = [\"bad\", \"good\"]\n[[routes]]\npath = \"bad\"\nfunctions = [\"good\"]\n"
    );
    let parsed = parse_text(&text);
    assert_eq!(parsed.problems.len(), 3);
    let config = parsed.config;
    assert_eq!(config.functions.keys().collect::<Vec<_>>(), ["good"]);
    assert_eq!(
        config.functions["good"].limits,
        crate::edge::Limits::default()
    );
    assert_eq!(config.routes.len(), 1);
    assert_eq!(config.routes[0].functions, ["good"]);
}

#[test]
fn default_limits_fit_a_small_node() {
    let parsed = parse_text(&format!(
        "{LISTENER}[edge]\nmemory = \"8MiB\"\n[cache]\ncapacity = \"1MiB\"\n[functions.f]\nmodule = \"f.wasm\"\n"
    ));
    assert_eq!(shown(&parsed), [""; 0]);
    assert_eq!(parsed.config.functions["f"].limits.memory, 8 << 20);
}

#[test]
fn answers_are_ready_to_be_sent() {
    let parsed = parse_text(&format!(
        "{LISTENER}[[routes]]\npath = \"/a\"\nrespond = {{ body = \"ok\", headers = {{ X-A = \"1\" }} }}\n\
         [[routes]]\npath = \"/b\"\nredirect = {{ to = \"https://example.com/\" }}\n"
    ));
    assert_eq!(shown(&parsed), [""; 0]);
    let answers: Vec<_> = parsed
        .config
        .routes
        .iter()
        .map(|r| r.answer.clone())
        .collect();
    let [
        Some(Answer::Respond {
            status,
            headers,
            body,
        }),
        Some(Answer::Redirect { to, status: moved }),
    ] = answers.as_slice()
    else {
        panic!("{answers:?}");
    };
    assert_eq!((status.as_u16(), body.as_str()), (200, "ok"));
    assert_eq!(headers["x-a"], "1");
    assert_eq!((moved.as_u16(), to.as_str()), (308, "https://example.com/"));
}

#[test]
fn later_problems_have_the_line_of_what_they_are_about() {
    let text = format!(
        "{LISTENER}\n[functions.f]\nmodule = \"f.wasm\"\n\n[[routes]]\nfunctions = [\n  \"f\",\n]\n"
    );
    let config = parse_text(&text).config;
    let problem = config.problem("functions.f.module", "cannot be read", "build it");
    assert_eq!(
        problem.to_string(),
        "functions.f.module (line 5): cannot be read; build it"
    );
    assert_eq!(config.problem("functions.f.entry", "", "").line, 4);
    assert_eq!(config.problem("routes[0].functions[0]", "", "").line, 9);
    assert_eq!(config.problem("listeners[0].address", "", "").line, 2);
}

#[test]
fn deep_nesting_is_a_problem_not_a_stack_overflow() {
    for deep in [
        "[".repeat(200_000),
        "{ a = ".repeat(100_000),
        "[a.".repeat(100_000),
    ] {
        let parsed = parse_text(&format!("x = {deep}\n{LISTENER}"));
        assert_eq!(parsed.problems.len(), 1, "{:?}", shown(&parsed));
    }
}

#[test]
fn a_large_file_is_read_quickly() {
    let route = |n: usize| {
        format!("[[routes]]\nname = \"r{n}\"\npath = \"/{n}\"\nrespond = {{ status = 200 }}\n")
    };
    let text: String = (0..10_000).map(route).collect();
    let parsed = parse_text(&format!("{LISTENER}{text}"));
    assert_eq!(shown(&parsed), [""; 0]);
    assert_eq!(parsed.config.routes.len(), 10_000);
}

#[test]
fn paths_of_a_loaded_file_start_from_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.toml");
    fs::write(
        &path,
        format!("{LISTENER}[functions.f]\nmodule = \"f.wasm\"\n"),
    )
    .unwrap();
    let config = load(&path).unwrap().config;
    assert_eq!(config.functions["f"].module, folder.path().join("f.wasm"));
    let missing = load(&folder.path().join("other.toml"));
    assert!(matches!(missing, Err(ReadError::Io(_))));
}
