//! The line for people: the same facts, shorter.

use super::json::{millis, push_time};
use super::{AccessLine, LINE_SIZE, outcome};

impl AccessLine<'_> {
    /// As a line of text, with its line break. What clients chose is quoted and escaped,
    /// so that no field can be forged.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LINE_SIZE);
        push_time(&mut out, self.time);
        let client = self.client.unwrap_or("-");
        let target = format!("{} {}{}", self.method, self.host.unwrap_or("-"), self.path);
        let (status, bytes) = (self.status, self.bytes_sent);
        let code = self.code.unwrap_or("-");
        out.extend_from_slice(format!(" {client} {target:?} {status} {code} {bytes}B ").as_bytes());
        millis(&mut out, self.duration);
        let (route, id) = (self.route.unwrap_or("-"), self.request_id);
        out.extend_from_slice(format!("ms route={route} id={id}").as_bytes());
        for record in self.functions {
            let (outcome, _) = outcome(record);
            out.extend_from_slice(format!(" {}={outcome}(", record.function).as_bytes());
            millis(&mut out, record.spent.running);
            out.extend_from_slice(format!("ms,{} fuel)", record.spent.fuel).as_bytes());
        }
        out.push(b'\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_chose_cannot_forge_a_field() {
        let line = AccessLine {
            host: Some("x\" 200 - 0B"),
            path: "/\n",
            ..AccessLine::sample()
        };
        assert_eq!(
            String::from_utf8(line.text()).expect("text"),
            "1970-01-01T00:00:00.000Z 127.0.0.1 \"GET x\\\" 200 - 0B/\\n\" 200 - 5B 1.234ms \
             route=- id=id\n"
        );
    }
}
