//! Landlock's part: which files and folders can be opened, and what for. Nothing can be executed.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, make_bitflags,
};

use super::grants::Grants;
use super::{SandboxError, system};

/// The first version that holds truncating too: Linux 6.2. All it knows is held.
const KERNEL: ABI = ABI::V3;
const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
const STORE: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | Truncate | MakeReg | RemoveFile});

/// Leaves the process these grants and what libraries need. The files must stay open for the rules
/// on `/proc` to hold: entries of that file system that nobody holds are made anew, unknown to any
/// rule.
pub(super) fn restrict(grants: &Grants) -> Result<Vec<File>, SandboxError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(KERNEL))?
        .create()?;
    for path in grants.read.iter().chain(&system::authorities()) {
        allow(&mut ruleset, path, READ)?;
    }
    for folder in &grants.write {
        allow(&mut ruleset, folder, STORE)?;
    }
    let libraries = system::libraries();
    let folders = system::FOLDERS.map(Path::new).into_iter();
    let mut held = Vec::new();
    for path in system::FILES
        .map(Path::new)
        .into_iter()
        .chain(folders)
        .chain(libraries.as_deref())
    {
        let file = allow(&mut ruleset, path, AccessFs::ReadFile.into())?;
        held.extend(file.filter(|_| path.starts_with("/proc")));
    }
    let status = ruleset.restrict_self()?;
    match (status.ruleset, status.no_new_privs) {
        (RulesetStatus::FullyEnforced, true) => Ok(held),
        (status, _) => Err(SandboxError::Files(format!("{status:?}"))),
    }
}

/// What is not there, or may not be opened anyway, needs no rule.
fn allow(
    ruleset: &mut RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<Option<File>, SandboxError> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path);
    let Ok(file) = opened else {
        return Ok(None);
    };
    let access = match file.metadata() {
        Ok(metadata) if metadata.is_dir() => access,
        _ => access & AccessFs::from_file(KERNEL),
    };
    ruleset.add_rule(PathBeneath::new(&file, access))?;
    Ok(Some(file))
}

// === impl SandboxError ===

impl From<RulesetError> for SandboxError {
    fn from(error: RulesetError) -> Self {
        Self::Files(error.to_string())
    }
}
