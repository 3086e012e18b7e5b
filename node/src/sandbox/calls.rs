//! Seccomp's part: which system calls can be made, and with what arguments. All others fail with
//! EPERM.

mod always;
mod checked;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Display;

use libc::c_long;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter_all_threads};

use super::SandboxError;
use super::grants::UnixSockets;

const EPERM: SeccompAction = SeccompAction::Errno(libc::EPERM as u32);
const ENOSYS: SeccompAction = SeccompAction::Errno(libc::ENOSYS as u32);

/// Calls that look as if the kernel did not have them, so that the C library takes older ones:
/// the arguments of `clone3` lie in memory, where no filter can look, those of `clone` do not.
const UNKNOWN: [c_long; 1] = [libc::SYS_clone3];

/// Filters ready for the kernel.
pub(super) struct Filters {
    /// Installed one after the other; the strictest answer counts.
    programs: [BpfProgram; 2],
}

// === impl Filters ===

impl Filters {
    /// For the process with this id.
    pub(super) fn new(process: u32, unix: UnixSockets) -> Result<Self, SandboxError> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(refused)?;
        let unknown = UNKNOWN.map(|call| (call, Vec::new()));
        let hidden = filter(unknown.into(), SeccompAction::Allow, ENOSYS, arch)?;
        let mut rules: BTreeMap<_, _> = always::CALLS
            .iter()
            .chain(&UNKNOWN)
            .map(|call| (*call, Vec::new()))
            .collect();
        rules.extend(checked::calls(process, unix).map_err(refused)?);
        let allowed = filter(rules, EPERM, SeccompAction::Allow, arch)?;
        Ok(Self {
            programs: [hidden, allowed],
        })
    }

    /// Installs them for every thread there is and will be.
    pub(super) fn apply(&self) -> Result<(), SandboxError> {
        for program in &self.programs {
            apply_filter_all_threads(program).map_err(refused)?;
        }
        Ok(())
    }
}

fn filter(
    rules: checked::Rules,
    otherwise: SeccompAction,
    then: SeccompAction,
    arch: TargetArch,
) -> Result<BpfProgram, SandboxError> {
    let filter = SeccompFilter::new(rules, otherwise, then, arch).map_err(refused)?;
    filter.try_into().map_err(refused)
}

fn refused(error: impl Display) -> SandboxError {
    SandboxError::Calls(error.to_string())
}
