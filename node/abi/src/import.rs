//! The names of the imports, all in [`MODULE`](crate::MODULE).
//!
//! A signature never changes; what is new gets a new name. "Length" in a result is that of the
//! data the call left in the shared buffer; failure is [`FAILURE`](crate::FAILURE).

/// `(ptr, len)`: one log record, UTF-8.
pub const LOG: &str = "log";

/// `(key_ptr, key_len) -> i32`: the value's length.
pub const CACHE_GET: &str = "cache_get";

/// `(key_ptr, key_len, value_ptr, value_len, ttl) -> i32`: 0; `ttl` in seconds, 0 is the node's
/// default.
pub const CACHE_SET: &str = "cache_set";

/// `(url_ptr, url_len) -> i32`: the body's length, whatever the status.
pub const HTTP_GET: &str = "http_get";

/// `(url_ptr, url_len, body_ptr, body_len, content_type_ptr, content_type_len) -> i32`: the
/// answer's length.
pub const HTTP_POST: &str = "http_post";

/// As [`HTTP_POST`].
pub const HTTP_PUT: &str = "http_put";

/// As [`HTTP_GET`].
pub const HTTP_DELETE: &str = "http_delete";

/// `(dest_ptr, offset, length) -> i32`: bytes copied out of the shared buffer.
pub const GET_SHARED_BUFFER: &str = "get_shared_buffer";

/// `() -> i32`: the method's length.
pub const REQUEST_GET_METHOD: &str = "request_get_method";

/// `() -> i32`: the length of the path and query.
pub const REQUEST_GET_URI: &str = "request_get_uri";

/// `(name_ptr, name_len) -> i32`: the length of the first value.
pub const REQUEST_GET_HEADER: &str = "request_get_header";

/// `() -> i32`: the length of a JSON array of names.
pub const REQUEST_GET_HEADER_NAMES: &str = "request_get_header_names";

/// `() -> i32`: the body's length.
pub const REQUEST_GET_BODY: &str = "request_get_body";

/// `(status) -> i32`: 0; the upstream is not asked.
pub const REQUEST_TERMINATE: &str = "request_terminate";

/// `(status) -> i32`: 0.
pub const RESPONSE_SET_STATUS: &str = "response_set_status";

/// `(name_ptr, name_len, value_ptr, value_len) -> i32`: 0.
pub const RESPONSE_SET_HEADER: &str = "response_set_header";

/// `(name_ptr, name_len, value_ptr, value_len) -> i32`: 0.
pub const RESPONSE_ADD_HEADER: &str = "response_add_header";

/// `(name_ptr, name_len) -> i32`: 0.
pub const RESPONSE_REMOVE_HEADER: &str = "response_remove_header";

/// `(ptr, len) -> i32`: 0.
pub const RESPONSE_SET_BODY: &str = "response_set_body";

/// `() -> i32`: the length of a short text on the last failure.
pub const LAST_ERROR: &str = "last_error";

/// `() -> i32`: the [`Code`](crate::Code) of the last failure, 0 where there was none.
pub const LAST_ERROR_CODE: &str = "last_error_code";

/// `(key_ptr, key_len) -> i32`: the length of a value of the function's `config`.
pub const CONFIG_GET: &str = "config_get";

/// `() -> i64`: Unix time in milliseconds.
pub const TIME_NOW: &str = "time_now";

/// `(ptr, len) -> i32`: 0; the memory is filled with cryptographically secure random bytes.
pub const RANDOM_BYTES: &str = "random_bytes";

/// `(key_ptr, key_len) -> i32`: 1 if the key was removed, 0 if it was absent.
pub const CACHE_DELETE: &str = "cache_delete";

/// `(key_ptr, key_len, delta: i64, ttl) -> i64`: the new value, or
/// [`INCREMENT_FAILURE`](crate::INCREMENT_FAILURE); `ttl` is set when the key is created.
pub const CACHE_INCREMENT: &str = "cache_increment";

/// `(key_ptr, key_len, limit, window_seconds) -> i32`: 0 is allowed; n > 0 is refused, to be tried
/// again after n milliseconds.
pub const RATE_LIMIT: &str = "rate_limit";

/// `(method_ptr, method_len, url_ptr, url_len, headers_ptr, headers_len, body_ptr, body_len) ->
/// i32`: the answer's length; headers are `Name: value` lines separated by `\n`.
pub const HTTP_REQUEST: &str = "http_request";

/// As [`HTTP_REQUEST`], but returns a handle of 0 or more at once, while the call runs on.
pub const HTTP_REQUEST_START: &str = "http_request_start";

/// `(handle) -> i32`: the answer's length, once it is there; a handle is good for one wait.
pub const HTTP_REQUEST_WAIT: &str = "http_request_wait";

/// `(handles_ptr, count) -> i32`: the index of a handle whose call is finished, in an array of
/// little-endian `i32`; the lowest if there are several. The handle can still be waited for.
pub const HTTP_REQUEST_WAIT_ANY: &str = "http_request_wait_any";

/// `() -> i32`: the status of the last HTTPS call.
pub const HTTP_RESPONSE_STATUS: &str = "http_response_status";

/// `(name_ptr, name_len) -> i32`: the length of the first value of a header of the last HTTPS call.
pub const HTTP_RESPONSE_HEADER: &str = "http_response_header";

/// `(name_ptr, name_len, value_ptr, value_len) -> i32`: 0.
pub const REQUEST_SET_HEADER: &str = "request_set_header";

/// `(name_ptr, name_len, value_ptr, value_len) -> i32`: 0.
pub const REQUEST_ADD_HEADER: &str = "request_add_header";

/// `(name_ptr, name_len) -> i32`: 0.
pub const REQUEST_REMOVE_HEADER: &str = "request_remove_header";

/// `(ptr, len) -> i32`: 0; the path and query that the upstream is asked for.
pub const REQUEST_SET_URI: &str = "request_set_uri";

/// `(ptr, len) -> i32`: 0.
pub const REQUEST_SET_BODY: &str = "request_set_body";

/// `() -> i32`: the length of the client's IP address as text.
pub const REQUEST_GET_CLIENT_ADDRESS: &str = "request_get_client_address";

/// `() -> i32`: the status of the upstream's response.
pub const RESPONSE_GET_STATUS: &str = "response_get_status";

/// `(name_ptr, name_len) -> i32`: the length of the first value.
pub const RESPONSE_GET_HEADER: &str = "response_get_header";

/// `() -> i32`: the length of a JSON array of names.
pub const RESPONSE_GET_HEADER_NAMES: &str = "response_get_header_names";

/// `() -> i32`: the length of the body of the upstream's response.
pub const RESPONSE_GET_BODY: &str = "response_get_body";

/// The set every guest could count on from the start; modules built for it run unchanged.
pub const ORIGINAL: &[&str] = &[
    LOG,
    CACHE_GET,
    CACHE_SET,
    HTTP_GET,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    GET_SHARED_BUFFER,
    REQUEST_GET_METHOD,
    REQUEST_GET_URI,
    REQUEST_GET_HEADER,
    REQUEST_GET_HEADER_NAMES,
    REQUEST_GET_BODY,
    REQUEST_TERMINATE,
    RESPONSE_SET_STATUS,
    RESPONSE_SET_HEADER,
    RESPONSE_ADD_HEADER,
    RESPONSE_REMOVE_HEADER,
    RESPONSE_SET_BODY,
];

/// What came later.
pub const ADDITIONS: &[&str] = &[
    LAST_ERROR,
    LAST_ERROR_CODE,
    CONFIG_GET,
    TIME_NOW,
    RANDOM_BYTES,
    CACHE_DELETE,
    CACHE_INCREMENT,
    RATE_LIMIT,
    HTTP_REQUEST,
    HTTP_REQUEST_START,
    HTTP_REQUEST_WAIT,
    HTTP_REQUEST_WAIT_ANY,
    HTTP_RESPONSE_STATUS,
    HTTP_RESPONSE_HEADER,
    REQUEST_SET_HEADER,
    REQUEST_ADD_HEADER,
    REQUEST_REMOVE_HEADER,
    REQUEST_SET_URI,
    REQUEST_SET_BODY,
    REQUEST_GET_CLIENT_ADDRESS,
    RESPONSE_GET_STATUS,
    RESPONSE_GET_HEADER,
    RESPONSE_GET_HEADER_NAMES,
    RESPONSE_GET_BODY,
];

#[cfg(test)]
mod tests {
    use super::{ADDITIONS, ORIGINAL};

    #[test]
    fn no_name_is_listed_twice() {
        let names = || ORIGINAL.iter().chain(ADDITIONS);
        for name in names() {
            assert_eq!(names().filter(|other| *other == name).count(), 1, "{name}");
        }
    }
}
