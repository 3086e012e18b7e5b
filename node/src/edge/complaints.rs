//! How often a function's failures are told of in the log.
//!
//! Clients can make a function fail as often as they like, so what is told in detail is
//! one failure per cause and minute. The access log has every one.

use super::error::Fault;
use crate::telemetry;

/// Dropped log records come after the faults.
const LOGS: usize = Fault::ALL.len();

/// Of one function.
#[derive(Debug, Default)]
pub(super) struct Complaints(telemetry::Complaints<{ LOGS + 1 }>);

impl Complaints {
    /// Whether this failure is to be told of now, and how many were not since the last.
    pub(super) fn due(&self, fault: Fault) -> Option<u64> {
        self.0.due(fault as usize)
    }

    /// The same for log records that were dropped.
    pub(super) fn logs_due(&self) -> Option<u64> {
        self.0.due(LOGS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_turn_of_its_own() {
        let complaints = Complaints::default();
        for fault in Fault::ALL {
            assert_eq!(complaints.due(fault), Some(0), "{fault:?}");
            assert_eq!(complaints.due(fault), None, "{fault:?}");
        }
        assert_eq!(complaints.logs_due(), Some(0));
        assert_eq!(complaints.logs_due(), None);
    }
}
