//! How a redirect changes the request.

use super::*;

fn call(method: Method, body: &'static str) -> Call {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "text/plain"),
        ("authorization", "secret"),
        ("cookie", "secret"),
        ("x-mine", "1"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Call {
        request_id: String::new(),
        method,
        url: "https://example.com/a".to_owned(),
        headers,
        body: Bytes::from_static(body.as_bytes()),
        passed: Vec::new(),
    }
}

fn answer(location: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::LOCATION, location.parse().unwrap())])
}

fn after(status: u16, method: Method, location: &str) -> Hop {
    let hop = Hop::first(call(method, "body")).unwrap();
    let status = StatusCode::from_u16(status).unwrap();
    hop.next(status, &answer(location)).unwrap().unwrap()
}

#[test]
fn some_redirects_turn_the_request_into_get_without_a_body() {
    for (status, method) in [
        (301, Method::POST),
        (302, Method::POST),
        (303, Method::POST),
        (303, Method::PUT),
        (303, Method::DELETE),
    ] {
        let next = after(status, method, "/b");
        assert_eq!(next.method, Method::GET);
        assert!(next.body.is_empty());
        assert!(!next.headers.contains_key("content-type"));
        assert!(next.headers.contains_key("x-mine"));
    }
}

#[test]
fn the_other_redirects_keep_method_and_body() {
    for (status, method) in [
        (301, Method::PUT),
        (302, Method::DELETE),
        (303, Method::HEAD),
        (307, Method::POST),
        (308, Method::PUT),
    ] {
        let next = after(status, method.clone(), "/b");
        assert_eq!(next.method, method);
        assert_eq!(next.body, "body");
        assert!(next.headers.contains_key("content-type"));
    }
}

#[test]
fn credentials_stay_with_their_origin() {
    let same = after(307, Method::GET, "/b");
    assert!(same.headers.contains_key("authorization"));
    for location in ["https://example.org/", "https://example.com:8443/"] {
        let other = after(307, Method::GET, location);
        assert!(!other.headers.contains_key("authorization"));
        assert!(!other.headers.contains_key("cookie"));
        assert!(other.headers.contains_key("x-mine"));
    }
}

#[test]
fn only_redirects_with_a_location_are_followed() {
    let hop = Hop::first(call(Method::GET, "")).unwrap();
    for status in [200, 201, 300, 304, 305, 306, 400] {
        let status = StatusCode::from_u16(status).unwrap();
        assert!(hop.next(status, &answer("/b")).unwrap().is_none());
    }
    let bare = hop.next(StatusCode::FOUND, &HeaderMap::new()).unwrap();
    assert!(bare.is_none());
}

#[test]
fn headers_the_node_owns_are_left_out() {
    let mut call = call(Method::GET, "");
    for name in [
        "host",
        "content-length",
        "proxy-authorization",
        "x-forwarded-for",
    ] {
        call.headers.insert(name, HeaderValue::from_static("evil"));
    }
    call.headers
        .append("cdn-loop", HeaderValue::from_static("evil"));
    call.headers.append("x-mine", HeaderValue::from_static("2"));
    let headers = Hop::first(call).unwrap().headers;
    assert!(!headers.values().any(|value| value == "evil"));
    assert_eq!(headers["cdn-loop"], "aegis");
    assert_eq!(headers.get_all("x-mine").iter().count(), 2);
}

#[test]
fn the_nodes_token_goes_behind_where_the_request_has_passed() {
    let mut call = call(Method::GET, "");
    call.passed = ["other", "aegis; v=1, third"]
        .map(HeaderValue::from_static)
        .to_vec();
    let headers = Hop::first(call).unwrap().headers;
    let passed: Vec<_> = headers.get_all("cdn-loop").iter().collect();
    assert_eq!(passed, ["other", "aegis; v=1, third", "aegis"]);
}

#[test]
fn tunnels_traces_and_oversized_bodies_are_refused() {
    for method in [Method::CONNECT, Method::TRACE] {
        let refused = Hop::first(call(method, ""));
        assert!(matches!(
            refused,
            Err(EgressError::NotAllowed(Denial::Method))
        ));
    }
    let mut largest = call(Method::POST, "");
    largest.body = vec![0; MAX_REQUEST_BODY].into();
    assert!(Hop::first(largest.clone()).is_ok());
    largest.body = vec![0; MAX_REQUEST_BODY + 1].into();
    assert!(matches!(
        Hop::first(largest),
        Err(EgressError::TooLarge(Part::RequestBody))
    ));
}
