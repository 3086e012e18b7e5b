//! Code that got out of a guest and into the process: what it can still do inside the sandbox.
//!
//! Sandboxing is for good and must happen on the only thread, so this program starts itself: once
//! sandboxed, to try everything, and once not, to see that the attempts would work otherwise.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed expectation is how a test fails"
)]

mod attempts;
#[path = "../it/harness/kernel.rs"]
mod kernel;
mod world;

use std::io;
use std::process::{Command, ExitCode};

use aegis_node::sandbox::{self, Need};

use attempts::{ALLOWED, Attempt, REFUSED, UNTRIED};
use world::World;

const SANDBOXED: &str = "sandboxed";
const FREE: &str = "free";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let wrong = match arguments[..] {
        [SANDBOXED, folder] => sandboxed(&World::of(folder)),
        [FREE, folder] => free(&World::of(folder)),
        _ if kernel::can_sandbox() => return started(&[SANDBOXED, FREE]),
        _ => return started(&[FREE]),
    };
    for line in &wrong {
        println!("  {line}");
    }
    ExitCode::from(u8::from(!wrong.is_empty()))
}

/// Runs each mode in a process and a world of its own.
fn started(modes: &[&str]) -> ExitCode {
    for mode in modes {
        let folder = tempfile::tempdir().unwrap();
        let world = World::make(folder.path());
        let status = Command::new(std::env::current_exe().unwrap())
            .args([mode, world.folder.to_str().unwrap()])
            .status()
            .unwrap();
        println!("escape, {mode}: {status}");
        if !status.success() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn sandboxed(world: &World) -> Vec<String> {
    let needs = [
        Need::File(world.config_file()),
        Need::Store(world.store()),
        Need::File(world.absent()),
    ];
    let sandbox = sandbox::enter(&needs).unwrap();
    let mut wrong = Vec::new();
    for need in &needs {
        if !sandbox.covers(need) {
            wrong.push(format!("{need:?} was granted, and is not covered"));
        }
    }
    for file in [world.secret(), "/etc/passwd".into()] {
        if sandbox.covers(&Need::File(file.clone())) {
            wrong.push(format!(
                "{} was not granted, and is covered",
                file.display()
            ));
        }
    }
    wrong.extend(ALLOWED.iter().filter_map(|attempt| works(attempt, world)));
    let refused = REFUSED.iter().chain(UNTRIED);
    wrong.extend(refused.filter_map(|attempt| fails(attempt, world)));
    wrong
}

/// The control: without a sandbox what is allowed works, and so does most of what is refused.
fn free(world: &World) -> Vec<String> {
    let attempts = ALLOWED.iter().chain(REFUSED);
    attempts
        .filter_map(|attempt| works(attempt, world))
        .collect()
}

fn works((name, attempt): &Attempt, world: &World) -> Option<String> {
    let error = attempt(world).err()?;
    Some(format!("{name} should work: {error}"))
}

fn fails((name, attempt): &Attempt, world: &World) -> Option<String> {
    match attempt(world) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
        Err(error) => Some(format!("{name} should be refused: {error}")),
        Ok(()) => Some(format!("{name} should be refused, and worked")),
    }
}
