//! Routes that serve the files of a folder.

mod hostile;
mod parts;
mod together;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::harness::{Node, Request, Setup, node};

/// A configuration with these keys for its only route, and a folder `site` beside it. `{files}` in
/// `toml` is that folder.
fn site(toml: &str, files: &[(&str, &str)]) -> Setup {
    let setup = node(toml);
    fs::create_dir(setup.path("site")).unwrap();
    for (name, text) in files {
        write(&setup.path("site").join(name), text);
    }
    setup
}

/// A file that has not been changed for a while.
fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    let past = SystemTime::now() - Duration::from_secs(3600);
    file.set_modified(past).unwrap();
}

/// Status and body.
fn shown(node: &Node, target: &str) -> (u16, String) {
    let response = node.get(target);
    (response.status, response.text())
}

fn plain(files: &[(&str, &str)]) -> Node {
    site("[[routes]]\nfiles = \"site\"", files).start()
}

#[test]
fn a_file_comes_with_what_it_is() {
    let node = plain(&[
        ("index.html", "<p>"),
        ("style.css", "p {}"),
        ("app.mjs", "1"),
        ("data.json", "{}"),
        ("app.wasm", "\0asm"),
        ("logo.svg", "<svg/>"),
        ("font.woff2", "f"),
        ("notes", "?"),
        ("site.webmanifest", "{}"),
    ]);
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/app.mjs", "text/javascript; charset=utf-8"),
        ("/data.json", "application/json"),
        ("/app.wasm", "application/wasm"),
        ("/logo.svg", "image/svg+xml"),
        ("/font.woff2", "font/woff2"),
        ("/notes", "application/octet-stream"),
        ("/site.webmanifest", "application/manifest+json"),
    ] {
        let response = node.get(path);
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.header("content-type"), Some(kind), "{path}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(response.header("accept-ranges"), Some("bytes"));
        for name in ["etag", "last-modified", "date"] {
            assert!(response.header(name).is_some(), "{path} {name}");
        }
        for name in ["vary", "cache-control", "content-encoding"] {
            assert_eq!(response.header(name), None, "{path} {name}");
        }
    }
}

#[test]
fn a_head_is_told_what_a_get_gets() {
    let node = plain(&[("a.txt", "twelve bytes")]);
    let mut connection = node.connect();
    let get = connection.exchange(&Request::get("/a.txt")).unwrap();
    let head = connection
        .exchange(&Request::new("HEAD", "/a.txt"))
        .unwrap();
    assert_eq!((get.status, head.status), (200, 200));
    assert_eq!(get.text(), "twelve bytes");
    let without_date = |mut headers: Vec<(String, String)>| {
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
        headers.sort();
        headers
    };
    assert_eq!(without_date(head.headers), without_date(get.headers));
    // What a part is asked of is a GET.
    let head = Request::new("HEAD", "/a.txt").header("Range", "bytes=0-1");
    let head = connection.exchange(&head).unwrap();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("12"))
    );
}

#[test]
fn other_methods_are_refused_with_those_there_are() {
    let node = plain(&[("a.txt", "a")]);
    let mut connection = node.connect();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let response = connection
            .exchange(&Request::new(method, "/a.txt"))
            .unwrap();
        assert_eq!(response.error(), (405, "method-not-allowed"), "{method}");
        assert_eq!(response.header("allow"), Some("GET, HEAD"));
    }
    // A body that nobody reads does not end up in the next request.
    let get = Request::get("/a.txt").body(b"GET /absent HTTP/1.1\r\n\r\n");
    for _ in 0..2 {
        assert_eq!(connection.exchange(&get).unwrap().text(), "a");
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let node = plain(&[("a.txt", "a"), ("empty/.keep", "")]);
    for path in ["/b", "/a.txt/", "/a.txt/b", "/empty", "/empty/", "/"] {
        assert_eq!(node.get(path).error(), (404, "not-found"), "{path}");
    }
    assert_eq!(node.access("/b")["code"], "not-found");
}

#[test]
fn a_folder_is_shown_with_its_slash() {
    let toml = "[[routes]]\nfiles = { root = \"site\", index = [\"main.html\", \"index.html\"] }";
    let files = [
        ("docs/index.html", "docs"),
        ("docs/a b/main.html", "main"),
        ("docs/a b/index.html", "index"),
    ];
    let node = site(toml, &files).start();
    for (path, location) in [
        ("/docs", "/docs/"),
        ("/docs?a=b&c=%2F", "/docs/?a=b&c=%2F"),
        ("//docs", "/docs/"),
        ("/x/../docs", "/docs/"),
        ("/docs/a%20b", "/docs/a%20b/"),
    ] {
        let response = node.get(path);
        assert_eq!(response.status, 301, "{path}");
        assert_eq!(response.header("location"), Some(location), "{path}");
        assert_eq!(response.header("content-length"), Some("0"));
    }
    assert_eq!(shown(&node, "/docs/?a=b"), (200, "docs".to_owned()));
    assert_eq!(shown(&node, "/docs/a%20b/"), (200, "main".to_owned()));
}

#[test]
fn the_prefix_of_a_route_is_no_part_of_the_names() {
    let toml = r#"
        [[routes]]
        path_prefix = "/assets"
        files = "site"
        [[routes]]
        path = "/robots.txt"
        files = "site"
        [[routes]]
        path_regex = "\\.png$"
        files = "site""#;
    let files = [
        ("a.css", "css"),
        ("assets/b.css", "deep"),
        ("robots.txt", "robots"),
        ("img/a.png", "png"),
        ("index.html", "index"),
    ];
    let node = site(toml, &files).start();
    for (path, body) in [
        ("/assets/a.css", "css"),
        ("/assets/assets/b.css", "deep"),
        ("/robots.txt", "robots"),
        ("/img/a.png", "png"),
        ("/assets/", "index"),
    ] {
        assert_eq!(shown(&node, path), (200, body.to_owned()), "{path}");
    }
    assert_eq!(node.get("/assets").header("location"), Some("/assets/"));
    assert_eq!(node.get("/assets/b.css").error(), (404, "not-found"));
    assert_eq!(node.get("/a.css").error(), (404, "no-route"));
}

#[test]
fn an_application_of_one_page_answers_for_all_of_its_paths() {
    let toml = r#"
        [[routes]]
        files = { root = "site", fallback = "index.html", cache_control = "no-cache" }"#;
    let node = site(toml, &[("index.html", "app"), ("a.js", "js")]).start();
    for (path, body) in [
        ("/", "app"),
        ("/a.js", "js"),
        ("/users/7", "app"),
        ("/.env", "app"),
    ] {
        assert_eq!(shown(&node, path), (200, body.to_owned()), "{path}");
    }
    let response = node.get("/users/7");
    assert_eq!(response.header("cache-control"), Some("no-cache"));
    assert_eq!(
        response.header("content-type"),
        Some("text/html; charset=utf-8")
    );
}

#[test]
fn names_with_dots_are_shown_if_they_may_be() {
    let files = [
        (".env", "secret"),
        (".git/config", "secret"),
        ("a/.htpasswd", "secret"),
        (".well-known/security.txt", "contact"),
    ];
    let node = plain(&files);
    for path in [
        "/.env",
        "/.git/config",
        "/a/.htpasswd",
        "/%2eenv",
        "/.git",
        "/.git/",
    ] {
        assert_eq!(node.get(path).error(), (404, "not-found"), "{path}");
    }
    assert_eq!(node.get("/.well-known/security.txt").text(), "contact");
    let shows = "[[routes]]\nfiles = { root = \"site\", hidden = true }";
    let node = site(shows, &files).start();
    assert_eq!(node.get("/.git/config").text(), "secret");
}

#[test]
fn a_file_beside_it_in_a_coding_that_the_client_likes_goes_out() {
    let toml = r#"
        [[routes]]
        files = { root = "site", precompressed = ["br", "gzip"] }"#;
    let files = [
        ("a.js", "plain"),
        ("a.js.br", "in br"),
        ("a.js.gz", "in gzip"),
        ("b.js", "alone"),
    ];
    let node = site(toml, &files).start();
    for (accepted, body, coding) in [
        ("gzip, br", "in br", Some("br")),
        ("gzip, br;q=0.5", "in gzip", Some("gzip")),
        ("br;q=0, *", "in gzip", Some("gzip")),
        ("zstd", "plain", None),
        ("identity, gzip;q=0.5", "plain", None),
    ] {
        let get = Request::get("/a.js").header("Accept-Encoding", accepted);
        let response = node.send(&get);
        assert_eq!(response.text(), body, "{accepted}");
        assert_eq!(response.header("content-encoding"), coding, "{accepted}");
        assert_eq!(response.header("vary"), Some("accept-encoding"));
        assert_eq!(
            response.header("content-type"),
            Some("text/javascript; charset=utf-8")
        );
        // Of what was sent, so another one for each.
        let tag = response.header("etag").unwrap();
        let again = Request::get("/a.js").header("If-None-Match", tag);
        let again = node.send(&again.header("Accept-Encoding", accepted));
        assert_eq!(
            (again.status, again.header("vary")),
            (304, Some("accept-encoding"))
        );
    }
    let alone = Request::get("/b.js").header("Accept-Encoding", "br");
    let alone = node.send(&alone);
    assert_eq!(
        (alone.text().as_str(), alone.header("content-encoding")),
        ("alone", None)
    );
    assert_eq!(alone.header("vary"), Some("accept-encoding"));
}

#[test]
fn a_folder_that_is_not_there_is_a_problem_of_the_file() {
    let setup = node("[[routes]]\nname = \"a\"\nfiles = \"absent\"\n");
    let (code, text) = setup.check(&[]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("routes[0].files (line 5): cannot serve from ")
            && text.contains("absent: No such file or directory (os error 2); name a folder"),
        "{text}"
    );
    let setup = node("[[routes]]\nfiles = \"file\"\n").file("file", "");
    assert!(setup.check(&[]).1.contains("Not a directory"));
    let setup = site("[[routes]]\nname = \"a\"\nfiles = \"site\"\n", &[]);
    let (code, text) = setup.check(&["-v"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("a: any host, path_prefix / -> files of /"),
        "{text}"
    );
}
