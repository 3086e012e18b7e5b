//! The line for people: the same facts, shorter.

use super::json::{millis, push_time};
use super::{AccessLine, LINE_SIZE, outcome};
use crate::edge::Phase;

impl AccessLine<'_> {
    /// As a line of text, with its line break. What clients chose is quoted and escaped,
    /// so that no field can be forged.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LINE_SIZE);
        push_time(&mut out, self.time);
        let client = self.client.unwrap_or("-");
        let (host, protocol) = (self.host.unwrap_or("-"), self.protocol);
        let (by, peer) = self.peer.map_or(("", ""), |peer| (" by=", peer));
        let target = format!("{} {host}{} {protocol}", self.method, self.path);
        let (status, bytes) = (self.status, self.bytes_sent);
        let code = self.code.unwrap_or("-");
        out.extend_from_slice(format!(" {client} {target:?} {status} {code} {bytes}B ").as_bytes());
        millis(&mut out, self.duration);
        let (route, id) = (self.route.unwrap_or("-"), self.request_id);
        out.extend_from_slice(format!("ms route={route} id={id}{by}{peer}").as_bytes());
        for record in self.functions {
            let (outcome, _) = outcome(record);
            let (function, phase) = (&record.function, phase(record.phase));
            out.extend_from_slice(format!(" {function}{phase}={outcome}(").as_bytes());
            millis(&mut out, record.spent.running);
            out.extend_from_slice(format!("ms,{} fuel)", record.spent.fuel).as_bytes());
        }
        out.push(b'\n');
        out
    }
}

/// What marks the phase that not every function has.
fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Request => "",
        Phase::Response => ":response",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::{Fault, Record, RecordOutcome, Spent};

    #[test]
    fn a_function_is_named_with_the_phase_in_which_it_ran() {
        let record = |phase, outcome| Record {
            function: "f".into(),
            phase,
            outcome,
            spent: Spent::default(),
        };
        let records = [
            record(Phase::Request, RecordOutcome::Forward),
            record(Phase::Response, RecordOutcome::Fail(Fault::Trap)),
        ];
        let line = AccessLine {
            functions: &records,
            ..AccessLine::sample()
        };
        let text = String::from_utf8(line.text()).expect("text");
        let functions = " f=forward(0.000ms,0 fuel) f:response=fail(0.000ms,0 fuel)\n";
        assert!(text.ends_with(functions), "{text}");
    }

    #[test]
    fn what_a_client_chose_cannot_forge_a_field() {
        let line = AccessLine {
            host: Some("x\" 200 - 0B"),
            path: "/\n",
            ..AccessLine::sample()
        };
        assert_eq!(
            String::from_utf8(line.text()).expect("text"),
            "1970-01-01T00:00:00.000Z 127.0.0.1 \"GET x\\\" 200 - 0B/\\n HTTP/1.1\" 200 - 5B 1.234ms \
             route=- id=id\n"
        );
    }
}
