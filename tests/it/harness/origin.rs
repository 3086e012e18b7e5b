//! An origin under the test's control: records every request as received, answers as scripted, over HTTP or HTTPS.

use std::io::{BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::answer::Answer;
use super::framing::{Headers, Unframed, field, fields, read_body, read_head, split_head};
use super::lines::PATIENCE;
use super::tls::ServerConfig;

/// A request as it arrived.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    accepts: AtomicUsize,
    requests: Mutex<Vec<Received>>,
    arrived: Condvar,
}

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

type Script = Arc<dyn Fn(&Received) -> Answer + Send + Sync>;

// === impl Received ===

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        field(&self.headers, name)
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        fields(&self.headers, name).collect()
    }
}

// === impl Origin ===

impl Origin {
    /// Answers every request over plain HTTP with what `script` makes of it.
    pub(crate) fn start(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at(ANY, script)
    }

    /// As `start`, on an address chosen before.
    pub(crate) fn start_at(
        address: SocketAddr,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let script: Script = Arc::new(script);
        Self::accepting(address, move |stream, state| serve(stream, &state, &script))
    }

    /// Answers 200 with `body`, whatever is asked.
    pub(crate) fn saying(body: &'static str) -> Self {
        Self::start(move |_| Answer::ok(body))
    }

    /// As `start`, behind TLS.
    pub(crate) fn start_tls(
        tls: ServerConfig,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_tls_at(ANY, tls, script)
    }

    /// As `start_tls`, on an address chosen before.
    pub(crate) fn start_tls_at(
        address: SocketAddr,
        tls: ServerConfig,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let script: Script = Arc::new(script);
        Self::accepting(address, move |stream, state| {
            let session = rustls::ServerConnection::new(Arc::clone(&tls)).unwrap();
            serve(rustls::StreamOwned::new(session, stream), &state, &script);
        })
    }

    /// Accepts and closes with the request unread, which the kernel turns into a reset.
    pub(crate) fn resetting() -> Self {
        Self::accepting(ANY, |stream, _| {
            stream.peek(&mut [0]).ok();
        })
    }

    /// An address nobody listens on.
    pub(crate) fn absent() -> SocketAddr {
        TcpListener::bind(ANY).unwrap().local_addr().unwrap()
    }

    /// Connections accepted so far.
    pub(crate) fn accepts(&self) -> usize {
        self.state.accepts.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Waits until `count` requests have arrived in all.
    pub(crate) fn wait_for(&self, count: usize) {
        let requests = self.state.requests.lock().unwrap();
        let waiting = self
            .state
            .arrived
            .wait_timeout_while(requests, PATIENCE, |requests| requests.len() < count);
        assert!(
            !waiting.unwrap().1.timed_out(),
            "the origin never got request number {count}"
        );
    }

    /// The most recent request.
    pub(crate) fn last(&self) -> Received {
        self.requests().pop().expect("the origin got no request")
    }

    /// As `start`, on a listener of the caller's, who sees each connection before it is served.
    pub(super) fn start_on(
        listener: TcpListener,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
        see: impl Fn(&TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let script: Script = Arc::new(script);
        Self::accepting_on(listener, move |stream, state| {
            see(&stream);
            serve(&stream, &state, &script);
            stream.shutdown(std::net::Shutdown::Both).ok();
        })
    }

    fn accepting(
        address: SocketAddr,
        serve: impl Fn(TcpStream, Arc<State>) + Send + Sync + 'static,
    ) -> Self {
        Self::accepting_on(TcpListener::bind(address).unwrap(), serve)
    }

    fn accepting_on(
        listener: TcpListener,
        serve: impl Fn(TcpStream, Arc<State>) + Send + Sync + 'static,
    ) -> Self {
        let origin = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let (state, serve) = (Arc::clone(&origin.state), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                state.accepts.fetch_add(1, Ordering::SeqCst);
                let (state, serve) = (Arc::clone(&state), Arc::clone(&serve));
                let worker = thread::Builder::new().stack_size(256 << 10);
                worker.spawn(move || serve(stream, state)).unwrap();
            }
        });
        origin
    }
}

fn serve(stream: impl Read + Write, state: &State, script: &Script) {
    let mut stream = BufReader::new(stream);
    while let Some(head) = read_head(&mut stream) {
        let (line, headers) = split_head(&head);
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap(), words.next().unwrap_or_default());
        let body = read_body(&mut stream, &headers, Unframed::Empty);
        let request = Received {
            method,
            target,
            headers,
            body: body.bytes,
        };
        state.requests.lock().unwrap().push(request.clone());
        state.arrived.notify_all();
        if !body.complete {
            return;
        }
        let answer = script(&request);
        if let Some(left) = answer.left() {
            while stream.read(&mut [0]).is_ok_and(|count| count > 0) {}
            left.open();
            return;
        }
        if answer.write(stream.get_mut(), &request.method).is_none() {
            return;
        }
    }
}
