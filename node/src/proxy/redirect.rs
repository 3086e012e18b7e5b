//! From `http` to `https`.

use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http::{HeaderMap, HeaderValue};
use pingora::http::RequestHeader;

use super::action::{HttpsRedirect, StaticAnswer};
use super::request::target;

/// Sends the client to what it asked for, over TLS. `None` if it did not say at which host.
pub(super) fn answer(header: &RequestHeader, redirect: HttpsRedirect) -> Option<StaticAnswer> {
    let location = location(header, redirect.port)?;
    Some(StaticAnswer {
        status: redirect.status,
        headers: HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(&location).ok()?)]),
        body: Bytes::new(),
    })
}

/// Host and target were checked: the one holds nothing but a host and a port, the other begins
/// with a slash, so that the client is led to nobody else.
fn location(header: &RequestHeader, port: Option<u16>) -> Option<String> {
    let host = header.headers.get(HOST)?.to_str().ok()?;
    let host = without_port(host);
    let target = target(header.uri.path(), &header.uri);
    Some(match port {
        Some(port) => format!("https://{host}:{port}{target}"),
        None => format!("https://{host}{target}"),
    })
}

/// Colons of an IPv6 address are in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_path_and_query_stay_and_the_port_goes() {
        for (host, port, expected) in [
            ("a.test", None, "https://a.test/p?q=1"),
            ("a.test:80", None, "https://a.test/p?q=1"),
            ("a.test:80", Some(8443), "https://a.test:8443/p?q=1"),
            ("[::1]", None, "https://[::1]/p?q=1"),
            ("[::1]:80", Some(444), "https://[::1]:444/p?q=1"),
        ] {
            let mut header = RequestHeader::build("GET", b"/p?q=1", None).expect("a header");
            header.insert_header("host", host).expect("a host");
            assert_eq!(location(&header, port).as_deref(), Some(expected));
        }
        let header = RequestHeader::build("GET", b"/", None).expect("a header");
        assert_eq!(location(&header, None), None);
    }
}
