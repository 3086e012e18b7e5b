//! The test host's calls.

use aegis_abi::Code;

use crate::testing::invocation::{act, observe, yielding};

pub(crate) fn log(message: &[u8]) {
    observe((), |invocation| invocation.log(message));
}

pub(crate) fn cache_get(key: &[u8]) -> i32 {
    yielding(|invocation| invocation.host.cache_get(key))
}

pub(crate) fn cache_set(key: &[u8], value: &[u8], ttl: u32) -> i32 {
    act(|invocation| invocation.host.cache_set(key, value, ttl))
}

pub(crate) fn http_get(url: &[u8]) -> i32 {
    yielding(|invocation| invocation.fetch("GET", url, b"", b""))
}

pub(crate) fn http_post(url: &[u8], body: &[u8], content_type: &[u8]) -> i32 {
    yielding(|invocation| invocation.fetch("POST", url, body, content_type))
}

pub(crate) fn http_put(url: &[u8], body: &[u8], content_type: &[u8]) -> i32 {
    yielding(|invocation| invocation.fetch("PUT", url, body, content_type))
}

pub(crate) fn http_delete(url: &[u8]) -> i32 {
    yielding(|invocation| invocation.fetch("DELETE", url, b"", b""))
}

pub(crate) fn shared_buffer(length: usize) -> Option<Vec<u8>> {
    observe(None, |invocation| invocation.shared_buffer(length))
}

pub(crate) fn request_get_method() -> i32 {
    yielding(|invocation| Ok(invocation.host.request.method()))
}

pub(crate) fn request_get_uri() -> i32 {
    yielding(|invocation| Ok(invocation.host.request.uri()))
}

pub(crate) fn request_get_header(name: &[u8]) -> i32 {
    yielding(|invocation| invocation.host.request.header(name))
}

pub(crate) fn request_get_header_names() -> i32 {
    yielding(|invocation| Ok(invocation.host.request.header_names()))
}

pub(crate) fn request_get_body() -> i32 {
    yielding(|invocation| invocation.host.request.body())
}

pub(crate) fn request_terminate(status: i32) -> i32 {
    act(|invocation| invocation.response.terminate(status))
}

pub(crate) fn response_set_status(status: i32) -> i32 {
    act(|invocation| invocation.response.set_status(status))
}

pub(crate) fn response_set_header(name: &[u8], value: &[u8]) -> i32 {
    act(|invocation| invocation.response.set_header(name, value))
}

pub(crate) fn response_add_header(name: &[u8], value: &[u8]) -> i32 {
    act(|invocation| invocation.response.add_header(name, value))
}

pub(crate) fn response_remove_header(name: &[u8]) -> i32 {
    act(|invocation| invocation.response.remove_header(name))
}

pub(crate) fn response_set_body(body: &[u8]) -> i32 {
    act(|invocation| invocation.response.set_body(body))
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
