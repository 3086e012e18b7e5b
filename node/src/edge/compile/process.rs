//! The processes of compiling: copies of this program, without its environment.

use std::ffi::CStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};

/// This very program, even if its file was replaced or removed meanwhile.
const PROGRAM: &str = "/proc/self/exe";
/// What process lists show.
const NAME: &str = "aegis";

/// This program with `argument`: in no folder of interest, with no secrets around, and in
/// a process group of its own, so that a terminal's signals pass it by.
pub(super) fn command(argument: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg0(NAME)
        .arg(argument)
        .env_clear()
        .current_dir("/")
        .process_group(0);
    command
}

/// Makes the process known as `name` and deaf to what service managers send to all
/// processes of a service: it ends with the process it works for.
pub(super) fn settle(name: &CStr) -> nix::Result<()> {
    prctl::set_name(name)?;
    let mut deaf = SigSet::empty();
    deaf.add(Signal::SIGHUP);
    deaf.add(Signal::SIGINT);
    deaf.add(Signal::SIGTERM);
    deaf.thread_block()
}
