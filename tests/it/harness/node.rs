//! One `aegis` process on a free port in a directory of its own, killed when dropped.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::http::{Connection, Request, Response};
use super::lines::{Lines, PATIENCE};
use super::origin::Origin;

/// An environment variable; with it every node runs with `[server] sandbox = true`.
const SANDBOX: &str = "AEGIS_TEST_SANDBOX";

/// A directory with a configuration and the files it names, not yet running.
pub(crate) struct Setup {
    dir: TempDir,
    toml: String,
    values: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    descriptors: Option<u32>,
}

/// Lines of the node's log that a failed test shows.
const SHOWN: usize = 100;

pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    /// The access log.
    pub(crate) stdout: Lines,
    /// The node's own log.
    pub(crate) stderr: Lines,
    setup: Setup,
    child: Child,
}

/// A configuration to be served; a listener is added when `toml` has none, and `{listen}` is its address.
pub(crate) fn node(toml: &str) -> Setup {
    let listener = "[[listeners]]\naddress = \"{listen}\"\n";
    let toml = if toml.contains("[[listeners]]") {
        toml.to_owned()
    } else {
        format!("{listener}{toml}")
    };
    Setup {
        dir: TempDir::new().unwrap(),
        toml,
        values: Vec::new(),
        environment: Vec::new(),
        descriptors: None,
    }
}

/// Runs the binary to its end.
pub(crate) fn aegis(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

/// Everything a finished process wrote.
pub(crate) fn printed(output: &Output) -> String {
    let streams = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&streams).into_owned()
}

pub(crate) fn signal(process: u32, name: &str) {
    let kill = Command::new("kill")
        .args(["-s", name, &process.to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
}

fn as_told(toml: String) -> String {
    if std::env::var_os(SANDBOX).is_none() || toml.contains("sandbox = ") {
        toml
    } else if toml.contains("[server]\n") {
        toml.replacen("[server]\n", "[server]\nsandbox = true\n", 1)
    } else {
        format!("{toml}\n[server]\nsandbox = true\n")
    }
}

fn command() -> Command {
    let binary = std::env::var_os("AEGIS_BIN")
        .unwrap_or_else(|| OsString::from(env!("CARGO_BIN_EXE_aegis")));
    let mut command = Command::new(binary);
    command.env_remove("RUST_LOG");
    command
}

/// The same command, with no more than so many open files.
fn limited(command: Command, descriptors: Option<u32>) -> Command {
    let Some(most) = descriptors else {
        return command;
    };
    let mut limited = Command::new("prlimit");
    limited
        .arg(format!("--nofile={most}:{most}"))
        .arg(command.get_program());
    limited.env_remove("RUST_LOG");
    limited
}

// === impl Setup ===

impl Setup {
    /// Gives the listener `keys`.
    pub(crate) fn listening(mut self, keys: &str) -> Self {
        let address = "address = \"{listen}\"\n";
        self.toml = self.toml.replace(address, &format!("{address}{keys}\n"));
        self
    }

    /// Replaces `{name}` in the configuration.
    pub(crate) fn set(mut self, name: &str, value: &impl ToString) -> Self {
        self.values.push((format!("{{{name}}}"), value.to_string()));
        self
    }

    /// Sets an environment variable of the process.
    pub(crate) fn environment(mut self, name: &str, value: &impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// How many files the process may have open.
    pub(crate) fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path(name), content).unwrap();
        self
    }

    /// Writes `NAME.wasm`, compiled from the text format.
    pub(crate) fn wasm(self, name: &str, text: impl AsRef<str>) -> Self {
        let module = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.file(&format!("{name}.wasm"), module)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `aegis check` on it: exit code and everything printed.
    pub(crate) fn check(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.write(Origin::absent());
        let file = self.path("aegis.toml");
        let mut check = command();
        check.args(["check", "-c", file.to_str().unwrap()]);
        check.args(arguments).envs(self.environment.clone());
        let output = check.output().unwrap();
        (output.status.code(), printed(&output))
    }

    /// Runs it until it listens; a port lost to another process in between is tried again.
    pub(crate) fn start(mut self) -> Node {
        self.toml = as_told(self.toml);
        for _ in 0..3 {
            match self.try_start() {
                Ok(node) => return node,
                Err(failed) if failed.1.contains("in use") => self = failed.0,
                Err(failed) => panic!("the node did not start:\n{}", failed.1),
            }
        }
        panic!("no free port");
    }

    fn try_start(self) -> Result<Node, Box<(Self, String)>> {
        let address = Origin::absent();
        self.write(address);
        let mut child = limited(command(), self.descriptors)
            .args(["run", "--log-format", "json", "-c"])
            .arg(self.path("aegis.toml"))
            .envs(self.environment.clone())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Lines::reading(child.stdout.take().unwrap());
        let stderr = Lines::reading(child.stderr.take().unwrap());
        let node = Node {
            address,
            stdout,
            stderr,
            setup: self,
            child,
        };
        if node.listens() {
            Ok(node)
        } else {
            Err(Box::new(node.failed()))
        }
    }

    fn write(&self, listen: SocketAddr) {
        let mut text = self.toml.replace("{listen}", &listen.to_string());
        text = text.replace("{dir}", self.dir.path().to_str().unwrap());
        for (name, value) in &self.values {
            text = text.replace(name, value);
        }
        std::fs::write(self.path("aegis.toml"), text).unwrap();
    }
}

// === impl Node ===

impl Node {
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Sends one request on a connection of its own.
    ///
    /// # Panics
    /// When no answer comes.
    pub(crate) fn send(&self, request: &Request) -> Response {
        self.connect()
            .exchange(request)
            .expect("the connection ended without an answer")
    }

    pub(crate) fn get(&self, target: &str) -> Response {
        self.send(&Request::get(target))
    }

    /// Asks for `target` on new connections until one is served.
    pub(crate) fn connect_until_served(&self, target: &str) {
        let deadline = Instant::now() + PATIENCE;
        let served = || {
            self.connect()
                .exchange(&Request::get(target))
                .is_some_and(|response| response.status == 200)
        };
        while !served() {
            assert!(Instant::now() < deadline, "{target} is never served");
        }
    }

    /// What came back for exactly these bytes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Option<Response> {
        let mut connection = self.connect();
        connection.send(bytes);
        connection.read("GET")
    }

    /// In the directory of its configuration.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.setup.path(name)
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Serves another configuration from now on: what the log says of it, `Err` when it was refused.
    pub(crate) fn reload(&mut self, toml: &str) -> Result<String, String> {
        self.setup.toml = as_told(node(toml).toml);
        self.setup.write(self.address);
        self.reload_files()
    }

    /// Replaces the module file `NAME.wasm`.
    pub(crate) fn replace(&self, name: &str, content: impl AsRef<[u8]>) {
        let (new, file) = (
            self.setup.path("replacement"),
            self.setup.path(&format!("{name}.wasm")),
        );
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// SIGHUP, and what came of it.
    pub(crate) fn reload_files(&self) -> Result<String, String> {
        let seen = self.stderr.count();
        self.signal("HUP");
        let ended = |line: &str| {
            message(line).contains("reloaded") || message(line).contains("reload refused")
        };
        let line = self
            .stderr
            .find_from(seen, ended)
            .expect("no line about the reload");
        if message(&line).contains("refused") {
            Err(line)
        } else {
            Ok(line)
        }
    }

    /// The access log line of the first request whose path is `path`.
    pub(crate) fn access(&self, path: &str) -> Value {
        let of = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_default();
        of(&self.stdout.wait_for(|line| of(line)["path"] == path))
    }

    /// Waits for the process to end by itself; its exit code.
    pub(crate) fn exit(&mut self) -> Option<i32> {
        assert!(self.stderr.wait_closed(), "the process runs on");
        self.child.wait().unwrap().code()
    }

    /// Waits until the kernel knows the listener: a connection made to find out would count as a client's.
    fn listens(&self) -> bool {
        let entry = format!(":{:04X} 00000000:0000 0A", self.address.port());
        let listening = || {
            let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
            let listeners = sockets.lines().filter(|line| line.contains(&entry));
            let mut inodes = listeners.filter_map(|line| line.split_whitespace().nth(9));
            inodes.any(|inode| self.holds(&format!("socket:[{inode}]")))
        };
        let deadline = Instant::now() + PATIENCE;
        while !listening() {
            let ended = self.stderr.closed_within(Duration::from_millis(5));
            if ended || Instant::now() > deadline {
                return false;
            }
        }
        true
    }

    /// Another process may still hold the socket that the port was found with.
    fn holds(&self, socket: &str) -> bool {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.process()));
        descriptors.is_ok_and(|mut entries| {
            entries.any(|entry| {
                let link = entry.and_then(|entry| std::fs::read_link(entry.path()));
                link.is_ok_and(|link| link.as_os_str() == socket)
            })
        })
    }

    fn failed(mut self) -> (Setup, String) {
        self.child.kill().ok();
        let log = self.stderr.all().join("\n");
        let empty = Setup {
            dir: TempDir::new().unwrap(),
            toml: String::new(),
            values: Vec::new(),
            environment: Vec::new(),
            descriptors: None,
        };
        (std::mem::replace(&mut self.setup, empty), log)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = self.stderr.all();
            let last = &log[log.len().saturating_sub(SHOWN)..];
            eprintln!("--- the end of the node's log\n{}", last.join("\n"));
        }
    }
}

/// `fields.message` of a JSON log line.
pub(crate) fn message(line: &str) -> String {
    let event: Value = serde_json::from_str(line).unwrap_or_default();
    event["fields"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}
