//! CPU time per request of the node and of Pingora alone doing the same, and their ratios.
//!
//! Each server runs on one core and `wrk` on another; the two are measured in turn, several times,
//! and medians are compared. CPU time is the whole process's, its pool threads included.
//! `BENCH_ROUNDS` and `BENCH_SECONDS` make it longer than 3 rounds of 5 seconds.

mod cores;
mod load;
mod program;
mod report;
mod world;

use std::{
    env,
    error::Error,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use cores::Cores;
use load::Load;
use program::Program;
use report::{Comparison, Report};
use world::World;

const ROUNDS: u32 = 3;
const SECONDS: u32 = 5;

/// Enough for connections, caches and allocators to settle.
const WARM_UP: Duration = Duration::from_secs(1);

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
    let world = World::start(&cores)?;
    let load = Load {
        core: cores.load,
        duration: Duration::from_secs(seconds.into()),
    };
    let mut log = io::stderr().lock();
    writeln!(log, "{rounds} rounds of {seconds} s for each number")?;

    let comparisons = cases(&world)
        .iter()
        .map(|case| compare(case, &world.node, &load, rounds))
        .collect::<Result<Vec<_>, _>>()?;
    let report = Report { comparisons };
    write!(io::stdout().lock(), "{report}")?;
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
    let warm_up = Load {
        duration: WARM_UP,
        ..*load
    };
    for program in [case.bare, node] {
        warm_up.cpu_per_request(program, case.path)?;
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
