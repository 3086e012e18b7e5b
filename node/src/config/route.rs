//! `[[routes]]`.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cache, coding::Coding, files::Settings as Files, proxy::Protocol, route::Criteria,
    scheme::Scheme, upstream,
};

use super::{
    Answer, Function, Hsts, answer, criteria, files, hsts,
    nearest::{listed, nearest},
    places::quoted,
    quantity::{MIB, TIB},
    section::Section,
    value::Value,
};

mod access;
mod cors;
mod header_edits;
mod jwt;
mod login;
mod rewrite;
mod rules;

pub use login::{LoginSettings, UserList};
pub use rules::Rules;

const FUNCTIONS: &str = "write an array of names such as [\"hello\"]";

/// Longest name, in characters: it stands in every log line of its requests.
const LONGEST_NAME: usize = 64;

/// What is done with some of the requests (`[[routes]]`).
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name in the log; where the file gives none, its position, from 0.
    pub name: String,
    /// The requests it is for.
    pub criteria: Criteria,
    /// Names of functions to run, in this order. Each is defined.
    pub functions: Vec<String>,
    /// Name of the upstream. It is defined.
    pub upstream: Option<String>,
    /// The folder whose files it serves.
    pub files: Option<Files>,
    /// The answer of a route without functions and upstream.
    pub answer: Option<Answer>,
    /// Largest request body in bytes, where it differs from the node's.
    pub body_size: Option<u64>,
    /// Whether `%2F` in a path is an opaque character instead of refused.
    pub keep_encoded_slashes: bool,
    /// Codings in which answers may go out, the preferred first.
    pub compress: Vec<Coding>,
    /// Protocols that clients may go on in; `None` where the file does not say.
    pub upgrade: Option<Vec<Protocol>>,
    /// Whether answers say what the functions used.
    pub server_timing: bool,
    /// Header edits, rewrites, access.
    pub rules: Rules,
    /// What browsers are told about later requests, over TLS.
    pub hsts: Option<Hsts>,
}

/// What routes can refer to.
pub(super) struct Targets<'a> {
    pub(super) functions: &'a BTreeMap<String, Function>,
    pub(super) upstreams: &'a BTreeMap<String, upstream::Settings>,
    /// Names the file gives to functions and upstreams, be these good or not. Absent where the
    /// file has something else than a table.
    pub(super) function_names: Option<BTreeSet<&'a str>>,
    pub(super) upstream_names: Option<BTreeSet<&'a str>>,
    /// Absent where it has problems of its own.
    pub(super) cache: Option<&'a cache::Settings>,
}

pub(super) fn read(root: &mut Section<'_>, targets: &Targets<'_>) -> Vec<Route> {
    const TABLES: &str = "write [[routes]] for each";
    let routes = root.list("routes", TABLES);
    let mut names = BTreeSet::new();
    let read = routes.iter().enumerate().filter_map(|(position, route)| {
        route.table(TABLES, |section| {
            let name = name(section, position, &mut names);
            read_route(section, name, targets)
        })?
    });
    read.collect()
}

fn read_route(section: &mut Section<'_>, name: String, targets: &Targets<'_>) -> Option<Route> {
    let mut criteria = criteria::read(section);
    let functions = functions(section, targets);
    let upstream = section.take("upstream");
    let upstream = upstream.and_then(|value| {
        let name = value.string()?;
        check_defined(&value, &name, "upstream", targets.upstream_names.as_ref());
        targets.upstreams.contains_key(&name).then_some(name)
    });
    let serves = section.has("files");
    let files = files::read(section);
    check_bodies(section, &functions, targets);
    let answers = section.has("respond") || section.has("redirect");
    let answer = answer::read(section);
    if let Some(Answer::ToHttps { .. }) = answer {
        only_in_the_clear(section, criteria.as_mut());
    }
    let body_size = section.take("body_size");
    let rules = rules::read(section, criteria.as_ref(), targets.cache);
    rules::check(section);
    let route = Route {
        name,
        functions,
        upstream,
        files,
        body_size: body_size.and_then(|value| value.size(&(0..=TIB), 10 * MIB)),
        keep_encoded_slashes: section.choice(
            "encoded_slashes",
            false,
            &[("reject", false), ("keep", true)],
        ),
        compress: files::codings(section, "compress"),
        upgrade: upgrade(section),
        server_timing: section.switch("server_timing"),
        rules,
        hsts: hsts::read(section),
        criteria: criteria?,
        answer,
    };
    check_action(section);
    let is_whole = (route.answer.is_some() || !answers) && (route.files.is_some() || !serves);
    is_whole.then_some(route)
}

/// What came over TLS would be sent to where it came from.
fn only_in_the_clear(section: &Section<'_>, criteria: Option<&mut Criteria>) {
    let Some(criteria) = criteria else { return };
    if let (Some(Scheme::Https), Some(scheme)) = (criteria.scheme, section.peek("scheme")) {
        scheme.wrong(
            "the route would redirect its requests to themselves",
            "write scheme = \"http\", or remove it",
        );
    }
    criteria.scheme = Some(Scheme::Http);
}

fn upgrade(section: &mut Section<'_>) -> Option<Vec<Protocol>> {
    const PROTOCOL: &str = "write the name of a protocol such as \"websocket\"";
    let value = section.peek("upgrade");
    let protocols = section.parsed_list("upgrade", PROTOCOL);
    let value = value?;
    if !protocols.is_empty() && !section.has("upstream") && !section.misspells("upstream") {
        let remedy = "give the route an upstream, or remove the key";
        value
            .context
            .lacks(&value.spot, "there is nobody to go on with", remedy);
    }
    Some(protocols)
}

fn name(section: &mut Section<'_>, position: usize, names: &mut BTreeSet<String>) -> String {
    let default = position.to_string();
    let Some(value) = section.take("name") else {
        if !names.insert(default.clone()) {
            section.context.lacks(
                &section.spot,
                format!("its position, {default}, is the name of another route"),
                "give one of them another name",
            );
        }
        return default;
    };
    let Some(name) = value.string() else {
        return default;
    };
    let good = |c: char| !c.is_control();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || !name.chars().all(good) {
        value.wrong(
            format!("{} cannot be a name", value.shown()),
            "write 1 to 64 characters without line breaks",
        );
    } else if !names.insert(name.clone()) {
        value.wrong(
            format!("{} is the name of another route", value.shown()),
            "give each route a name of its own",
        );
    }
    name
}

fn functions(section: &mut Section<'_>, targets: &Targets<'_>) -> Vec<String> {
    let values = section.list("functions", FUNCTIONS);
    let named: Vec<_> = values
        .iter()
        .filter_map(|value| Some((value, value.string()?)))
        .collect();
    for (value, name) in &named {
        check_defined(value, name, "function", targets.function_names.as_ref());
    }
    if let Some((value, name)) = named.last()
        && !section.has("upstream")
        && !section.misspells("upstream")
        && !section.has("files")
        && let Some(bypassed) = bypassed(name, targets)
    {
        value.context.lacks(
            &value.spot,
            format!(
                "nothing could answer in place of {bypassed:?}, whose on_failure has \"bypass\""
            ),
            "give the route an upstream or files, or the function on_failure = \"fail\"",
        );
    }
    named
        .into_iter()
        .map(|(_, name)| name)
        .filter(|name| targets.functions.contains_key(name))
        .collect()
}

/// Of the function and its fallback, the one that may be passed over.
fn bypassed<'n>(name: &'n str, targets: &Targets<'n>) -> Option<&'n str> {
    let function = targets.functions.get(name)?;
    let names = std::iter::once(name).chain(function.fallback.as_deref());
    names.into_iter().find(|name| {
        let function = targets.functions.get(*name);
        function.is_some_and(|function| function.on_failure.may_bypass())
    })
}

pub(super) fn check_defined(
    value: &Value<'_>,
    name: &str,
    kind: &str,
    names: Option<&BTreeSet<&str>>,
) {
    let Some(names) = names else { return };
    if names.contains(name) {
        return;
    }
    let known = || names.iter().copied();
    let remedy = match nearest(name, known()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None if names.is_empty() => format!("define it in [{kind}s.NAME]"),
        None => format!("defined are: {}", listed(known())),
    };
    let message = format!("there is no {kind} {}", quoted(name));
    value.context.lacks(&value.spot, message, remedy);
}

/// Files are sent as they are read, which is after their header.
fn check_bodies(section: &Section<'_>, functions: &[String], targets: &Targets<'_>) {
    let asks = |name: &&String| {
        let function = targets.functions.get(*name);
        function.is_some_and(|function| function.body.of_response())
    };
    if let (Some(files), Some(name)) = (section.peek("files"), functions.iter().find(asks)) {
        files.wrong(
            format!("{name:?} asks for the bodies of responses, and gets none of files"),
            "give the route an upstream, or the function body = \"none\" or \"request\"",
        );
    }
}

fn check_action(section: &Section<'_>) {
    let others = ["functions", "upstream", "files", "respond", "redirect"];
    let tries = |key: &&str| section.has(key) || section.misspells(key);
    if !others.iter().any(tries) {
        section.context.lacks(
            &section.spot,
            "the route does nothing",
            "give it functions, an upstream, files, respond or redirect",
        );
    }
}
