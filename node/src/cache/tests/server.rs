//! A `redis-server` of a test's own, and a raw connection to look into it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::LONG;

/// The name of its log.
const LOG: &str = "log";

/// A server on a free port; it ends with this.
pub(super) struct Server {
    process: Child,
    port: u16,
    folder: TempDir,
}

/// A connection that speaks plain RESP.
pub(super) struct Raw(BufReader<TcpStream>);

fn options(port: &str) -> [&str; 6] {
    ["--bind", "127.0.0.1", "--port", port, "--logfile", LOG]
}

/// A port nobody listens on.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

// === impl Server ===

impl Server {
    pub(super) fn start() -> Self {
        Self::start_on(free_port())
    }

    pub(super) fn start_on(port: u16) -> Self {
        Self::start_with(port, &[])
    }

    /// Starts the server and waits until it takes connections.
    pub(super) fn start_with(port: u16, arguments: &[&str]) -> Self {
        let memory_only = ["--save", "", "--appendonly", "no"];
        let port_text = port.to_string();
        let options = options(&port_text);
        Self::launch(port, &[&options, &memory_only[..], arguments].concat())
    }

    fn launch(port: u16, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new("redis-server")
            .args(arguments)
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need redis-server");
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < LONG, "redis-server does not start");
            std::thread::yield_now();
        }
        Self {
            process,
            port,
            folder,
        }
    }

    /// What it has written to its log so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }

    /// Starts a sentinel on what its configuration says; it writes to that file.
    pub(super) fn start_sentinel(file: &Path) -> Self {
        let port = free_port();
        let file = file.to_str().unwrap();
        let port_text = port.to_string();
        let options = options(&port_text);
        Self::launch(port, &[&[file, "--sentinel"], &options[..]].concat())
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn raw(&self) -> Raw {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Raw(BufReader::new(stream))
    }

    /// Stops the process without ending it: its connections stay open and silent.
    pub(super) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub(super) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// What it answers to one command, as text.
    pub(super) fn say(&self, words: &[&str]) -> String {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        let answer = self.raw().ask(&words).join(&b'\n');
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Ends it; what it wrote can still be read.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        let process = i32::try_from(self.process.id()).unwrap();
        kill(Pid::from_raw(process), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

// === impl Raw ===

impl Raw {
    /// The answer to a command, arrays flattened, absent values left out.
    pub(super) fn ask(&mut self, words: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut command = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            command.extend(format!("${}\r\n", word.len()).into_bytes());
            command.extend([*word, b"\r\n"].concat());
        }
        self.0.get_mut().write_all(&command).unwrap();
        self.answer()
    }

    pub(super) fn number(&mut self, words: &[&[u8]]) -> i64 {
        let answer = self.ask(words);
        String::from_utf8_lossy(&answer[0]).parse().unwrap()
    }

    fn answer(&mut self) -> Vec<Vec<u8>> {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let (kind, rest) = line.trim_end().split_at(1);
        match (kind, rest.parse::<usize>()) {
            ("$", Ok(length)) => {
                let mut data = vec![0; length + 2];
                self.0.read_exact(&mut data).unwrap();
                data.truncate(length);
                vec![data]
            }
            ("*", Ok(length)) => (0..length).flat_map(|_| self.answer()).collect(),
            ("$" | "*", Err(_)) => Vec::new(),
            _ => vec![rest.into()],
        }
    }
}
