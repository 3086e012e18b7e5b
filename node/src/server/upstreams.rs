//! `[upstreams]` become groups of backends, or go on as what they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::config::{Config, Problem};
use crate::upstream::{TlsError, Upstream};

/// How long a start or a reload waits for the first answers about names.
const FIRST_ANSWERS: Duration = Duration::from_secs(5);

/// Upstreams by name.
pub(super) type Upstreams = BTreeMap<String, Arc<Upstream>>;

/// Every upstream: one that would be made the same goes on, and with it what is known of its
/// backends.
pub(super) fn upstreams(
    config: &Config,
    previous: Option<&Upstreams>,
    problems: &mut Vec<Problem>,
) -> Upstreams {
    let mut upstreams = Upstreams::new();
    for (name, settings) in &config.upstreams {
        let previous = previous.and_then(|previous| previous.get(name));
        match Upstream::renewed(name, settings, previous) {
            Ok(upstream) => drop(upstreams.insert(name.clone(), upstream)),
            Err(error) => problems.push(tls_problem(config, name, &error)),
        }
    }
    upstreams
}

/// Returns once the names of all backends have been asked for, but soon in any case.
pub(super) async fn answered(upstreams: &Upstreams) {
    let all = async {
        for upstream in upstreams.values() {
            upstream.answered().await;
        }
    };
    timeout(FIRST_ANSWERS, all).await.ok();
}

/// Ends what upstreams do that are not among those in use.
pub(super) fn retire(old: &Upstreams, used: &Upstreams) {
    for (name, upstream) in old {
        let goes_on = used.get(name).is_some_and(|new| Arc::ptr_eq(new, upstream));
        if !goes_on {
            upstream.retire();
        }
    }
}

fn tls_problem(config: &Config, name: &str, error: &TlsError) -> Problem {
    let (key, remedy) = match error.key() {
        Some(key) => (format!("tls.{key}"), "name a PEM file that is complete"),
        None => (
            "tls".to_owned(),
            "name the authorities of the backends in ca_file",
        ),
    };
    config.problem(&format!("upstreams.{name}.{key}"), error, remedy)
}
