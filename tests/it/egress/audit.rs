//! What the log says of HTTPS calls: each has a record, and a flood of failures is one alarm.

use serde_json::Value;

use super::getting;
use crate::harness::{Answer, EGRESS, Gate, Https, Node, Request, answers, module};

/// The records of HTTPS calls so far.
fn records(node: &Node) -> Vec<Value> {
    let lines = node.stderr.all();
    let events = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter(|event| event["target"] == "aegis::egress")
        .collect()
}

/// The node is over, and has written what it has to say.
fn ended(mut node: Node) -> Vec<Value> {
    node.signal("TERM");
    assert_eq!(node.exit(), Some(0));
    records(&node)
}

#[test]
fn a_flood_of_refusals_is_one_alarm_for_each_verdict() {
    let https = Https::start(|_| Answer::ok("fine"));
    let mut urls = vec![https.url("/")];
    urls.extend((0..30).map(|index| format!("https://h{index}.example.com/")));
    urls.extend((0..30).map(|index| format!("http://h{index}.example.com/")));
    let keys = format!("limits = {{ subrequests = 100, fuel = 50_000_000 }}\n{EGRESS}");
    let node = https
        .reachable_from(answers(&keys, &getting(&urls)))
        .start();
    for _ in 0..5 {
        assert!(node.get("/").text().starts_with("4\n-1/4\n"));
    }
    let records = ended(node);
    assert_eq!(records.len(), 5 * urls.len());
    let alarms: Vec<_> = records
        .iter()
        .filter(|event| event["level"] == "WARN")
        .collect();
    let verdicts: Vec<&Value> = alarms
        .iter()
        .map(|event| &event["fields"]["verdict"])
        .collect();
    assert_eq!(verdicts, ["not-allowed", "bad-url"]);
    for event in &alarms {
        assert_eq!(event["fields"]["message"], "https call failed");
        assert_eq!(event["fields"]["withheld"], 0);
        assert_eq!(event["fields"]["function"], "f");
    }
    assert_eq!(alarms[0]["fields"]["host"], "h0.example.com");
    assert_eq!(alarms[0]["fields"]["port"], 443);
}

#[test]
fn every_call_has_a_record() {
    let https = Https::start(|request| match request.target.as_str() {
        "/moved" => Answer::new(302, "").header("Location", "/secret?key=1"),
        _ => Answer::new(404, "four"),
    });
    let urls = [
        https.url("/moved"),
        "https://other.example.com/".to_owned(),
        "https://other.example.com/".to_owned(),
        format!("https://rebind.example.com:{}/", https.port()),
    ];
    let keys = EGRESS
        .replace("api.example.com", "*.example.com")
        .replace("127.0.0.0/8", "127.0.0.1/32");
    let setup = https.reachable_from(answers(&keys, &getting(&urls)));
    let node = setup.start();
    assert_eq!(node.get("/").text(), "4\n-1/4\n-1/4\n-1/4\n");
    let id = node.access("/")["request_id"].clone();
    let records = ended(node);
    let fields: Vec<&Value> = records.iter().map(|event| &event["fields"]).collect();
    let levels: Vec<&Value> = records.iter().map(|event| &event["level"]).collect();
    assert_eq!(levels, ["INFO", "WARN", "INFO", "WARN"], "{records:#?}");
    let verdicts: Vec<&Value> = fields.iter().map(|fields| &fields["verdict"]).collect();
    assert_eq!(
        verdicts,
        ["ok", "not-allowed", "not-allowed", "address-refused"]
    );
    let first = fields[0];
    assert_eq!(first["host"], "api.example.com");
    assert_eq!(first["port"], https.port());
    assert_eq!(first["address"], "127.0.0.1");
    assert_eq!(
        (&first["status"], &first["bytes"], &first["hops"]),
        (&404.into(), &4.into(), &2.into())
    );
    assert!(first["ms"].as_f64() > Some(0.0));
    // Refused before it was looked up, and after.
    assert_eq!(fields[1]["address"], Value::Null);
    assert!(fields[3]["detail"].as_str().unwrap().contains("127.0.0.2"));
    for fields in fields {
        assert_eq!(fields["function"], "f");
        assert_eq!(fields["method"], "GET");
        assert_eq!(fields["request_id"], id);
        assert!(!fields.to_string().contains("secret"));
    }
}

#[test]
fn a_call_nobody_waits_for_any_more_has_a_record_too() {
    let gate = Gate::default();
    let closed = gate.clone();
    let https = Https::start(move |_| Answer::ok("late").held(&closed));
    let guest = format!(
        "(drop (call $http_get {{{}}})) (i32.const 0)",
        https.url("/")
    );
    let setup = https.reachable_from(answers(EGRESS, &module(&guest)));
    let node = setup.start();
    let mut leaving = node.connect();
    leaving.send(&Request::get("/").bytes());
    https.origin.wait_for(1);
    drop(leaving);
    let line = node.stderr.wait_for(|line| line.contains("\"cancelled\""));
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["level"], "INFO");
    // Nobody answered, so it is what the name led to.
    assert_eq!(event["fields"]["address"], "127.0.0.1");
    gate.open();
}
