//! The test host's calls.

use aegis_abi::{Code, FAILURE, INCREMENT_FAILURE};

use super::Outgoing;
use crate::testing::invocation::{act, number, observe, yielding};

pub(crate) fn log(message: &[u8]) {
    observe((), |invocation| invocation.log(message));
}

pub(crate) fn cache_get(key: &[u8]) -> i32 {
    yielding(|invocation| invocation.host.cache_get(key))
}

pub(crate) fn cache_set(key: &[u8], value: &[u8], ttl: u32) -> i32 {
    act(|invocation| invocation.host.cache_set(key, value, ttl))
}

pub(crate) fn cache_delete(key: &[u8]) -> i32 {
    number(FAILURE, |invocation| invocation.host.cache_delete(key))
}

pub(crate) fn cache_increment(key: &[u8], delta: i64, ttl: u32) -> i64 {
    number(INCREMENT_FAILURE, |invocation| {
        invocation.host.cache_increment(key, delta, ttl)
    })
}

pub(crate) fn rate_limit(key: &[u8], limit: u32, window: u32) -> i32 {
    number(FAILURE, |invocation| {
        invocation.host.rate_limit(key, limit, window)
    })
}

pub(crate) fn http_get(url: &[u8]) -> i32 {
    simple(b"GET", url, b"", b"")
}

pub(crate) fn http_post(url: &[u8], body: &[u8], content_type: &[u8]) -> i32 {
    simple(b"POST", url, body, content_type)
}

pub(crate) fn http_put(url: &[u8], body: &[u8], content_type: &[u8]) -> i32 {
    simple(b"PUT", url, body, content_type)
}

pub(crate) fn http_delete(url: &[u8]) -> i32 {
    simple(b"DELETE", url, b"", b"")
}

fn simple(method: &[u8], url: &[u8], body: &[u8], content_type: &[u8]) -> i32 {
    let headers = if content_type.is_empty() {
        Vec::new()
    } else {
        [b"content-type: ", content_type].concat()
    };
    http_request(Outgoing {
        method,
        url,
        headers: &headers,
        body,
    })
}

pub(crate) fn http_request(call: Outgoing<'_>) -> i32 {
    yielding(|invocation| {
        let handle = invocation.start(call)?;
        invocation.wait(handle)
    })
}

pub(crate) fn http_request_start(call: Outgoing<'_>) -> i32 {
    number(FAILURE, |invocation| invocation.start(call))
}

pub(crate) fn http_request_wait(handle: i32) -> i32 {
    yielding(|invocation| invocation.wait(handle))
}

pub(crate) fn http_request_wait_any(handles: &[i32]) -> i32 {
    number(FAILURE, |invocation| invocation.wait_any(handles))
}

pub(crate) fn http_response_status() -> i32 {
    number(FAILURE, |invocation| {
        Ok(invocation.last_reply()?.status().into())
    })
}

pub(crate) fn http_response_header(name: &[u8]) -> i32 {
    yielding(|invocation| invocation.last_reply()?.first(name))
}

pub(crate) fn shared_buffer(length: usize) -> Option<Vec<u8>> {
    observe(None, |invocation| invocation.shared_buffer(length))
}

pub(crate) fn request_get_method() -> i32 {
    yielding(|invocation| Ok(invocation.request.method()))
}

pub(crate) fn request_get_uri() -> i32 {
    yielding(|invocation| Ok(invocation.request.uri()))
}

pub(crate) fn request_get_header(name: &[u8]) -> i32 {
    yielding(|invocation| invocation.request.header(name))
}

pub(crate) fn request_get_header_names() -> i32 {
    yielding(|invocation| Ok(invocation.request.header_names()))
}

pub(crate) fn request_get_body() -> i32 {
    yielding(|invocation| invocation.request.body())
}

pub(crate) fn request_get_client_address() -> i32 {
    yielding(|invocation| Ok(invocation.request.client_address()))
}

pub(crate) fn request_set_header(name: &[u8], value: &[u8]) -> i32 {
    act(|invocation| invocation.edit(|edits| edits.set_header(name, value)))
}

pub(crate) fn request_add_header(name: &[u8], value: &[u8]) -> i32 {
    act(|invocation| invocation.edit(|edits| edits.add_header(name, value)))
}

pub(crate) fn request_remove_header(name: &[u8]) -> i32 {
    act(|invocation| invocation.edit(|edits| edits.remove_header(name)))
}

pub(crate) fn request_set_uri(uri: &[u8]) -> i32 {
    act(|invocation| invocation.edit(|edits| edits.set_uri(uri)))
}

pub(crate) fn request_set_body(body: &[u8]) -> i32 {
    act(|invocation| invocation.edit(|edits| edits.set_body(body)))
}

pub(crate) fn request_terminate(status: i32) -> i32 {
    act(|invocation| invocation.terminate(status))
}

pub(crate) fn response_set_status(status: i32) -> i32 {
    act(|invocation| invocation.response.set_status(status))
}

pub(crate) fn response_set_header(name: &[u8], value: &[u8]) -> i32 {
    act(|invocation| invocation.response.headers.set(name, value))
}

pub(crate) fn response_add_header(name: &[u8], value: &[u8]) -> i32 {
    act(|invocation| invocation.response.headers.add(name, value))
}

pub(crate) fn response_remove_header(name: &[u8]) -> i32 {
    act(|invocation| invocation.response.headers.remove(name))
}

pub(crate) fn response_set_body(body: &[u8]) -> i32 {
    act(|invocation| invocation.response.set_body(body))
}

pub(crate) fn response_get_status() -> i32 {
    number(FAILURE, |invocation| {
        Ok(invocation.received()?.status().into())
    })
}

pub(crate) fn response_get_header(name: &[u8]) -> i32 {
    yielding(|invocation| invocation.received()?.first(name))
}

pub(crate) fn response_get_header_names() -> i32 {
    yielding(|invocation| Ok(invocation.received()?.names()))
}

pub(crate) fn response_get_body() -> i32 {
    yielding(|invocation| invocation.received()?.held_body())
}

pub(crate) fn last_error() -> i32 {
    yielding(|invocation| Ok(invocation.last_error()))
}

pub(crate) fn last_error_code() -> i32 {
    observe(Code::Unavailable.into(), |invocation| {
        invocation.last_error_code()
    })
}

pub(crate) fn config_get(key: &[u8]) -> i32 {
    yielding(|invocation| invocation.host.config_get(key))
}

pub(crate) fn time_now() -> i64 {
    observe(0, |invocation| invocation.host.milliseconds())
}

pub(crate) fn random_bytes(bytes: &mut [u8]) -> i32 {
    act(|invocation| {
        invocation.fill(bytes);
        Ok(())
    })
}
