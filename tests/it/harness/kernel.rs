//! What the kernel under the tests can do.

use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};

/// Whether it has what `[server] sandbox` needs: landlock of Linux 6.2, and seccomp. Where it has
/// not, a sandboxed node does not start, which is a test of its own.
pub(crate) fn can_sandbox() -> bool {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let landlock = ruleset
        .handle_access(AccessFs::from_all(ABI::V3))
        .and_then(Ruleset::create);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let able = landlock.is_ok() && status.contains("Seccomp:");
    if !able {
        eprintln!("this kernel has no landlock or no seccomp: not tested");
    }
    able
}
