//! A raw HTTP/1.1 client: sends exactly the bytes a test gives and shows exactly what comes back.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::framing::{Headers, Unframed, chunked, field, fields, read_body, read_head, split_head};
use super::lines::PATIENCE;

/// One request to be written; `Host` is added when no header names it.
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Headers,
    body: Vec<u8>,
}

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    /// The body ended where its framing said it would.
    pub(crate) complete: bool,
}

/// A client connection, kept alive until dropped.
pub(crate) struct Connection<S: Read = TcpStream> {
    stream: BufReader<S>,
}

// === impl Request ===

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn host(self, host: &str) -> Self {
        self.header("Host", host)
    }

    /// With a `Content-Length`.
    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self.header("Content-Length", &body.len().to_string())
    }

    /// In chunks of 10,000 bytes.
    pub(crate) fn chunked(mut self, body: &[u8]) -> Self {
        self.body = chunked(body, 10_000);
        self.header("Transfer-Encoding", "chunked")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if field(&self.headers, "host").is_none() {
            head += "Host: aegis.test\r\n";
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

// === impl Response ===

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        field(&self.headers, name)
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        fields(&self.headers, name).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Status and the node's error code, empty when the answer is not the node's.
    pub(crate) fn error(&self) -> (u16, &str) {
        (
            self.status,
            self.header("x-aegis-error").unwrap_or_default(),
        )
    }
}

// === impl Connection ===

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::patient(TcpStream::connect_timeout(&address, PATIENCE).unwrap())
    }

    fn patient(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// From another address of this machine.
    pub(crate) fn open_from(source: Ipv4Addr, address: SocketAddr) -> Self {
        use nix::sys::socket;
        let family = socket::AddressFamily::Inet;
        let flags = socket::SockFlag::SOCK_CLOEXEC;
        let socket = socket::socket(family, socket::SockType::Stream, flags, None).unwrap();
        let source = socket::SockaddrIn::from(SocketAddrV4::new(source, 0));
        socket::bind(socket.as_raw_fd(), &source).unwrap();
        let address = socket::SockaddrStorage::from(address);
        socket::connect(socket.as_raw_fd(), &address).unwrap();
        Self::patient(TcpStream::from(socket))
    }

    /// Writes one byte per `pause` until the peer closes or says something; returns what it said.
    ///
    /// # Panics
    /// When all bytes were taken.
    pub(crate) fn drip(&mut self, bytes: &[u8], pause: Duration) -> Vec<u8> {
        self.stream.get_ref().set_read_timeout(Some(pause)).unwrap();
        let mut said = [0; 1024];
        for byte in bytes {
            self.send(&[*byte]);
            match self.stream.read(&mut said) {
                Ok(length) => return said[..length].to_vec(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Vec::new(),
            }
        }
        panic!("every byte was taken");
    }
}

impl<S: Read + Write> Connection<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// The socket, or what else is below it.
    pub(crate) fn socket(&self) -> &S {
        self.stream.get_ref()
    }

    pub(crate) fn socket_mut(&mut self) -> &mut S {
        self.stream.get_mut()
    }

    /// What comes, past the heads that were read.
    pub(crate) fn buffered(&mut self) -> &mut impl Read {
        &mut self.stream
    }

    /// Writes as much as the peer takes; a peer that answered early and closed is not an error here.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).ok();
    }

    /// Writes a request and reads its answer; `None` when the connection ended without one.
    pub(crate) fn exchange(&mut self, request: &Request) -> Option<Response> {
        self.send(&request.bytes());
        self.read(&request.method)
    }

    /// Reads the final answer to a request of `method`, skipping 1xx.
    pub(crate) fn read(&mut self, method: &str) -> Option<Response> {
        let (status, headers) = loop {
            let (status, headers) = self.read_head()?;
            if status >= 200 {
                break (status, headers);
            }
        };
        if method == "HEAD" || status == 204 || status == 304 {
            return Some(Response {
                status,
                headers,
                body: Vec::new(),
                complete: true,
            });
        }
        let body = read_body(&mut self.stream, &headers, Unframed::UntilClose);
        Some(Response {
            status,
            headers,
            body: body.bytes,
            complete: body.complete,
        })
    }

    /// Reads one response head, also an interim one.
    pub(crate) fn read_head(&mut self) -> Option<(u16, Headers)> {
        let head = read_head(&mut self.stream)?;
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let mut parsed = httparse::Response::new(&mut fields);
        assert!(parsed.parse(&head).unwrap().is_complete());
        Some((parsed.code.unwrap(), split_head(&head).1))
    }

    pub(crate) fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Waits for the peer to close; what it sent before that is returned.
    pub(crate) fn read_to_close(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("the connection stays open")
            }
            _ => rest,
        }
    }
}
