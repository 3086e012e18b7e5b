//! A stub name server on UDP that knows only the names a test gives it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
}

type Zone = HashMap<String, Vec<IpAddr>>;

impl Dns {
    /// Serves `names`; every other name does not exist.
    pub(crate) fn start(names: &[(&str, &[&str])]) -> Self {
        let zone: Zone = names
            .iter()
            .map(|(name, addresses)| {
                (
                    (*name).to_owned(),
                    addresses.iter().map(|a| a.parse().unwrap()).collect(),
                )
            })
            .collect();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                if let Ok(query) = Message::from_vec(&buffer[..length]) {
                    socket
                        .send_to(&answer(query, &zone).to_vec().unwrap(), peer)
                        .ok();
                }
            }
        });
        Self { address }
    }
}

fn answer(query: Message, zone: &Zone) -> Message {
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
                response.add_answer(Record::from_rdata(question.name().clone(), 60, data));
            }
        }
    }
    response
}
