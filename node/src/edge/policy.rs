//! What a failed invocation means for its request.

use super::error::Fault;

/// What follows a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The client gets the error, or the function's fallback runs.
    #[default]
    Fail,
    /// The request goes on as if the function were not there.
    Bypass,
}

/// What follows a failure of each cause (`on_failure`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailurePolicy {
    /// Every other cause fails.
    bypassed: Vec<Fault>,
}

impl From<OnFailure> for FailurePolicy {
    /// The same for every cause.
    fn from(always: OnFailure) -> Self {
        Fault::ALL
            .into_iter()
            .map(|fault| (fault, always))
            .collect()
    }
}

impl FromIterator<(Fault, OnFailure)> for FailurePolicy {
    /// A cause that is not named fails.
    fn from_iter<I: IntoIterator<Item = (Fault, OnFailure)>>(causes: I) -> Self {
        let bypassed = causes
            .into_iter()
            .filter(|(_, what)| *what == OnFailure::Bypass)
            .map(|(fault, _)| fault)
            .collect();
        Self { bypassed }
    }
}

impl FailurePolicy {
    /// What follows this failure.
    pub fn of(&self, fault: Fault) -> OnFailure {
        match self.bypassed.contains(&fault) {
            true => OnFailure::Bypass,
            false => OnFailure::Fail,
        }
    }

    /// Whether there is a cause after which the request goes on.
    pub fn may_bypass(&self) -> bool {
        !self.bypassed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_that_are_not_named_fail() {
        let policy: FailurePolicy = [
            (Fault::Trap, OnFailure::Bypass),
            (Fault::Time, OnFailure::Fail),
        ]
        .into_iter()
        .collect();
        assert_eq!(policy.of(Fault::Trap), OnFailure::Bypass);
        assert_eq!(policy.of(Fault::Time), OnFailure::Fail);
        assert_eq!(policy.of(Fault::Memory), OnFailure::Fail);
        assert!(policy.may_bypass());
        assert!(!FailurePolicy::default().may_bypass());
    }

    #[test]
    fn one_word_is_for_every_cause() {
        let policy = FailurePolicy::from(OnFailure::Bypass);
        for fault in Fault::ALL {
            assert_eq!(policy.of(fault), OnFailure::Bypass);
            assert!(fault.code().ends_with(fault.cause()));
        }
    }
}
