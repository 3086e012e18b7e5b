//! What `aegis check -v` prints of a good file.

use std::fmt::Write;

use super::build::Built;
use crate::config::Config;
use crate::edge::{Function, Limits};
use crate::proxy::Target;
use crate::route::Criteria;

const MIB: usize = 1024 * 1024;

/// Routes in precedence order, then modules.
pub(super) fn listing(_config: &Config, built: &Built) -> String {
    let mut text = String::from("routes, in precedence order:\n");
    for (criteria, action) in built.snapshot.routes.in_precedence() {
        let (what, name) = (target(&action.target), &action.name);
        line(
            &mut text,
            format_args!("  {name}: {} -> {what}", describe(criteria)),
        );
    }
    if !built.resources.functions.is_empty() {
        text.push_str("functions:\n");
    }
    for function in built.resources.functions.values() {
        module(&mut text, function);
    }
    text
}

/// Writing to a string cannot fail.
fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).ok();
    text.push('\n');
}

fn describe(criteria: &Criteria) -> String {
    let hosts: Vec<String> = criteria.hosts.iter().map(ToString::to_string).collect();
    let mut text = match hosts.is_empty() {
        true => "any host".to_owned(),
        false => hosts.join(" "),
    };
    if let Some(scheme) = criteria.scheme {
        text = format!("{}, {text}", scheme.as_str());
    }
    text.push_str(&format!(", {}", criteria.path));
    if !criteria.methods.is_empty() {
        let methods: Vec<&str> = criteria.methods.iter().map(http::Method::as_str).collect();
        text.push_str(&format!(", {}", methods.join(" ")));
    }
    for (name, value) in &criteria.headers {
        text.push_str(&format!(", {name} = {value:?}"));
    }
    text
}

fn target(target: &Target) -> String {
    match target {
        Target::Answer(answer) => format!("answers {}", answer.status),
        Target::ToHttps(redirect) => {
            format!("redirects to https, {}", redirect.status.as_u16())
        }
        Target::Functions(chain) => format!("functions {}", chain.names().join(", ")),
        Target::FunctionsThenUpstream(chain, upstream) => {
            let names = chain.names().join(", ");
            format!("functions {names}, then upstream {}", upstream.name())
        }
        Target::Upstream(upstream) => format!("upstream {}", upstream.name()),
        Target::FunctionsThenFiles(chain, files) => {
            let (names, root) = (chain.names().join(", "), files.root().display());
            format!("functions {names}, then files of {root}")
        }
        Target::Files(files) => format!("files of {}", files.root().display()),
    }
}

fn module(text: &mut String, function: &Function) {
    let Limits {
        fuel,
        execution_time,
        wall_time,
        memory,
        ..
    } = function.limits();
    line(
        text,
        format_args!(
            "  {}: sha256 {}, {} bytes",
            function.name(),
            function.sha256(),
            function.size()
        ),
    );
    line(
        text,
        format_args!("    imports: {}", function.imports().join(", ")),
    );
    line(
        text,
        format_args!(
            "    limits: fuel {fuel}, execution_time {execution_time:?}, wall_time {wall_time:?}, \
             memory {}MiB",
            memory / MIB
        ),
    );
}
