//! The same over HTTP/2, where a body may have a length, or none.

use super::echo::{SIZES, copying, echo};
use super::pattern;
use crate::harness::Http2;
use crate::harness::http2::request;

#[test]
fn what_a_guest_reads_and_sets_again_is_what_was_sent() {
    let origin = echo();
    let node = copying(&origin, "h2c = true");
    let client = Http2::open(node.address);
    for path in ["/request", "/response", "/both"] {
        for size in SIZES {
            let body = pattern(size);
            let fixed = request("POST", path).header("content-length", size);
            let open = request("POST", path).header("x-chunked", "1");
            for request in [fixed, open] {
                let answer = client.exchange(request, &body);
                assert_eq!(answer.error(), (200, ""), "{path} {size}");
                assert!(answer.complete && answer.body == body, "{path} {size}");
                assert!(origin.last().body == body, "{path} {size}");
            }
        }
    }
}
