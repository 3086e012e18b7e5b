//! CPU time per request of the node and of Pingora alone doing the same, and their ratios; what
//! the cache costs; and whether several nodes with one store count as one.
//!
//! Each server runs on one core and `wrk` on another; the two are measured in turn, several times,
//! and medians are compared. CPU time is the whole process's, its pool threads included.
//! `BENCH_ROUNDS` and `BENCH_SECONDS` make it longer than 3 rounds of 5 seconds.

mod client;
mod cores;
mod guests;
mod load;
mod node;
mod program;
mod report;
mod shared;
mod stores;
mod world;

use std::{
    env,
    error::Error,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use cores::Cores;
use load::{Connections, Load};
use program::Program;
use report::{Comparison, Figure, Report};
use tempfile::TempDir;
use world::World;

const ROUNDS: u32 = 3;
const SECONDS: u32 = 5;

/// What the node may cost in proportion to Pingora alone.
const RESPOND: f64 = 1.3;
const PROXIED: f64 = 1.25;
const FUNCTION: f64 = 3.0;

/// A path of the node, and the program that does the same without it.
struct Case<'a> {
    name: &'static str,
    path: &'static str,
    bare: &'a Program,
    most: f64,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let rounds = setting("BENCH_ROUNDS", ROUNDS)?;
    let seconds = setting("BENCH_SECONDS", SECONDS)?;
    let cores = Cores::of_this_process()?;
    let load = Load {
        core: cores.load,
        duration: Duration::from_secs(seconds.into()),
        connections: Connections::default(),
    };
    let mut log = io::stderr().lock();
    writeln!(log, "{rounds} rounds of {seconds} s for each number")?;

    let report = Report {
        comparisons: comparisons(&cores, &load, rounds)?,
        figures: figures(&cores, &load, rounds)?,
    };
    write!(io::stdout().lock(), "{report}")?;
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The node and Pingora alone.
fn comparisons(cores: &Cores, load: &Load, rounds: u32) -> Result<Vec<Comparison>, Box<dyn Error>> {
    let world = World::start(cores)?;
    cases(&world)
        .iter()
        .map(|case| compare(case, &world.node, load, rounds))
        .collect()
}

/// What functions do with the cache.
fn figures(cores: &Cores, load: &Load, rounds: u32) -> Result<Vec<Figure>, Box<dyn Error>> {
    let folder = TempDir::new()?;
    node::write_modules(folder.path())?;
    let mut figures = stores::measure(cores, load, rounds, folder.path())?;
    figures.extend(shared::measure(cores, folder.path())?);
    Ok(figures)
}

/// A number of at least 1 from the environment.
fn setting(name: &str, default: u32) -> Result<u32, Box<dyn Error>> {
    match env::var(name) {
        Err(_) => Ok(default),
        Ok(text) => match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{name} must be a whole number from 1, not {text:?}").into()),
        },
    }
}

fn cases(world: &World) -> [Case<'_>; 4] {
    let case = |name, path, bare, most| Case {
        name,
        path,
        bare,
        most,
    };
    [
        case("respond", world::RESPOND, &world.bare_respond, RESPOND),
        case("proxied", world::PROXIED, &world.bare_proxy, PROXIED),
        case(
            "function hello",
            world::HELLO,
            &world.bare_respond,
            FUNCTION,
        ),
        case(
            "function minimal",
            world::MINIMAL,
            &world.bare_respond,
            FUNCTION,
        ),
    ]
}

fn compare(
    case: &Case<'_>,
    node: &Program,
    load: &Load,
    rounds: u32,
) -> Result<Comparison, Box<dyn Error>> {
    for program in [case.bare, node] {
        load.warm_up().cpu_per_request(program, case.path)?;
    }
    let (mut bare, mut aegis) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(load.cpu_per_request(case.bare, case.path)?);
        aegis.push(load.cpu_per_request(node, case.path)?);
    }
    Ok(Comparison {
        name: case.name,
        bare: report::median(bare),
        aegis: report::median(aegis),
        most: case.most,
    })
}
