//! The node's imports.
//!
//! Safety, for every call here: the node reads and writes only within the pointer and length it
//! is given, does so only during the call, and checks both against the memory. All pointers come
//! from slices that outlive the call, mutable ones where the node writes.
#![allow(
    unsafe_code,
    reason = "host calls take raw pointers; this file alone makes them"
)]

mod import {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) fn log(ptr: *const u8, len: usize);
        pub(super) fn cache_get(key: *const u8, key_len: usize) -> i32;
        pub(super) fn cache_set(
            key: *const u8,
            key_len: usize,
            value: *const u8,
            value_len: usize,
            ttl: u32,
        ) -> i32;
        pub(super) fn http_get(url: *const u8, url_len: usize) -> i32;
        pub(super) fn http_post(
            url: *const u8,
            url_len: usize,
            body: *const u8,
            body_len: usize,
            content_type: *const u8,
            content_type_len: usize,
        ) -> i32;
        pub(super) fn http_put(
            url: *const u8,
            url_len: usize,
            body: *const u8,
            body_len: usize,
            content_type: *const u8,
            content_type_len: usize,
        ) -> i32;
        pub(super) fn http_delete(url: *const u8, url_len: usize) -> i32;
        pub(super) fn get_shared_buffer(dest: *mut u8, offset: usize, length: usize) -> i32;
        pub(crate) safe fn request_get_method() -> i32;
        pub(crate) safe fn request_get_uri() -> i32;
        pub(super) fn request_get_header(name: *const u8, name_len: usize) -> i32;
        pub(crate) safe fn request_get_header_names() -> i32;
        pub(crate) safe fn request_get_body() -> i32;
        pub(crate) safe fn request_terminate(status: i32) -> i32;
        pub(crate) safe fn response_set_status(status: i32) -> i32;
        pub(super) fn response_set_header(
            name: *const u8,
            name_len: usize,
            value: *const u8,
            value_len: usize,
        ) -> i32;
        pub(super) fn response_add_header(
            name: *const u8,
            name_len: usize,
            value: *const u8,
            value_len: usize,
        ) -> i32;
        pub(super) fn response_remove_header(name: *const u8, name_len: usize) -> i32;
        pub(super) fn response_set_body(ptr: *const u8, len: usize) -> i32;
        pub(crate) safe fn last_error() -> i32;
        pub(crate) safe fn last_error_code() -> i32;
        pub(super) fn config_get(key: *const u8, key_len: usize) -> i32;
        pub(crate) safe fn time_now() -> i64;
        pub(super) fn random_bytes(ptr: *mut u8, len: usize) -> i32;
    }
}

pub(crate) use import::{
    last_error, last_error_code, request_get_body, request_get_header_names, request_get_method,
    request_get_uri, request_terminate, response_set_status, time_now,
};

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
