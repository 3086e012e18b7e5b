//! Paths and files that must not be served, and clients that take their time.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{plain, site, write};
use crate::harness::{Node, Request};

const SECRET: &str = "not for anybody";

/// A node with a file beside the folder that it serves.
fn beside() -> Node {
    let toml = "[[routes]]\nencoded_slashes = \"keep\"\nfiles = \"site\"";
    let setup = site(toml, &[("a/b.txt", "b"), ("index.html", "home")]);
    setup.file("secret", SECRET).start()
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let node = beside();
    for path in [
        "/../secret",
        "/a/../../secret",
        "/%2e%2e/secret",
        "/%2E%2E/secret",
        "/.%2e/secret",
        "/..%2fsecret",
        "/..%2Fsecret",
        "/a/..%2f..%2fsecret",
        "/%2e%2e%2fsecret",
        "/%252e%252e/secret",
        "/%252e%252e%252fsecret",
        "/..%5csecret",
        "/..\\secret",
        "/....//secret",
        "/..;/secret",
        "/./../secret",
        "//../secret",
        "///secret",
        "/%c0%ae%c0%ae/secret",
        "/%c0%ae%c0%ae%c0%afsecret",
        "/%e0%80%ae%e0%80%ae/secret",
        "/%uff0e%uff0e/secret",
        "/a%00/../../secret",
        "/secret%00.html",
        "/%2fetc/passwd",
        "/%2f%2fetc%2fpasswd",
        "/a%2f..%2f..%2fsecret",
        "/a/b.txt/../../../secret",
        "/~root/secret",
        "/proc/self/root/etc/passwd",
        "http://aegis.test/../secret",
        "http://aegis.test/%2e%2e/secret",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: aegis.test\r\n\r\n");
        let response = node.raw(request.as_bytes()).unwrap();
        assert!(
            matches!(response.status, 400 | 404),
            "{path}: {}",
            response.status
        );
        let text = response.text();
        assert!(!text.contains(SECRET) && !text.contains("root:"), "{path}");
    }
    // An encoded slash is part of a name, and no name has one.
    assert_eq!(node.get("/a/b.txt").status, 200);
    assert_eq!(node.get("/a%2fb.txt").error(), (404, "not-found"));
}

#[test]
fn links_that_lead_out_are_not_followed() {
    let node = beside();
    let at = |name: &str| node.path("site").join(name);
    symlink("a/b.txt", at("inside")).unwrap();
    symlink("../secret", at("outside")).unwrap();
    symlink(node.path("secret"), at("absolute")).unwrap();
    symlink("..", at("up")).unwrap();
    symlink("/", at("root")).unwrap();
    symlink("circle", at("circle")).unwrap();
    assert_eq!(node.get("/inside").text(), "b");
    for path in [
        "/outside",
        "/absolute",
        "/up/secret",
        "/root/etc/passwd",
        "/circle",
        "/up",
        "/up/site/index.html",
    ] {
        assert_eq!(node.get(path).error(), (404, "not-found"), "{path}");
    }
}

#[test]
fn a_link_that_changes_while_it_is_asked_for_never_leads_out() {
    let node = beside();
    let (link, next) = (node.path("site/link"), node.path("site/next"));
    symlink("a/b.txt", &link).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let targets = ["a/b.txt", "../secret", "../site/a/b.txt", "a"];
            for target in targets.iter().cycle() {
                symlink(target, &next).unwrap();
                fs::rename(&next, &link).unwrap();
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let (mut shown, mut refused) = (0, 0);
        let mut connection = node.connect();
        while shown < 50 || refused < 50 {
            let response = connection.exchange(&Request::get("/link")).unwrap();
            match response.status {
                200 => {
                    assert_eq!(response.text(), "b");
                    shown += 1;
                }
                404 => refused += 1,
                other => panic!("{other}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn names_may_be_any_bytes_and_no_longer_than_the_system_allows() {
    let node = plain(&[("index.html", "home")]);
    let site = node.path("site");
    for (name, path) in [
        (&b"\xff\xfe.txt"[..], "/%ff%fe.txt"),
        ("é ü.txt".as_bytes(), "/%C3%A9%20%C3%BC.txt"),
        (b"a+b&c=d;e", "/a+b&c=d;e"),
        (b"%2e%2e", "/%252e%252e"),
        (b"a\"<>'", "/a%22%3C%3E'"),
    ] {
        write(&site.join(OsStr::from_bytes(name)), "any");
        assert_eq!(node.get(path).text(), "any", "{path}");
    }
    for length in [256, 4096, 7000] {
        let path = format!("/{}", "n".repeat(length));
        assert_eq!(node.get(&path).error(), (404, "not-found"), "{length}");
    }
    let deep = "/d".repeat(3000);
    assert_eq!(node.get(&deep).error(), (404, "not-found"));
}

#[test]
fn only_files_are_files() {
    let node = plain(&[
        ("index.html", "home"),
        ("locked", SECRET),
        ("shut/a", SECRET),
    ]);
    let at = |name: &str| node.path("site").join(name);
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
    let mut closed = vec!["/pipe", "/socket"];
    // Root may read everything.
    if !nix::unistd::geteuid().is_root() {
        fs::set_permissions(at("locked"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(at("shut"), fs::Permissions::from_mode(0o000)).unwrap();
        closed.extend(["/locked", "/shut/a"]);
    }
    for path in closed {
        assert_eq!(node.get(path).error(), (404, "not-found"), "{path}");
    }
    fs::set_permissions(at("shut"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_file_that_becomes_shorter_cuts_the_answer() {
    let node = plain(&[]);
    let path = node.path("site/large");
    let length = 64 << 20;
    fs::File::create(&path).unwrap().set_len(length).unwrap();
    let mut connection = node.connect();
    connection.send(&Request::get("/large").bytes());
    // The client takes the beginning only, so most of it is not read yet.
    let (status, _) = connection.read_head().unwrap();
    assert_eq!(status, 200);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(1000).unwrap();
    let got = connection.read_to_close().len() as u64;
    assert!(got < length, "{got}");
    assert_eq!(node.access("/large")["code"], "internal");
    // And the node goes on.
    assert_eq!(node.get("/large").body.len(), 1000);
}

#[test]
fn a_gigabyte_takes_no_memory() {
    let node = plain(&[("small", "small")]);
    let length = 1 << 30;
    let file = fs::File::create(node.path("site/large")).unwrap();
    file.set_len(length).unwrap();
    assert_eq!(node.get("/small").status, 200);
    let before = resident(&node);
    let mut connection = node.connect();
    connection.send(&Request::get("/large").bytes());
    connection.read_head().unwrap();
    let mut most = 0;
    for _ in 0..length >> 20 {
        connection.read_bytes(1 << 20);
        most = most.max(resident(&node));
    }
    assert!(most < before + (20 << 20), "{before} to {most}");
}

/// Bytes of the process that are in memory.
fn resident(node: &Node) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/statm", node.process())).unwrap();
    let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
