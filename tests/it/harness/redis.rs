//! A real `redis-server` of the test's own, that can be stopped, killed and started again.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::lines::{Lines, PATIENCE};
use super::node::signal;
use super::origin::Origin;

pub(crate) struct Redis {
    pub(crate) address: SocketAddr,
    arguments: Vec<String>,
    dir: TempDir,
    child: Child,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// With further arguments, separated by spaces; `{port}` is that of its address, `{dir}` its folder.
    pub(crate) fn start_with(arguments: &str) -> Self {
        let address = Origin::absent();
        let dir = TempDir::new().unwrap();
        let arguments = arguments
            .replace("{port}", &address.port().to_string())
            .replace("{dir}", dir.path().to_str().unwrap());
        let arguments: Vec<_> = arguments.split_whitespace().map(str::to_owned).collect();
        let child = spawn(address, &dir, &arguments);
        Self {
            address,
            arguments,
            dir,
            child,
        }
    }

    /// In its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the server answers to one command, in `redis-cli`'s words: integers and strings as text, nothing as `nil`.
    pub(crate) fn query(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(command.as_bytes()).unwrap();
        reply(&mut BufReader::new(stream))
    }

    /// Stops the process without closing anything, as a hung server.
    pub(crate) fn freeze(&self) {
        signal(self.child.id(), "STOP");
    }

    pub(crate) fn thaw(&self) {
        signal(self.child.id(), "CONT");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts a new server, empty, on the old address.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.address, &self.dir, &self.arguments);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(address: SocketAddr, dir: &TempDir, arguments: &[String]) -> Child {
    let mut child = Command::new("redis-server")
        .args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--port",
            &address.port().to_string(),
        ])
        .args(["--dir".as_ref(), dir.path().as_os_str()])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-server is needed on the path");
    Lines::reading(child.stdout.take().unwrap())
        .wait_for(|line| line.contains("Ready to accept connections"));
    child
}

fn reply(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let (kind, rest) = line.trim_end().split_at(1);
    match (kind, rest) {
        ("$", "-1") => "nil".to_owned(),
        ("$", length) => {
            let mut bytes = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut bytes).unwrap();
            stream.read_exact(&mut [0; 2]).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        ("*", count) => (0..count.parse().unwrap())
            .map(|_| reply(stream))
            .collect::<Vec<_>>()
            .join("\n"),
        (_, text) => text.to_owned(),
    }
}
