//! Sees what an invocation does not tell by itself: panics of the node's threads, log records of
//! guests, and why they failed.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

/// Of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Texts its guests logged.
    pub(crate) logged: Vec<String>,
    /// Why they failed, in the words of the node's log.
    pub(crate) causes: Vec<String>,
}

/// What was seen so far.
#[derive(Default)]
struct State {
    alarms: Vec<String>,
    requests: Option<HashMap<String, Seen>>,
}

static STATE: Mutex<State> = Mutex::new(State {
    alarms: Vec::new(),
    requests: None,
});

/// Names of threads on which nothing may panic begin with this.
pub(crate) const NODE_THREAD: &str = "aegis-";

/// Begins to watch, for good.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = Registry::default().with(Witness);
        tracing::subscriber::set_global_default(subscriber).unwrap();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            if thread
                .name()
                .is_some_and(|name| name.starts_with(NODE_THREAD))
            {
                state().alarms.push(panic.to_string());
            }
            before(panic);
        }));
    });
}

/// What was seen of this request; it is forgotten.
///
/// # Panics
/// When a thread of the node panicked, or reported an error of its own.
pub(crate) fn of(request: &str) -> Seen {
    let mut state = state();
    let alarms = std::mem::take(&mut state.alarms);
    let seen = state.requests.get_or_insert_default().remove(request);
    drop(state);
    assert!(alarms.is_empty(), "the node itself failed: {alarms:#?}");
    seen.unwrap_or_default()
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Witness;

impl<S: Subscriber> Layer<S> for Witness {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        if !target.starts_with("aegis") {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut state = state();
        if *event.metadata().level() == Level::ERROR {
            state.alarms.push(fields.message);
            return;
        }
        let Some(request) = fields.request else {
            return;
        };
        let requests = state.requests.get_or_insert_default();
        let seen = requests.entry(request).or_default();
        if target == "aegis::function" {
            seen.logged.push(fields.message);
        } else {
            seen.causes.extend(fields.cause);
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    request: Option<String>,
    cause: Option<String>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "request_id" => self.request = Some(value.to_owned()),
            "cause" => self.cause = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = || format!("{value:?}");
        match field.name() {
            "message" => self.message = text(),
            "request_id" => self.request = Some(text()),
            _ => {}
        }
    }
}
