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
    /// Whose it is, once that is known.
    client: Option<IpAddr>,
}

impl Gate {
    /// `None` when `connections` or `connections_per_client` is reached.
    pub(super) fn enter(&self, client: IpAddr, limits: &Limits) -> Option<Place> {
        let client = client.to_canonical();
        let mut counts = self.counts.lock();
        let has_room = counts.has_room(limits) && counts.claim(client, limits);
        counts.all += usize::from(has_room);
        has_room.then(|| self.place(Some(client)))
    }

    /// For a client that is not known yet: `None` when `connections` is reached.
    pub(super) fn enter_unknown(&self, limits: &Limits) -> Option<Place> {
        let mut counts = self.counts.lock();
        let has_room = counts.has_room(limits);
        counts.all += usize::from(has_room);
        has_room.then(|| self.place(None))
    }

    fn place(&self, client: Option<IpAddr>) -> Place {
        Place {
            gate: self.clone(),
            client,
        }
    }
}

impl Place {
    /// Says whose it is, where that was unknown: `false` when `connections_per_client` is
    /// reached.
    pub(super) fn claim(&mut self, client: IpAddr, limits: &Limits) -> bool {
        let client = client.to_canonical();
        let has_room = self.gate.counts.lock().claim(client, limits);
        if has_room {
            self.client = Some(client);
        }
        has_room
    }
}

impl Counts {
    fn has_room(&self, limits: &Limits) -> bool {
        self.all < limits.connections
    }

    fn claim(&mut self, client: IpAddr, limits: &Limits) -> bool {
        let own = self.clients.get(&client).copied().unwrap_or(0);
        let has_room = own < limits.connections_per_client;
        if has_room {
            self.clients.insert(client, own + 1);
        }
        has_room
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.gate.counts.lock();
        counts.all -= 1;
        let Some(client) = self.client else { return };
        if let Some(own) = counts.clients.get_mut(&client) {
            *own -= 1;
            if *own == 0 {
                counts.clients.remove(&client);
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

    #[test]
    fn a_client_named_later_counts_from_then_on() {
        let limits = Limits {
            connections: 2,
            connections_per_client: 1,
            ..Limits::default()
        };
        let client = IpAddr::from([192, 0, 2, 1]);
        let gate = Gate::default();
        let mut first = gate.enter_unknown(&limits).expect("room");
        let mut second = gate.enter_unknown(&limits).expect("room");
        assert!(gate.enter_unknown(&limits).is_none(), "the node is full");
        assert!(first.claim(client, &limits));
        assert!(!second.claim(client, &limits));
        drop(second);
        assert!(gate.enter(client, &limits).is_none());
        drop(first);
        assert!(gate.enter(client, &limits).is_some());
        assert_eq!(gate.counts.lock().all, 0);
        assert!(gate.counts.lock().clients.is_empty());
    }
}
