//! The node's log, where a function's records appear with its name, route and request id.

use crate::sys;

/// Writes one record.
///
/// Past 4 KiB it is cut; past the operator's limit per invocation (64 KiB unless configured
/// otherwise) it is dropped. Neither is an error. [`log!`](crate::log!) formats as well.
///
/// ```
/// aegis_guest::log::record("cache is cold");
/// ```
pub fn record(message: &str) {
    sys::log(message.as_bytes());
}

/// Writes one record to the node's log, formatted as by `format!`; see [`log::record`](record).
///
/// ```
/// let visits = 3;
/// aegis_guest::log!("visit number {visits}");
/// ```
#[macro_export]
macro_rules! log {
    ($($argument:tt)+) => {
        $crate::log::record(&::std::format!($($argument)+))
    };
}

#[cfg(test)]
mod tests {
    use crate::Error;
    use crate::testing::Host;

    #[test]
    fn records_arrive_in_order_and_formatted() {
        let outcome = Host::new().run(|| {
            super::record("first");
            crate::log!("{} and {}", 2, "second");
            Ok::<(), Error>(())
        });
        assert_eq!(outcome.logs(), ["first", "2 and second"]);
    }
}
