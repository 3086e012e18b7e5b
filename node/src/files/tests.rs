//! Look-ups in a real folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode};
use tempfile::TempDir;

use super::*;
use crate::coding::Coding;

/// A folder `site` with files, and one beside it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::create_dir_all(at("site/docs")).unwrap();
    fs::create_dir_all(at("site/empty")).unwrap();
    fs::create_dir_all(at("beside")).unwrap();
    for (path, text) in [
        ("site/index.html", "home"),
        ("site/docs/index.html", "docs"),
        ("site/a.css", "css"),
        ("site/.env", "secret"),
        ("beside/passwd", "outside"),
    ] {
        fs::write(at(path), text).unwrap();
    }
    folder
}

fn settings(folder: &TempDir) -> Settings {
    Settings::new(folder.path().join("site"))
}

fn asked(path: &str) -> Asked {
    Asked::new(&Method::GET, (path, None), &HeaderMap::new())
}

/// The body, or the status of an answer without one, or nothing.
fn shown(files: &Files, path: &str) -> String {
    match files.answer(&asked(path)) {
        Ok(answer) => match answer.content {
            Some(mut content) => String::from_utf8(content.take_piece().to_vec()).unwrap(),
            None => answer.status.as_str().to_owned(),
        },
        Err(FilesError::NotFound) => "absent".to_owned(),
        Err(FilesError::Unreadable(error)) => panic!("{path}: {error}"),
    }
}

#[test]
fn paths_lead_to_files_below_the_root() {
    let folder = folder();
    let files = Files::new(settings(&folder), "/").unwrap();
    for (path, expected) in [
        ("/", "home"),
        ("/index.html", "home"),
        ("/a.css", "css"),
        ("/docs/", "docs"),
        ("/docs", "301"),
        ("/empty", "absent"),
        ("/empty/", "absent"),
        ("/a.css/", "absent"),
        ("/a.css/x", "absent"),
        ("/absent", "absent"),
        ("/.env", "absent"),
        ("/../beside/passwd", "absent"),
        ("/%2e%2e/beside/passwd", "absent"),
        ("/..%2fbeside/passwd", "absent"),
    ] {
        assert_eq!(shown(&files, path), expected, "{path}");
    }
    let long = format!("/{}", "a".repeat(5000));
    assert_eq!(shown(&files, &long), "absent");
}

#[test]
fn links_are_followed_for_as_long_as_they_stay_below_the_root() {
    let folder = folder();
    let at = |path: &str| folder.path().join(path);
    for (target, link) in [
        ("a.css", "site/inside"),
        ("../a.css", "site/docs/up"),
        ("docs", "site/manual"),
        ("../beside/passwd", "site/outside"),
        ("../beside", "site/beside"),
        ("outside", "site/two"),
        ("loop", "site/loop"),
        ("/etc/passwd", "site/absolute"),
        ("/proc/self/root", "site/proc"),
    ] {
        symlink(target, at(link)).unwrap();
    }
    symlink(at("site/a.css"), at("site/absolute-inside")).unwrap();
    let files = Files::new(settings(&folder), "/").unwrap();
    for (path, expected) in [
        ("/inside", "css"),
        ("/docs/up", "css"),
        ("/manual/", "docs"),
        ("/outside", "absent"),
        ("/beside/passwd", "absent"),
        ("/two", "absent"),
        ("/loop", "absent"),
        ("/absolute", "absent"),
        ("/absolute-inside", "absent"),
        ("/proc/etc/passwd", "absent"),
    ] {
        assert_eq!(shown(&files, path), expected, "{path}");
    }
}

#[test]
fn only_regular_files_that_can_be_read_are_shown() {
    let folder = folder();
    let at = |path: &str| folder.path().join(path);
    nix::unistd::mkfifo(&at("site/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    drop(std::os::unix::net::UnixListener::bind(at("site/socket")).unwrap());
    fs::set_permissions(at("site/a.css"), fs::Permissions::from_mode(0o000)).unwrap();
    let files = Files::new(settings(&folder), "/").unwrap();
    for path in ["/pipe", "/socket"] {
        assert_eq!(shown(&files, path), "absent", "{path}");
    }
    // Root may read everything.
    if !nix::unistd::geteuid().is_root() {
        assert_eq!(shown(&files, "/a.css"), "absent");
    }
}

#[test]
fn a_folder_that_takes_the_place_of_the_root_is_found() {
    let folder = folder();
    let at = |path: &str| folder.path().join(path);
    let files = Files::new(settings(&folder), "/").unwrap();
    fs::create_dir(at("next")).unwrap();
    fs::write(at("next/index.html"), "next").unwrap();
    fs::rename(at("site"), at("old")).unwrap();
    fs::rename(at("next"), at("site")).unwrap();
    assert_eq!(shown(&files, "/"), "next");
    fs::rename(at("site"), at("gone")).unwrap();
    assert!(matches!(
        files.answer(&asked("/")),
        Err(FilesError::Unreadable(_))
    ));
    assert!(Files::new(settings(&folder), "/").is_err());
}

#[test]
fn the_fallback_stands_for_what_is_not_there() {
    let folder = folder();
    let mut settings = settings(&folder);
    settings.fallback = Some("index.html".to_owned());
    let files = Files::new(settings, "/app").unwrap();
    for (path, expected) in [
        ("/app/a.css", "css"),
        ("/app/absent/page", "home"),
        ("/app/empty/", "home"),
        ("/app", "301"),
        ("/app/docs", "301"),
    ] {
        assert_eq!(shown(&files, path), expected, "{path}");
    }
}

#[test]
fn a_file_in_a_coding_is_shown_if_the_client_likes_it_and_it_is_not_older() {
    let folder = folder();
    let at = |path: &str| folder.path().join(path);
    let past = SystemTime::now() - Duration::from_secs(60);
    let write = |path: &str, time: SystemTime| {
        fs::write(at(path), path).unwrap();
        let file = fs::File::options().write(true).open(at(path)).unwrap();
        file.set_modified(time).unwrap();
    };
    write("site/a.css", past);
    write("site/a.css.br", past);
    write("site/a.css.gz", past - Duration::from_secs(1));
    let mut settings = settings(&folder);
    settings.precompressed = vec![Coding::Gzip, Coding::Brotli];
    let files = Files::new(settings, "/").unwrap();
    for (accepted, expected) in [
        ("gzip, br", Some("br")),
        ("gzip", None),
        ("br;q=0", None),
        ("zstd", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("accept-encoding", accepted.parse().unwrap());
        let answer = files.answer(&Asked::new(&Method::GET, ("/a.css", None), &headers));
        let answer = answer.unwrap();
        let field = |name: &str| answer.headers.get(name).map(|v| v.to_str().unwrap());
        assert_eq!(field("content-encoding"), expected, "{accepted}");
        assert_eq!(field("content-type"), Some("text/css; charset=utf-8"));
        assert_eq!(field("vary"), Some("accept-encoding"));
    }
}

#[test]
fn a_file_that_becomes_shorter_is_an_error_and_one_that_grows_is_not() {
    let folder = folder();
    let at = |path: &str| folder.path().join(path);
    let files = Files::new(settings(&folder), "/").unwrap();
    for (length, good) in [(50_000, false), (150_000, true)] {
        fs::write(at("site/large"), vec![b'x'; 100_000]).unwrap();
        let mut answer = files.answer(&asked("/large")).unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        let mut content = answer.content.take().unwrap();
        let first = content.take_piece().len();
        let file = fs::File::options().write(true).open(at("site/large"));
        file.unwrap().set_len(length).unwrap();
        match good {
            true => content.read().unwrap(),
            false => drop(content.read().unwrap_err()),
        }
        let second = content.take_piece().len();
        assert_eq!(first + second == 100_000, good);
        assert_eq!(content.is_at_end(), good);
    }
}
