//! `files` of `[[routes]]`: which folder is served, and how.

use std::path::Path;

use http::HeaderValue;

use crate::{coding::Coding, files::Settings};

use super::{section::Section, value::Value};

const FILES: &str = "write a folder such as \"public\", or a table such as { root = \"public\" }";
const ROOT: &str = "write a folder such as \"public\"";
const NAME: &str = "write the name of a file such as \"index.html\"";
const BELOW: &str = "write a file below the root such as \"index.html\"";
const CACHE_CONTROL: &str = "write a field such as \"public, max-age=3600\"";

/// Why a text does not name a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NameError {
    #[error("not a file below the folder")]
    Outside,
    #[error("not a name without slashes")]
    Slash,
}

/// The codings by their names in the configuration.
pub(super) fn codings(section: &mut Section<'_>, key: &'static str) -> Vec<Coding> {
    let words = Coding::ALL.map(|coding| (coding.name(), coding));
    let remedy = "write an array such as [\"zstd\", \"br\", \"gzip\"]";
    let mut codings = Vec::new();
    for value in section.list(key, remedy) {
        match value.choice(&words) {
            Some(coding) if codings.contains(&coding) => {
                value.wrong(format!("{} stands here twice", value.shown()), "remove one");
            }
            coding => codings.extend(coding),
        }
    }
    codings
}

pub(super) fn read(section: &mut Section<'_>) -> Option<Settings> {
    let files = section.take("files")?;
    if section.has("upstream") {
        files.wrong("a route has an upstream or files", "keep only one of them");
    }
    if files.is_string() {
        return files.path().map(Settings::new);
    }
    if !files.is_table() {
        files.wrong_type("a string or a table", FILES);
        return None;
    }
    files.table(FILES, |section| {
        let root = section.require("root", ROOT);
        let mut settings = Settings::new(root.and_then(|root| root.path()).unwrap_or_default());
        if let Some(index) = section.take("index") {
            let names = index.items("write an array of names such as [\"index.html\"]");
            let names = names.iter();
            settings.index = names
                .filter_map(|name| file(name, name_alone, NAME))
                .collect();
        }
        let fallback = section.take("fallback");
        settings.fallback = fallback.and_then(|value| file(&value, below, BELOW));
        let cache_control = section.take("cache_control");
        settings.cache_control =
            cache_control.and_then(|value| value.parsed_by(HeaderValue::from_str, CACHE_CONTROL));
        settings.precompressed = codings(section, "precompressed");
        settings.hidden = section.switch("hidden");
        (!settings.root.as_os_str().is_empty()).then_some(settings)
    })?
}

fn file(
    value: &Value<'_>,
    parse: fn(&str) -> Result<String, NameError>,
    remedy: &str,
) -> Option<String> {
    value.parsed_by(parse, remedy)
}

fn name_alone(text: &str) -> Result<String, NameError> {
    match text.contains('/') {
        true => Err(NameError::Slash),
        false => below(text),
    }
}

/// Neither absolute nor a folder, nor with a way up.
fn below(text: &str) -> Result<String, NameError> {
    let is_name = |segment: &str| !matches!(segment, "" | "." | "..") && !segment.contains('\0');
    match Path::new(text).is_relative() && text.split('/').all(is_name) {
        true => Ok(text.to_owned()),
        false => Err(NameError::Outside),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn route(files: &str) -> (Option<Settings>, Vec<String>) {
        let listener = "[[listeners]]\naddress = \"127.0.0.1:80\"\n[[routes]]\nfiles = ";
        let text = format!("{listener}{files}");
        let parsed = parse(&text, Path::new("/etc/aegis"), &|_| None);
        let problems = parsed.problems.iter();
        let problems = problems.map(|problem| format!("{}: {}", problem.path, problem.message));
        let mut routes = parsed.config.routes.into_iter();
        (
            routes.next().and_then(|route| route.files),
            problems.collect(),
        )
    }

    #[test]
    fn a_folder_alone_has_the_defaults() {
        let plain = Settings::new("/etc/aegis/public".into());
        assert_eq!(route("\"public\""), (Some(plain.clone()), vec![]));
        assert_eq!(route("{ root = \"public\" }"), (Some(plain), vec![]));
    }

    #[test]
    fn every_key_counts() {
        let (settings, problems) = route(
            "{ root = \"/srv\", index = [\"a.html\", \"b.html\"], fallback = \"app/index.html\", \
             cache_control = \"no-cache\", precompressed = [\"br\", \"gzip\"], hidden = true }",
        );
        let wanted = Settings {
            root: "/srv".into(),
            index: vec!["a.html".to_owned(), "b.html".to_owned()],
            fallback: Some("app/index.html".to_owned()),
            cache_control: Some(HeaderValue::from_static("no-cache")),
            precompressed: vec![Coding::Brotli, Coding::Gzip],
            hidden: true,
        };
        assert_eq!((settings, problems), (Some(wanted), vec![]));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        for (files, problem) in [
            (
                "7",
                "routes[0].files: expected a string or a table, found integer 7",
            ),
            ("\"\"", "routes[0].files: the path is empty"),
            ("{}", "routes[0].files.root: missing"),
            (
                "{ root = \"a\", index = [\"a/b\"] }",
                "routes[0].files.index[0]: \"a/b\": not a name without slashes",
            ),
            (
                "{ root = \"a\", index = [\"..\"] }",
                "routes[0].files.index[0]: \"..\": not a file below the folder",
            ),
            (
                "{ root = \"a\", fallback = \"/index.html\" }",
                "routes[0].files.fallback: \"/index.html\": not a file below the folder",
            ),
            (
                "{ root = \"a\", fallback = \"a/../b\" }",
                "routes[0].files.fallback: \"a/../b\": not a file below the folder",
            ),
            (
                "{ root = \"a\", precompressed = [\"deflate\"] }",
                "routes[0].files.precompressed[0]: \"deflate\" is not known here",
            ),
            (
                "{ root = \"a\", precompressed = [\"br\", \"br\"] }",
                "routes[0].files.precompressed[1]: \"br\" stands here twice",
            ),
            (
                "\"a\"\nupstream = \"b\"",
                "routes[0].files: a route has an upstream or files",
            ),
            (
                "\"a\"\nredirect = { to = \"/b\" }",
                "routes[0].redirect: a route that answers by itself has no functions, no upstream and no files",
            ),
        ] {
            let problems = route(files).1;
            assert!(
                problems.iter().any(|found| found == problem),
                "{files}: {problems:?}"
            );
        }
    }
}
