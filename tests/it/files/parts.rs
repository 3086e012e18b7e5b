//! Parts of files, and requests with conditions.

use std::fs;

use super::{plain, site, write};
use crate::harness::{Node, Request};

const TEN: &str = "0123456789";

fn part(node: &Node, range: &str) -> (u16, String, Option<String>) {
    let response = node.send(&Request::get("/ten").header("Range", range));
    let content_range = response.header("content-range").map(str::to_owned);
    assert!(response.complete, "{range}");
    (response.status, response.text(), content_range)
}

#[test]
fn a_range_is_answered_with_a_part() {
    let node = plain(&[("ten", TEN), ("none", "")]);
    for (range, body, content_range) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=0-99", TEN, "bytes 0-9/10"),
        ("bytes=-99", TEN, "bytes 0-9/10"),
    ] {
        let expected = (206, body.to_owned(), Some(content_range.to_owned()));
        assert_eq!(part(&node, range), expected, "{range}");
    }
    for range in ["bytes=10-", "bytes=-0", "bytes=99999999999999999999-"] {
        let expected = (416, String::new(), Some("bytes */10".to_owned()));
        assert_eq!(part(&node, range), expected, "{range}");
    }
    for range in [
        "bytes=0-1,3-4",
        "bytes=4-2",
        "bytes=x",
        "lines=1-2",
        "bytes",
    ] {
        assert_eq!(part(&node, range), (200, TEN.to_owned(), None), "{range}");
    }
    let none = node.send(&Request::get("/none").header("Range", "bytes=0-"));
    assert_eq!(
        (none.status, none.header("content-range")),
        (416, Some("bytes */0"))
    );
    assert_eq!(node.get("/none").status, 200);
}

#[test]
fn a_part_is_sent_only_of_the_file_that_the_client_has() {
    let node = plain(&[("ten", TEN)]);
    let whole = node.get("/ten");
    let tag = whole.header("etag").unwrap();
    let date = whole.header("last-modified").unwrap();
    assert!(tag.starts_with('"'), "{tag}");
    let weak = format!("W/{tag}");
    for (condition, status) in [
        (tag, 206),
        (date, 206),
        (weak.as_str(), 200),
        ("\"other\"", 200),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 200),
    ] {
        let get = Request::get("/ten").header("Range", "bytes=1-2");
        let response = node.send(&get.header("If-Range", condition));
        assert_eq!(response.status, status, "{condition}");
    }
}

#[test]
fn a_condition_is_held_against_the_file() {
    let node = plain(&[("ten", TEN)]);
    let whole = node.get("/ten");
    let tag = whole.header("etag").unwrap();
    let date = whole.header("last-modified").unwrap();
    let old = "Thu, 01 Jan 2015 00:00:00 GMT";
    for (fields, status) in [
        (&[("If-None-Match", tag)][..], 304),
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", "\"x\"")], 200),
        (&[("If-Modified-Since", date)], 304),
        (&[("If-Modified-Since", old)], 200),
        (
            &[("If-None-Match", "\"x\""), ("If-Modified-Since", date)],
            200,
        ),
        (&[("If-Match", tag)], 200),
        (&[("If-Match", "\"x\"")], 412),
        (&[("If-Unmodified-Since", date)], 200),
        (&[("If-Unmodified-Since", old)], 412),
        (&[("If-Match", tag), ("If-None-Match", tag)], 304),
        // Conditions come before parts.
        (&[("If-None-Match", tag), ("Range", "bytes=0-1")], 304),
        (&[("If-Match", "\"x\""), ("Range", "bytes=0-1")], 412),
        (&[("If-Match", tag), ("Range", "bytes=0-1")], 206),
    ] {
        for method in ["GET", "HEAD"] {
            let request = fields
                .iter()
                .fold(Request::new(method, "/ten"), |r, (name, value)| {
                    r.header(name, value)
                });
            let mut connection = node.connect();
            let response = connection.exchange(&request).unwrap();
            let expected = if status == 206 && method == "HEAD" {
                200
            } else {
                status
            };
            assert_eq!(response.status, expected, "{method} {fields:?}");
            if status == 304 {
                assert_eq!(response.header("etag"), Some(tag));
                assert_eq!(response.header("content-length"), None);
            }
            // The connection goes on.
            assert_eq!(
                connection.exchange(&Request::get("/ten")).unwrap().text(),
                TEN
            );
        }
    }
}

#[test]
fn a_file_that_was_just_written_has_a_tag_that_promises_less() {
    let node = plain(&[("ten", TEN)]);
    fs::write(node.path("site/ten"), "9876543210").unwrap();
    let fresh = node.get("/ten");
    let tag = fresh.header("etag").unwrap();
    assert!(tag.starts_with("W/\""), "{tag}");
    let again = node.send(&Request::get("/ten").header("If-None-Match", tag));
    assert_eq!(again.status, 304);
}

#[test]
fn tags_change_with_the_file() {
    let node = plain(&[("ten", TEN)]);
    let tag = |node: &Node| node.get("/ten").header("etag").unwrap().to_owned();
    let first = tag(&node);
    assert_eq!(tag(&node), first);
    write(&node.path("site/ten"), "01234567890");
    assert_ne!(tag(&node), first);
}

#[test]
fn what_is_said_of_caching_is_said_in_a_304_too() {
    let toml = "[[routes]]\nfiles = { root = \"site\", cache_control = \"max-age=60\" }";
    let node = site(toml, &[("ten", TEN)]).start();
    let whole = node.get("/ten");
    let tag = whole.header("etag").unwrap();
    let not_modified = node.send(&Request::get("/ten").header("If-None-Match", tag));
    let part = node.send(&Request::get("/ten").header("Range", "bytes=1-1"));
    for (response, status) in [(&whole, 200), (&not_modified, 304), (&part, 206)] {
        assert_eq!(response.status, status);
        assert_eq!(response.header("cache-control"), Some("max-age=60"));
    }
}
