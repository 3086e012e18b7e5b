//! Certificates that are renewed on disk: noticed, read again, and taken into service.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{error, info};

use super::build::arrival_problems;
use super::reload::State;
use crate::config::{Config, Listener};
use crate::listener::{Arrival, Entrance, Marks};

/// Between two looks at the files: a few system calls for each.
const PERIOD: Duration = Duration::from_secs(2);

/// When to look.
pub(super) fn looks() -> Interval {
    let mut looks = interval(PERIOD);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

/// Whether any listener has files. Without, no thread is kept for looking at them.
pub(super) fn is_due(state: &State) -> bool {
    let entrances = &state.resources.entrances;
    entrances
        .iter()
        .any(|entrance| entrance.arrival().marks().is_some())
}

/// What is known of the files of each listener, in the order of these.
#[derive(Default)]
pub(super) struct Renewal(Vec<Seen>);

#[derive(Default)]
struct Seen {
    /// At the last look, if they had changed.
    changed: Option<Marks>,
    /// When they were read and were no good: told once.
    refused: Option<Marks>,
}

impl Renewal {
    /// Takes what has changed into service. Files are replaced one after the other, so they are
    /// read when they are the same at two looks.
    pub(super) fn look(mut self, state: &State) -> Self {
        let entrances = &state.resources.entrances;
        self.0.resize_with(entrances.len(), Seen::default);
        let listeners = state.config.listeners.iter().zip(entrances);
        for (seen, (listener, entrance)) in self.0.iter_mut().zip(listeners) {
            seen.look(&state.config, listener, entrance);
        }
        self
    }
}

impl Seen {
    fn look(&mut self, config: &Config, listener: &Listener, entrance: &Entrance) {
        let arrival = entrance.arrival();
        let now = arrival.marks_now();
        if now.as_ref() == arrival.marks() {
            *self = Self::default();
            return;
        }
        let has_settled = self.changed == now;
        self.changed.clone_from(&now);
        if !has_settled || self.refused == now {
            return;
        }
        match Arrival::prepare(arrival.settings(), None) {
            Ok(arrival) => {
                entrance.change(arrival);
                *self = Self::default();
                info!(listener = %listener.address, "certificates renewed");
            }
            Err(problems) => {
                self.refused = now;
                for problem in arrival_problems(config, listener, problems) {
                    error!("certificates not renewed, the old ones serve on: {problem}");
                }
            }
        }
    }
}
