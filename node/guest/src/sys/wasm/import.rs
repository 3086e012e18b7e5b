//! The imports themselves, with the types the node gives them. A module imports what it calls and
//! nothing else, so that a node without the newer ones still loads it.

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
    pub(super) fn cache_delete(key: *const u8, key_len: usize) -> i32;
    pub(super) fn cache_increment(key: *const u8, key_len: usize, delta: i64, ttl: u32) -> i64;
    pub(super) fn rate_limit(key: *const u8, key_len: usize, limit: u32, window: u32) -> i32;
    pub(super) fn http_request(
        method: *const u8,
        method_len: usize,
        url: *const u8,
        url_len: usize,
        headers: *const u8,
        headers_len: usize,
        body: *const u8,
        body_len: usize,
    ) -> i32;
    pub(super) fn http_request_start(
        method: *const u8,
        method_len: usize,
        url: *const u8,
        url_len: usize,
        headers: *const u8,
        headers_len: usize,
        body: *const u8,
        body_len: usize,
    ) -> i32;
    pub(crate) safe fn http_request_wait(handle: i32) -> i32;
    pub(super) fn http_request_wait_any(handles: *const i32, count: usize) -> i32;
    pub(crate) safe fn http_response_status() -> i32;
    pub(super) fn http_response_header(name: *const u8, name_len: usize) -> i32;
    pub(super) fn request_set_header(
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> i32;
    pub(super) fn request_add_header(
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> i32;
    pub(super) fn request_remove_header(name: *const u8, name_len: usize) -> i32;
    pub(super) fn request_set_uri(ptr: *const u8, len: usize) -> i32;
    pub(super) fn request_set_body(ptr: *const u8, len: usize) -> i32;
    pub(crate) safe fn request_get_client_address() -> i32;
    pub(crate) safe fn response_get_status() -> i32;
    pub(super) fn response_get_header(name: *const u8, name_len: usize) -> i32;
    pub(crate) safe fn response_get_header_names() -> i32;
    pub(crate) safe fn response_get_body() -> i32;
}
