//! The node's imports.
//!
//! Safety, for every call here: the node reads and writes only within the pointer and length it
//! is given, does so only during the call, and checks both against the memory. All pointers come
//! from slices that outlive the call, mutable ones where the node writes.
#![allow(
    unsafe_code,
    reason = "host calls take raw pointers; this module alone makes them"
)]

mod import;

pub(crate) use import::{
    http_request_wait, http_response_status, last_error, last_error_code, request_get_body,
    request_get_client_address, request_get_header_names, request_get_method, request_get_uri,
    request_terminate, response_get_body, response_get_header_names, response_get_status,
    response_set_status, time_now,
};

use super::Outgoing;

pub(crate) fn log(message: &[u8]) {
    unsafe { import::log(message.as_ptr(), message.len()) }
}

pub(crate) fn cache_get(key: &[u8]) -> i32 {
    unsafe { import::cache_get(key.as_ptr(), key.len()) }
}

pub(crate) fn cache_set(key: &[u8], value: &[u8], ttl: u32) -> i32 {
    unsafe { import::cache_set(key.as_ptr(), key.len(), value.as_ptr(), value.len(), ttl) }
}

pub(crate) fn http_get(url: &[u8]) -> i32 {
    unsafe { import::http_get(url.as_ptr(), url.len()) }
}

pub(crate) fn http_post(url: &[u8], body: &[u8], content_type: &[u8]) -> i32 {
    unsafe {
        import::http_post(
            url.as_ptr(),
            url.len(),
            body.as_ptr(),
            body.len(),
            content_type.as_ptr(),
            content_type.len(),
        )
    }
}

pub(crate) fn http_put(url: &[u8], body: &[u8], content_type: &[u8]) -> i32 {
    unsafe {
        import::http_put(
            url.as_ptr(),
            url.len(),
            body.as_ptr(),
            body.len(),
            content_type.as_ptr(),
            content_type.len(),
        )
    }
}

pub(crate) fn http_delete(url: &[u8]) -> i32 {
    unsafe { import::http_delete(url.as_ptr(), url.len()) }
}

/// The first `length` bytes of the shared buffer, or `None` where it has fewer or the memory for
/// them is not to be had.
pub(crate) fn shared_buffer(length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).ok()?;
    let copied = unsafe { import::get_shared_buffer(bytes.as_mut_ptr(), 0, length) };
    let copied = usize::try_from(copied)
        .ok()
        .filter(|copied| *copied <= length)?;
    // The vector holds room for `length` bytes, and the node wrote this many of them.
    unsafe { bytes.set_len(copied) };
    Some(bytes)
}

pub(crate) fn request_get_header(name: &[u8]) -> i32 {
    unsafe { import::request_get_header(name.as_ptr(), name.len()) }
}

pub(crate) fn response_set_header(name: &[u8], value: &[u8]) -> i32 {
    unsafe { import::response_set_header(name.as_ptr(), name.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn response_add_header(name: &[u8], value: &[u8]) -> i32 {
    unsafe { import::response_add_header(name.as_ptr(), name.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn response_remove_header(name: &[u8]) -> i32 {
    unsafe { import::response_remove_header(name.as_ptr(), name.len()) }
}

pub(crate) fn response_set_body(body: &[u8]) -> i32 {
    unsafe { import::response_set_body(body.as_ptr(), body.len()) }
}

pub(crate) fn config_get(key: &[u8]) -> i32 {
    unsafe { import::config_get(key.as_ptr(), key.len()) }
}

pub(crate) fn random_bytes(bytes: &mut [u8]) -> i32 {
    unsafe { import::random_bytes(bytes.as_mut_ptr(), bytes.len()) }
}

pub(crate) fn cache_delete(key: &[u8]) -> i32 {
    unsafe { import::cache_delete(key.as_ptr(), key.len()) }
}

pub(crate) fn cache_increment(key: &[u8], delta: i64, ttl: u32) -> i64 {
    unsafe { import::cache_increment(key.as_ptr(), key.len(), delta, ttl) }
}

pub(crate) fn rate_limit(key: &[u8], limit: u32, window: u32) -> i32 {
    unsafe { import::rate_limit(key.as_ptr(), key.len(), limit, window) }
}

pub(crate) fn http_request(call: Outgoing<'_>) -> i32 {
    unsafe {
        import::http_request(
            call.method.as_ptr(),
            call.method.len(),
            call.url.as_ptr(),
            call.url.len(),
            call.headers.as_ptr(),
            call.headers.len(),
            call.body.as_ptr(),
            call.body.len(),
        )
    }
}

pub(crate) fn http_request_start(call: Outgoing<'_>) -> i32 {
    unsafe {
        import::http_request_start(
            call.method.as_ptr(),
            call.method.len(),
            call.url.as_ptr(),
            call.url.len(),
            call.headers.as_ptr(),
            call.headers.len(),
            call.body.as_ptr(),
            call.body.len(),
        )
    }
}

/// The handles lie in memory as the node reads them: WebAssembly is little-endian.
pub(crate) fn http_request_wait_any(handles: &[i32]) -> i32 {
    unsafe { import::http_request_wait_any(handles.as_ptr(), handles.len()) }
}

pub(crate) fn http_response_header(name: &[u8]) -> i32 {
    unsafe { import::http_response_header(name.as_ptr(), name.len()) }
}

pub(crate) fn request_set_header(name: &[u8], value: &[u8]) -> i32 {
    unsafe { import::request_set_header(name.as_ptr(), name.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn request_add_header(name: &[u8], value: &[u8]) -> i32 {
    unsafe { import::request_add_header(name.as_ptr(), name.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn request_remove_header(name: &[u8]) -> i32 {
    unsafe { import::request_remove_header(name.as_ptr(), name.len()) }
}

pub(crate) fn request_set_uri(uri: &[u8]) -> i32 {
    unsafe { import::request_set_uri(uri.as_ptr(), uri.len()) }
}

pub(crate) fn request_set_body(body: &[u8]) -> i32 {
    unsafe { import::request_set_body(body.as_ptr(), body.len()) }
}

pub(crate) fn response_get_header(name: &[u8]) -> i32 {
    unsafe { import::response_get_header(name.as_ptr(), name.len()) }
}
