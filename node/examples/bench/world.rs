//! Everything that runs during a measurement: the node with 100 routes, Pingora alone twice, and
//! an origin.

use std::{
    env,
    error::Error,
    ffi::OsStr,
    fmt::Write as _,
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    cores::{Cores, pinned},
    guests,
    program::{Program, free_address},
};

/// Paths of the node that are measured. The other programs answer them all.
pub(crate) const RESPOND: &str = "/respond";
pub(crate) const PROXIED: &str = "/proxied";
pub(crate) const HELLO: &str = "/hello";
pub(crate) const MINIMAL: &str = "/minimal";

/// Routes besides those measured, of all kinds, to make 100.
const OTHER_ROUTES: u32 = 96;

/// The example's module, seen from `node/`.
const EXAMPLE: &str = "../wasm-edge-function-example/target/wasm32-unknown-unknown/release/aegis_edge_function_example.wasm";

/// What the origin sends.
const PAGE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 22\r\n\r\nhello from the origin\n";

const PATIENCE: Duration = Duration::from_secs(10);

/// The running programs. The node and the bare ones are never measured at the same time, and cost
/// nothing while idle, so they share a core.
pub(crate) struct World {
    pub(crate) node: Program,
    pub(crate) bare_respond: Program,
    pub(crate) bare_proxy: Program,
    _origin: Program,
    _files: TempDir,
}

// === impl World ===

impl World {
    /// Starts all of it, from the binaries that were built together with this one.
    pub(crate) fn start(cores: &Cores) -> Result<Self, Box<dyn Error>> {
        let files = TempDir::new()?;
        let folder = env::current_exe()?;
        let folder = folder.parent().ok_or("this program is in no folder")?;

        let page = files.path().join("page");
        fs::write(&page, PAGE)?;
        let origin = start(cores.load, &folder.join("bare_respond"), &page)?;

        let address = free_address()?;
        let config = files.path().join("aegis.toml");
        fs::write(
            &config,
            configuration(files.path(), address, origin.address)?,
        )?;
        let mut command = pinned(cores.server, folder.with_file_name("aegis"));
        let node = Program::start(command.args(["run", "-c"]).arg(&config), address)?;

        let answer = files.path().join("answer");
        fs::write(&answer, recorded(address, RESPOND)?)?;
        let bare_respond = start(cores.server, &folder.join("bare_respond"), &answer)?;
        let upstream = origin.address.to_string();
        let bare_proxy = start(cores.server, &folder.join("bare_proxy"), &upstream)?;
        Ok(Self {
            node,
            bare_respond,
            bare_proxy,
            _origin: origin,
            _files: files,
        })
    }
}

/// Starts `program ADDRESS ARGUMENT`.
fn start(
    core: usize,
    program: &Path,
    argument: impl AsRef<OsStr>,
) -> Result<Program, Box<dyn Error>> {
    let address = free_address()?;
    let mut command = pinned(core, program);
    Program::start(command.arg(address.to_string()).arg(argument), address)
}

/// A configuration with every limit and the access log as they are by default.
fn configuration(
    folder: &Path,
    address: SocketAddr,
    origin: SocketAddr,
) -> Result<String, Box<dyn Error>> {
    fs::write(
        folder.join("minimal.wasm"),
        wat::parse_str(guests::MINIMAL)?,
    )?;
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLE);
    let mut config = format!(
        r#"
server.threads = 1
edge.threads = 1
listeners = [{{ address = "{address}" }}]
upstreams.origin.backends = ["{origin}"]
functions.minimal.module = "minimal.wasm"
functions.hello = {{ module = {example:?}, entry = "hello" }}

[[routes]]
path = "{RESPOND}"
respond = {{ body = "hello from the edge\n", headers = {{ "content-type" = "text/plain" }} }}

[[routes]]
path_prefix = "{PROXIED}"
upstream = "origin"

[[routes]]
path_prefix = "{HELLO}"
functions = ["hello"]

[[routes]]
path_prefix = "{MINIMAL}"
functions = ["minimal"]
"#
    );
    for number in 0..OTHER_ROUTES {
        write!(
            config,
            "\n[[routes]]\n{}\nrespond = {{ status = 204 }}\n",
            other_route(number)
        )?;
    }
    Ok(config)
}

/// What one of the routes is for that no request of the measurement matches.
fn other_route(number: u32) -> String {
    match number % 4 {
        0 => format!(r#"path_prefix = "/prefix-{number}/below""#),
        1 => format!("path = \"/exact/{number}\"\nmethods = [\"GET\", \"POST\"]"),
        2 => format!("hosts = [\"host-{number}.example\"]\npath_prefix = \"/\""),
        _ => format!("path_prefix = \"/header\"\nheaders = {{ \"x-number\" = \"{number}\" }}"),
    }
}

/// A response as it comes over the wire.
fn recorded(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    Ok(response)
}
