//! Generated and mutated modules, loaded and run as functions.

use std::sync::Arc;

use aegis_node::edge::{Fault, Function, Outcome};

use super::campaign::{Campaign, Case};
use super::sandbox::{Ended, LIMITS, Sandbox, request};
use super::sequence::Sequence;
use super::{mutants, sequence, smith, verdict};

/// How often a good function and the account of memory are looked at.
const LOOK: u64 = 16;

/// What a run counts.
#[derive(Debug, Default)]
struct Figures {
    modules: u64,
    refused: u64,
    invocations: u64,
    failed: u64,
    /// Of the failed ones, by the clocks.
    late: u64,
    /// There was no memory left for these.
    overloaded: u64,
    /// Host calls.
    calls: u64,
}

impl Figures {
    fn count(&mut self, ended: &Ended) {
        self.invocations += 1;
        let spent = ended.records.iter().map(|record| &record.spent);
        self.calls += spent.map(|spent| spent.host_calls).sum::<u64>();
        match &ended.outcome {
            Outcome::Respond(_) | Outcome::Forward(_) => {}
            Outcome::Overloaded => self.overloaded += 1,
            Outcome::Fail(fault) => {
                self.failed += 1;
                self.late += u64::from(matches!(fault, Fault::Time | Fault::Deadline));
            }
        }
    }
}

#[test]
fn any_sequence_of_host_calls_is_answered_as_the_contract_says() {
    let sandbox = Sandbox::start();
    let campaign = Campaign::new("any_sequence_of_host_calls", 250);
    let mut figures = Figures::default();
    for mut case in campaign.cases() {
        let sequence = sequence::generate(&mut case.rng, 120);
        let function = sandbox.load(&sequence.module).unwrap();
        figures.modules += 1;
        for ended in run(&sandbox, &function, &mut case, 3) {
            verdict::check(&ended);
            figures.count(&ended);
            check_calls(&sequence, &ended);
        }
        look(&sandbox, &case);
    }
    sandbox.check_unharmed();
    campaign.report(&format!("{figures:?}"));
    // Else it is the limits that were tested, not the calls.
    assert!(
        !campaign.is_whole() || figures.calls > figures.modules * 200,
        "{figures:?}"
    );
}

#[test]
fn modules_of_any_code_stay_within_their_limits() {
    let sandbox = Sandbox::start();
    let campaign = Campaign::new("modules_of_any_code", 250);
    let mut figures = Figures::default();
    for mut case in campaign.cases() {
        if let Some(module) = smith::generate(&mut case.rng) {
            load_and_run(&sandbox, &module, &mut case, &mut figures);
        }
    }
    sandbox.check_unharmed();
    campaign.report(&format!("{figures:?}"));
    assert!(
        !campaign.is_whole() || figures.refused < figures.modules / 2,
        "{figures:?}"
    );
}

#[test]
fn mutated_modules_are_refused_or_stay_within_their_limits() {
    let sandbox = Sandbox::start();
    let campaign = Campaign::new("mutated_modules", 500);
    let originals = mutants::originals();
    let mut figures = Figures::default();
    for mut case in campaign.cases() {
        let module = mutants::generate(&mut case.rng, &originals);
        load_and_run(&sandbox, &module, &mut case, &mut figures);
    }
    sandbox.check_unharmed();
    campaign.report(&format!("{figures:?}"));
    let both = figures.refused > 0 && figures.invocations > 0;
    assert!(!campaign.is_whole() || both, "{figures:?}");
}

#[test]
fn what_there_is_no_memory_for_is_given_up_and_nothing_stays_held() {
    // Two of the largest guests have none left for a third.
    let sandbox = Sandbox::with_memory(2 * LIMITS.memory + 2 * LIMITS.shared_buffer);
    let campaign = Campaign::new("what_there_is_no_memory_for", 150);
    let mut figures = Figures::default();
    for mut case in campaign.cases() {
        let sequence = sequence::generate(&mut case.rng, 120);
        let function = sandbox.load(&sequence.module).unwrap();
        figures.modules += 1;
        for ended in run(&sandbox, &function, &mut case, 8) {
            figures.count(&ended);
            if !matches!(ended.outcome, Outcome::Overloaded) {
                verdict::check(&ended);
                check_calls(&sequence, &ended);
            }
        }
        sandbox.check_unharmed();
    }
    campaign.report(&format!("{figures:?}"));
    let both = (1..figures.invocations).contains(&figures.overloaded);
    assert!(!campaign.is_whole() || both, "{figures:?}");
}

fn load_and_run(sandbox: &Sandbox, module: &[u8], case: &mut Case<'_>, figures: &mut Figures) {
    figures.modules += 1;
    match sandbox.load(module) {
        Ok(function) => {
            for ended in run(sandbox, &function, case, 1) {
                verdict::check(&ended);
                figures.count(&ended);
            }
        }
        Err(error) => {
            figures.refused += 1;
            assert!(!error.to_string().is_empty());
        }
    }
    look(sandbox, case);
}

/// Runs it for so many requests at once.
fn run(
    sandbox: &Sandbox,
    function: &Arc<Function>,
    case: &mut Case<'_>,
    requests: usize,
) -> Vec<Ended> {
    let number = case.number;
    let request = |at| {
        let request = request(&mut case.rng, &format!("{number}-{at}"));
        (sandbox.again(function), request)
    };
    sandbox.run_each((0..requests).map(request).collect())
}

fn look(sandbox: &Sandbox, case: &Case<'_>) {
    if case.number.is_multiple_of(LOOK) {
        sandbox.check_unharmed();
    }
}

/// Checks that each host call was answered right, and that all were made unless time was short.
fn check_calls(sequence: &Sequence, ended: &Ended) {
    for cause in &ended.seen.causes {
        if let Some(call) = sequence::wrong_call(cause) {
            panic!(
                "wrong answer to {}\nof {:#?}",
                sequence.listing[call], sequence.listing
            );
        }
    }
    let returned = format!("the entry returned {}", sequence.returns);
    let made = ended.records[0].spent.host_calls;
    match &ended.outcome {
        Outcome::Respond(_) if sequence.returns >= 0 => assert!(made >= sequence.calls),
        Outcome::Fail(Fault::Error) if ended.seen.causes == [returned] => {
            assert!(made >= sequence.calls);
        }
        // A busy machine makes host calls slow, and the clocks are as they are.
        Outcome::Fail(Fault::Time | Fault::Deadline) => {}
        _ => panic!("{ended:#?}\nof {:#?}", sequence.listing),
    }
}
