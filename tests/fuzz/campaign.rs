//! How many cases, from which seed, and how to repeat the one that failed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Write, stderr};
use std::time::{Duration, Instant};

use fastrand::Rng;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The seed of a run that names none.
const SEED: u64 = 0x0061_6567_6973;

/// The cases of one test.
pub(crate) struct Campaign {
    test: &'static str,
    seed: u64,
    cases: u64,
    only: Option<u64>,
    started: Instant,
}

/// One case; says how to repeat it when it fails.
pub(crate) struct Case<'c> {
    /// All chance of this case comes from here.
    pub(crate) rng: Rng,
    /// Which case it is, from 0 on.
    pub(crate) number: u64,
    campaign: &'c Campaign,
}

impl Campaign {
    /// `short` cases times the factor, for the test called `test`.
    pub(crate) fn new(test: &'static str, short: u64) -> Self {
        let campaign = Self {
            test,
            seed: variable("AEGIS_FUZZ_SEED").unwrap_or(SEED),
            cases: short * variable("AEGIS_FUZZ_FACTOR").unwrap_or(1).max(1),
            only: variable("AEGIS_FUZZ_CASE"),
            started: Instant::now(),
        };
        say(&format!(
            "{test}: {} cases from AEGIS_FUZZ_SEED={}",
            campaign.cases, campaign.seed
        ));
        campaign
    }

    /// The cases, one after the other.
    pub(crate) fn cases(&self) -> impl Iterator<Item = Case<'_>> {
        let range = match self.only {
            Some(only) => only..only + 1,
            None => 0..self.cases,
        };
        range.map(|number| Case {
            rng: Rng::with_seed(self.seed_of(number)),
            number,
            campaign: self,
        })
    }

    /// Whether this is a whole run and not one case of it: only then figures mean something.
    pub(crate) fn is_whole(&self) -> bool {
        self.only.is_none()
    }

    /// Whether there is time for what takes long.
    pub(crate) fn is_long(&self) -> bool {
        variable("AEGIS_FUZZ_FACTOR").is_some_and(|factor| factor > 1)
    }

    /// Runs as many cases of a property that shrinks what fails; `AEGIS_FUZZ_CASE` means nothing to it.
    pub(crate) fn runner(&self) -> TestRunner {
        let config = Config {
            cases: u32::try_from(self.cases).unwrap_or(u32::MAX),
            // The seed repeats a failure; a file beside the test would only hide that.
            failure_persistence: None,
            source_file: None,
            ..Config::default()
        };
        let mut seed = [0; 32];
        for (number, bytes) in (0..).zip(seed.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&self.seed_of(number).to_le_bytes());
        }
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
    }

    /// Prints what came of it.
    pub(crate) fn report(&self, figures: &str) {
        let took: Duration = self.started.elapsed();
        say(&format!("{}: {figures} in {took:.1?}", self.test));
    }

    fn seed_of(&self, number: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.test, self.seed, number).hash(&mut hasher);
        hasher.finish()
    }

    /// The command that repeats a failure.
    fn repeat(&self, case: &str) -> String {
        format!(
            "to repeat: AEGIS_FUZZ_SEED={}{case} cargo test -p aegis-node --test fuzz {}",
            self.seed, self.test
        )
    }
}

impl Drop for Campaign {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let factor = variable("AEGIS_FUZZ_FACTOR").unwrap_or(1);
            say(&self.repeat(&format!(" AEGIS_FUZZ_FACTOR={factor}")));
        }
    }
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let only = format!(" AEGIS_FUZZ_CASE={}", self.number);
            say(&self.campaign.repeat(&only));
        }
    }
}

/// A line that is seen even when the test passes.
fn say(line: &str) {
    writeln!(stderr(), "{line}").ok();
}

/// A number from the environment.
fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} must be a whole number, not {value:?}")))
}
