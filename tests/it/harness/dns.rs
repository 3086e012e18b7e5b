//! A stub name server on UDP that knows only the names a test gives it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    questions: Arc<AtomicUsize>,
}

type Zone = HashMap<String, Vec<IpAddr>>;

impl Dns {
    /// Serves `names`; every other name does not exist.
    pub(crate) fn start(names: &[(&str, &[&str])]) -> Self {
        Self::start_with_ttl(names, 60)
    }

    /// As `start`, with answers that are good for so many seconds.
    pub(crate) fn start_with_ttl(names: &[(&str, &[&str])], ttl: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let dns = Self {
            address: socket.local_addr().unwrap(),
            zone: Arc::default(),
            questions: Arc::default(),
        };
        names.iter().for_each(|(name, to)| dns.set(name, to));
        let (zone, questions) = (Arc::clone(&dns.zone), Arc::clone(&dns.questions));
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                questions.fetch_add(1, Ordering::SeqCst);
                if let Ok(query) = Message::from_vec(&buffer[..length]) {
                    let answer = answer(query, &zone.lock().unwrap(), ttl);
                    socket.send_to(&answer.to_vec().unwrap(), peer).ok();
                }
            }
        });
        dns
    }

    /// From now on the name has these addresses.
    pub(crate) fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        self.zone.lock().unwrap().insert(name.to_owned(), addresses);
    }

    /// From now on the name does not exist.
    pub(crate) fn remove(&self, name: &str) {
        self.zone.lock().unwrap().remove(name);
    }

    /// How often it was asked for anything.
    pub(crate) fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }
}

fn answer(query: Message, zone: &Zone, ttl: u32) -> Message {
    let mut response = query.into_response();
    let Some(question) = response.queries.first().cloned() else {
        return response;
    };
    let name = question
        .name()
        .to_ascii()
        .trim_end_matches('.')
        .to_lowercase();
    match zone.get(&name) {
        None => response.metadata.response_code = ResponseCode::NXDomain,
        Some(addresses) => {
            for address in addresses {
                let data = match (address, question.query_type()) {
                    (IpAddr::V4(v4), RecordType::A) => RData::A((*v4).into()),
                    (IpAddr::V6(v6), RecordType::AAAA) => RData::AAAA((*v6).into()),
                    _ => continue,
                };
                response.add_answer(Record::from_rdata(question.name().clone(), ttl, data));
            }
        }
    }
    response
}
