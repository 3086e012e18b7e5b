//! Nodes that are measured for their cache.

use std::{error::Error, fs, net::SocketAddr, path::Path};

use crate::{
    cores::pinned,
    guests,
    program::{Program, free_address},
};

/// Paths of these nodes.
pub(crate) const NONE: &str = "/none";
pub(crate) const ONE: &str = "/one";
pub(crate) const MANY: &str = "/many";
pub(crate) const LIMITED: &str = "/limited";
pub(crate) const COUNTING: &str = "/counting";

/// How often a request to [`MANY`] reads.
pub(crate) const READS: u32 = 20;

/// Writes the modules that [`start`] uses into `folder`.
pub(crate) fn write_modules(folder: &Path) -> Result<(), Box<dyn Error>> {
    let modules = [
        ("none", guests::MINIMAL.to_owned()),
        ("one", guests::reading(1)),
        ("many", guests::reading(READS)),
        ("limited", guests::LIMITED.to_owned()),
        ("counting", guests::COUNTING.to_owned()),
    ];
    for (name, text) in modules {
        fs::write(folder.join(format!("{name}.wasm")), wat::parse_str(text)?)?;
    }
    Ok(())
}

/// A redis-server that keeps nothing.
pub(crate) fn redis(core: usize) -> Result<Program, Box<dyn Error>> {
    let address = free_address()?;
    let mut command = pinned(core, "redis-server");
    command
        .args(["--bind", "127.0.0.1", "--port"])
        .arg(address.port().to_string())
        .args(["--save", "", "--appendonly", "no"]);
    Program::start(&mut command, address)
}

/// A node with one thread of each kind, the modules of `folder`, and `cache` for its cache.
pub(crate) fn start(core: usize, folder: &Path, cache: &str) -> Result<Program, Box<dyn Error>> {
    let address = free_address()?;
    let config = folder.join(format!("{}.toml", address.port()));
    fs::write(&config, configuration(address, cache))?;
    let program = std::env::current_exe()?;
    let folder = program.parent().ok_or("this program is in no folder")?;
    let mut command = pinned(core, folder.with_file_name("aegis"));
    Program::start(command.args(["run", "-c"]).arg(&config), address)
}

fn configuration(address: SocketAddr, cache: &str) -> String {
    let mut config = format!(
        "server.threads = 1\nserver.limits.connections_per_client = 10000\nedge.threads = 1\n\
         listeners = [{{ address = \"{address}\" }}]\n[cache]\n{cache}\n"
    );
    for path in [NONE, ONE, MANY, LIMITED, COUNTING] {
        let name = &path[1..];
        config += &format!(
            "[functions.{name}]\nmodule = \"{name}.wasm\"\ncache_namespace = \"bench\"\n\
             [[routes]]\npath = \"{path}\"\nfunctions = [\"{name}\"]\n"
        );
    }
    config
}
