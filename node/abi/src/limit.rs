//! Limits that are part of the contract itself: the same on every node, whatever it is configured
//! to. Limits an operator can change are not here.

/// Longest cache key in bytes; the shortest is one byte.
pub const MAX_KEY: usize = 256;

/// Longest cache value in bytes: 1 MiB.
pub const MAX_VALUE: usize = 1024 * 1024;

/// Longest log record in bytes: 4 KiB. A longer one is cut, not refused.
pub const MAX_LOG_RECORD: usize = 4 * 1024;

/// Longest time to live of a cache entry in seconds: one year of 365 days.
pub const MAX_TTL_SECONDS: u32 = 31_536_000;

/// Longest URL of an HTTPS call in bytes: 8 KiB.
pub const MAX_URL: usize = 8 * 1024;

/// Longest body a function may send with an HTTPS call, in bytes: 1 MiB.
pub const MAX_REQUEST_BODY: usize = 1024 * 1024;

/// Most headers a function may send with an HTTPS call.
pub const MAX_REQUEST_HEADERS: usize = 64;

/// Longest list of headers a function may send with an HTTPS call, in bytes: 16 KiB, separators
/// included.
pub const MAX_REQUEST_HEADER_SIZE: usize = 16 * 1024;

/// Longest body an HTTPS call may bring back, in bytes after decompression: 1 MiB.
pub const MAX_RESPONSE: usize = 1024 * 1024;

/// Lowest status a function may answer with; 1xx never comes from a function.
pub const MIN_STATUS: i32 = 200;

/// Highest status a function may answer with.
pub const MAX_STATUS: i32 = 599;
