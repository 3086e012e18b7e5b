//! The node's edge runtime in this process, under limits a guest soon meets, and with a cache of its
//! own and egress to nowhere.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aegis_node::cache::{self, Cache, StoreSettings};
use aegis_node::edge::{
    Answer, BodyAccess, Capacity, Chain, Compiled, Compiler, FailurePolicy, Forwards, Function,
    FunctionSettings, InstancePolicy, Limits, Link, LoadError, Outcome, PAGE_SIZE, Record, Request,
    Runtime, Services, Settings,
};
use aegis_node::egress::{self, Client, OwnAddresses};
use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderMap, HeaderValue, Method};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::witness::{self, NODE_THREAD, Seen};

/// What every generated function may use.
pub(crate) const LIMITS: Limits = Limits {
    fuel: 2_000_000,
    execution_time: Duration::from_millis(40),
    wall_time: Duration::from_millis(400),
    memory: 8 * PAGE_SIZE,
    body_size: 4096,
    max_in_flight: 8,
    subrequests: 4,
    parallel_subrequests: 2,
    cache_calls: 16,
    table_elements: 100,
    response_headers: 8,
    response_header_size: 512,
    shared_buffer: 2048,
    log_size: 1024,
};

/// Invocations at once, of all functions.
const PLACES: usize = 16;

/// How long anything may take that is not a guest's own doing.
const PATIENCE: Duration = Duration::from_secs(20);

const GOOD: &str = r#"(module
    (import "env" "response_set_body" (func $body (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "right")
    (func (export "handle_request") (result i32) (call $body (i32.const 16) (i32.const 5))))"#;

/// The runtime and a well-behaved function beside the generated ones.
pub(crate) struct Sandbox {
    io: tokio::runtime::Runtime,
    runtime: Arc<Runtime>,
    services: Services,
    folder: TempDir,
    good: Option<Arc<Function>>,
    /// What the witness sees must be of one test.
    _turn: MutexGuard<'static, ()>,
}

/// What became of one request.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) records: Vec<Record>,
    pub(crate) seen: Seen,
}

impl Sandbox {
    /// With memory enough for all that runs at once.
    pub(crate) fn start() -> Self {
        Self::with_memory(PLACES * 2 * LIMITS.memory)
    }

    /// All invocations together may hold `memory` bytes.
    pub(crate) fn with_memory(memory: usize) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        witness::watch();
        let io = io();
        let settings = Settings {
            threads: 2,
            max_in_flight: PLACES,
            memory,
            ..Settings::default()
        };
        let capacity = Capacity {
            instances: PLACES,
            memory: LIMITS.memory,
            table_elements: LIMITS.table_elements,
        };
        let runtime =
            Runtime::start(settings, capacity, io.handle(), Compiler::in_process()).unwrap();
        let mut sandbox = Self {
            runtime: Arc::new(runtime),
            services: services(&io),
            folder: TempDir::new().unwrap(),
            good: None,
            io,
            _turn: turn,
        };
        sandbox.good = Some(sandbox.load(&wat::parse_str(GOOD).unwrap()).unwrap());
        sandbox
    }

    /// Loads a module as the node would at its start.
    pub(crate) fn load(&self, module: &[u8]) -> Result<Arc<Function>, LoadError> {
        std::fs::write(self.file(), module).unwrap();
        let started = Instant::now();
        let loaded = self.load_file(Compiled::default());
        let took = started.elapsed();
        assert!(took < PATIENCE, "loading took {took:?}");
        loaded
    }

    /// The function of the module loaded last, as a reload makes it: what it fails of is told anew.
    pub(crate) fn again(&self, function: &Arc<Function>) -> Arc<Function> {
        self.load_file(Compiled::of([function])).unwrap()
    }

    fn load_file(&self, mut compiled: Compiled) -> Result<Arc<Function>, LoadError> {
        let (settings, services) = (settings(self.file()), self.services.clone());
        let loaded = self.runtime.load(settings, services, &mut compiled);
        loaded.map(Arc::new)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("module.wasm")
    }

    /// Runs `function` for `request` alone.
    pub(crate) fn run(&self, function: &Arc<Function>, request: Request) -> Ended {
        self.run_together(function, vec![request]).remove(0)
    }

    /// Runs `function` for all `requests` at once.
    pub(crate) fn run_together(
        &self,
        function: &Arc<Function>,
        requests: Vec<Request>,
    ) -> Vec<Ended> {
        let requests = requests.into_iter();
        self.run_each(
            requests
                .map(|request| (Arc::clone(function), request))
                .collect(),
        )
    }

    /// Runs each function for its request, all at once.
    pub(crate) fn run_each(&self, requests: Vec<(Arc<Function>, Request)>) -> Vec<Ended> {
        let start = |(function, request): (Arc<Function>, Request)| {
            let (chain, request) = (self.chain(&function), Arc::new(request));
            let running = async move {
                let mut records = Vec::new();
                let outcome = chain.run(&request, &chain.hold(), &mut records).await;
                (outcome, records, request.id.clone())
            };
            self.io.spawn(running)
        };
        let running: Vec<_> = requests.into_iter().map(start).collect();
        let end = |running: JoinHandle<(Outcome, Vec<Record>, String)>| {
            let (outcome, records, id) = self.io.block_on(running).unwrap();
            let seen = witness::of(&id);
            Ended {
                outcome,
                records,
                seen,
            }
        };
        running.into_iter().map(end).collect()
    }

    /// Checks that a good function answers as ever, and that nothing is held for any invocation.
    pub(crate) fn check_unharmed(&self) {
        let good = self.good.as_ref().unwrap();
        let ended = self.run(good, request(&mut Rng::with_seed(0), "good"));
        let right = |answer: &Answer| answer.status == 200 && &*answer.body == b"right";
        assert!(
            matches!(&ended.outcome, Outcome::Respond(answer) if right(answer)),
            "a good function gave {ended:?}"
        );
        let deadline = Instant::now() + PATIENCE;
        // A guest that was cut off gives back what it held when its thread notices.
        while self.runtime.memory_held() > 0 {
            assert!(Instant::now() < deadline, "memory is held for nobody");
            std::thread::yield_now();
        }
    }

    fn chain(&self, function: &Arc<Function>) -> Chain {
        let link = Link {
            function: Arc::clone(function),
            fallback: None,
        };
        Chain::new(Arc::clone(&self.runtime), vec![link], Forwards::Nowhere)
    }
}

/// Threads for host calls.
fn io() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(format!("{NODE_THREAD}io"))
        .enable_all()
        .build()
        .unwrap()
}

/// A small cache, and an egress client that may call nobody.
fn services(io: &tokio::runtime::Runtime) -> Services {
    let _entered = io.enter();
    let cache = cache::Settings {
        store: StoreSettings::Embedded {
            capacity: 1 << 20,
            namespace_capacity: 1 << 18,
        },
        ..cache::Settings::default()
    };
    let egress = Client::new(&egress::Settings::default(), OwnAddresses::default()).unwrap();
    Services {
        cache: Cache::new(&cache).unwrap(),
        egress: Arc::new(egress),
    }
}

fn settings(module: PathBuf) -> FunctionSettings {
    FunctionSettings {
        name: "fuzzed".to_owned(),
        module,
        sha256: None,
        entry: aegis_abi::DEFAULT_ENTRY.to_owned(),
        response_entry: None,
        body: BodyAccess::Request,
        on_failure: FailurePolicy::default(),
        breaker: None,
        instance: InstancePolicy::Fresh,
        egress: egress::AllowList::default(),
        namespace: "fuzzed".parse().unwrap(),
        config: BTreeMap::from([("greeting".to_owned(), "hello".to_owned())]),
        limits: LIMITS,
    }
}

/// A request as the node hands it to functions.
pub(crate) fn request(rng: &mut Rng, id: &str) -> Request {
    let mut headers = HeaderMap::new();
    for name in ["x-a", "x-b", "cookie", "content-type"] {
        if rng.bool() {
            let value = vec![rng.u8(0x20..0x7f); rng.usize(0..3000)];
            headers.append(name, HeaderValue::from_bytes(&value).unwrap());
        }
    }
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::DELETE];
    Request {
        id: id.to_owned(),
        method: methods[rng.usize(..methods.len())].clone(),
        uri: format!("/{}", "u".repeat(rng.usize(0..4000))),
        headers,
        body: Bytes::from(vec![rng.u8(..); rng.usize(0..=LIMITS.body_size)]),
        ..Request::default()
    }
}
