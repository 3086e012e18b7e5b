//! A client that keeps its connection, unless leaving is what it is for.

use std::net::SocketAddr;

use crate::guests::{Behaviour, Guest};
use crate::it::harness::{Connection, Node, Request};

pub(crate) struct Client {
    address: SocketAddr,
    kept: Option<Connection>,
}

impl Client {
    pub(crate) fn new(node: &Node) -> Self {
        Self {
            address: node.address,
            kept: None,
        }
    }

    /// Invocation `number`, which is of `guest`.
    pub(crate) fn invoke(&mut self, guest: Guest, number: u64) {
        let request = Request::get(guest.path);
        match guest.client {
            Behaviour::Waits => {
                let found = self.exchange(&request);
                assert_eq!(
                    found,
                    (guest.answer.0, guest.answer.1.to_owned()),
                    "{number}: {guest:?}"
                );
            }
            Behaviour::Leaves => Connection::open(self.address).send(&request.bytes()),
            Behaviour::LeavesInBody => {
                let whole = Request::new("POST", guest.path).body(&[7; 1000]).bytes();
                Connection::open(self.address).send(&whole[..whole.len() - 900]);
            }
        }
    }

    /// A request to the route without a function.
    pub(crate) fn control(&mut self) {
        assert_eq!(
            self.exchange(&Request::get("/control")),
            (200, String::new())
        );
    }

    /// Status and code of the answer.
    fn exchange(&mut self, request: &Request) -> (u16, String) {
        let mut connection = match self.kept.take() {
            Some(kept) => kept,
            None => Connection::open(self.address),
        };
        let answer = connection.exchange(request).expect("no answer");
        assert!(answer.complete, "a part of an answer");
        if answer.header("connection") != Some("close") {
            self.kept = Some(connection);
        }
        let (status, code) = answer.error();
        (status, code.to_owned())
    }
}
