//! C1: what one invocation leaves behind, and where the next one looks for it.

use crate::harness::{Answer, EGRESS, Gate, Https, Request, Setup, fixture};
use crate::siege::{Client, Siege};
use crate::worlds::beside_control;

/// Ways for an invocation to end, and what its client gets.
const ENDS: [(&str, u16, &str); 6] = [
    ("returns", 200, ""),
    ("fails", 500, "function-error"),
    ("traps", 500, "function-trap"),
    ("recurses", 500, "function-trap"),
    ("loops", 500, "function-time"),
    ("waits", 504, "function-deadline"),
];

/// Few sandboxes for all functions, so that each is used by one after the other all the time.
const EDGE: &str = "[edge]\nmax_in_flight = 24\nqueue_timeout = \"5s\"";

fn entry(name: &str, module: &str) -> String {
    let wall = if name == "waits" { "300ms" } else { "10s" };
    format!(
        "[[routes]]\npath = \"/{name}\"\nfunctions = [\"{name}\"]\n\
         [functions.{name}]\nmodule = \"{module}.wasm\"\nentry = \"{name}\"\n\
         limits = {{ fuel = 1_000_000_000_000, wall_time = \"{wall}\", max_in_flight = 3 }}\n"
    )
}

/// Each end on a route of its own, the probe beside them.
fn leaving(https: &Https) -> Setup {
    let ends: String = ENDS
        .iter()
        .map(|(name, ..)| entry(name, "leaver"))
        .collect();
    // The grant goes to the last one, which is the one that waits.
    let toml = format!(
        "{}{}{ends}{EGRESS}\n{EDGE}",
        entry("probe", "leaver"),
        entry("itself", "leaver")
    );
    let guest = fixture("leaver").replace("00000", &https.port().to_string());
    https.reachable_from(beside_control(&toml).wasm("leaver", guest))
}

fn silent() -> (Https, Gate) {
    let gate = Gate::default();
    let closed = gate.clone();
    (
        Https::start(move |_| Answer::ok("late").held(&closed)),
        gate,
    )
}

#[test]
fn c1_nothing_passes_from_one_invocation_to_the_next_however_it_ends() {
    let (https, gate) = silent();
    let siege = Siege::of(leaving(&https));
    assert_eq!(siege.node.get("/itself").text(), "dirty");
    let answers = siege.attack(6, |client| {
        let (name, status, code) = ENDS[client.number];
        let left = client.get(&format!("/{name}"));
        assert_eq!(left.error(), (status, code), "{name}");
        client.get("/probe").text()
    });
    gate.open();
    assert!(
        answers.iter().all(|answer| answer == "clean"),
        "{answers:?}"
    );
}

/// The client goes away while its guest runs or waits.
#[test]
fn c1_nothing_stays_of_an_invocation_whose_client_went_away() {
    let (https, gate) = silent();
    let siege = Siege::of(leaving(&https));
    let answers = siege.attack(4, |client| {
        let name = ["waits", "loops"][client.number % 2];
        let mut leaving = client.node.connect();
        leaving.send(&Request::get(&format!("/{name}")).bytes());
        drop(leaving);
        client.get("/probe").text()
    });
    gate.open();
    assert!(
        answers.iter().all(|answer| answer == "clean"),
        "{answers:?}"
    );
}

/// A module whose memory begins full of marks, as data: what it shares with others is the place it ran in.
fn full_of_data() -> String {
    let data = "\\a5".repeat(60_000);
    let segments: String = (0..32)
        .map(|page| format!("(data (i32.const {}) \"{data}\")", page * 65_536))
        .collect();
    format!(
        "(module (memory (export \"memory\") 32) {segments}
           (func (export \"data\") (result i32) (i32.store (i32.const 0) (i32.const -1)) (i32.const 0)))"
    )
}

#[test]
fn c1_a_module_without_data_sees_none_of_one_with_data() {
    let (https, gate) = silent();
    let toml = format!(
        "{}{}{EDGE}",
        entry("data", "data"),
        entry("probe", "leaver")
    );
    let setup = beside_control(&toml)
        .wasm("data", full_of_data())
        .wasm("leaver", fixture("leaver"));
    let siege = Siege::of(https.reachable_from(setup));
    let answers = siege.attack(4, |client| {
        assert_eq!(client.get("/data").status, 200);
        client.get("/probe").text()
    });
    gate.open();
    assert!(
        answers.iter().all(|answer| answer == "clean"),
        "{answers:?}"
    );
}

/// One function whose module is exchanged by reloads between the one that marks and the one that looks.
#[test]
fn c1_a_module_swapped_in_by_a_reload_sees_nothing_of_the_one_before() {
    let toml = format!("{}{EDGE}", entry("f", "f"));
    let marks = fixture("leaver").replace("\"returns\"", "\"f\"");
    let looks = fixture("leaver").replace("\"probe\"", "\"f\"");
    let modules = [&marks, &looks].map(|text| wat::parse_str(text).unwrap());
    let siege = Siege::of(beside_control(&toml).wasm("f", &marks));
    let exchange = |client: &mut Client<'_>, module: &[u8]| {
        client.node.replace("f", module);
        client.node.reload_files().unwrap();
    };
    let answers = siege.attack(1, |client| {
        exchange(client, &modules[0]);
        for _ in 0..8 {
            assert_eq!(client.get("/f").status, 200);
        }
        exchange(client, &modules[1]);
        [(); 8].map(|()| client.get("/f").text())
    });
    assert!(
        answers.iter().flatten().all(|answer| answer == "clean"),
        "{answers:?}"
    );
}
