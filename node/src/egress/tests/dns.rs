//! A name server on loopback that answers from a table.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What a name resolves to, question by question; the last answer stays. Each
/// answer is a list of addresses, or of names that are aliases' targets.
pub(super) type Zone = HashMap<&'static str, Vec<Vec<&'static str>>>;

pub(super) struct Dns {
    pub(super) address: SocketAddr,
    asked: Asked,
    task: JoinHandle<()>,
}

type Asked = Arc<Mutex<Vec<(String, RecordType)>>>;

impl Dns {
    pub(super) async fn start(zone: Zone) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Asked::default();
        let task = tokio::spawn(serve(socket, zone, asked.clone()));
        Self {
            address,
            asked,
            task,
        }
    }

    /// All questions so far, in text order.
    pub(super) fn asked(&self) -> Vec<(String, RecordType)> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, zone: Zone, asked: Asked) {
    let mut buffer = [0; 4096];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let query = Message::from_vec(&buffer[..length]).unwrap();
        let answer = answer(&query, &zone, &asked).to_vec().unwrap();
        socket.send_to(&answer, peer).await.unwrap();
    }
}

fn answer(query: &Message, zone: &Zone, asked: &Asked) -> Message {
    let question = query.queries[0].clone();
    let kind = question.query_type();
    let name = question.name().to_string();
    let mut asked = asked.lock().unwrap();
    asked.push((name.clone(), kind));
    let times = asked.iter().filter(|past| **past == (name.clone(), kind));
    let records = records(name.trim_end_matches('.'), kind, times.count(), zone);

    let mut message = Message::response(query.metadata.id, query.metadata.op_code);
    message.metadata.recursion_available = true;
    if records.is_none() {
        message.metadata.response_code = ResponseCode::NXDomain;
    }
    message.add_query(question);
    message.add_answers(records.unwrap_or_default());
    message
}

fn records(name: &str, kind: RecordType, time: usize, zone: &Zone) -> Option<Vec<Record>> {
    let answers = zone.get(name)?;
    let answer = answers.get(time - 1).or(answers.last())?;
    let owner = Name::from_ascii(format!("{name}.")).unwrap();
    let mut records = Vec::new();
    for text in answer {
        let data = match text.parse() {
            Ok(IpAddr::V4(address)) => RData::A(A(address)),
            Ok(IpAddr::V6(address)) => RData::AAAA(AAAA(address)),
            Err(_) => RData::CNAME(CNAME(Name::from_ascii(format!("{text}.")).unwrap())),
        };
        let is_alias = data.record_type() == RecordType::CNAME;
        if is_alias || data.record_type() == kind {
            records.push(Record::from_rdata(owner.clone(), 0, data));
        }
        if is_alias {
            records.extend(self::records(text, kind, 1, zone)?);
        }
    }
    Some(records)
}
