//! How many connections there are: of all clients and of each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::limits::Limits;

/// Counts connections. Touched once when one opens and once when it closes.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    clients: HashMap<IpAddr, usize>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    gate: Gate,
    client: IpAddr,
}

impl Gate {
    /// `None` when `connections` or `connections_per_client` is reached.
    pub(super) fn enter(&self, client: IpAddr, limits: &Limits) -> Option<Place> {
        let client = client.to_canonical();
        let mut counts = self.counts.lock();
        let own = counts.clients.get(&client).copied().unwrap_or(0);
        if counts.all >= limits.connections || own >= limits.connections_per_client {
            return None;
        }
        counts.all += 1;
        counts.clients.insert(client, own + 1);
        Some(Place {
            gate: self.clone(),
            client,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.gate.counts.lock();
        counts.all -= 1;
        if let Some(own) = counts.clients.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                counts.clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_take_every_place() {
        let limits = Limits {
            connections: 3,
            connections_per_client: 2,
            ..Limits::default()
        };
        let (one, two) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let gate = Gate::default();
        let first = gate.enter(one, &limits).expect("room");
        let _second = gate.enter(one, &limits).expect("room");
        assert!(gate.enter(one, &limits).is_none());
        let _other = gate.enter(two, &limits).expect("room for another client");
        assert!(gate.enter(two, &limits).is_none(), "the node is full");
        drop(first);
        assert!(gate.enter(two, &limits).is_some());
        assert_eq!(gate.counts.lock().all, 2);
    }
}
