//! What reading the cache costs: in process, near, and from Redis.

use std::{
    error::Error,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    cores::Cores,
    load::{Connections, Load},
    node::{self, MANY, NONE, ONE, READS},
    program::Program,
    report::{Figure, median, micros},
};

/// What one hit may add to an invocation.
const EMBEDDED: Duration = Duration::from_micros(2);
const NEAR: Duration = Duration::from_micros(3);
const REDIS: Duration = Duration::from_micros(30);

/// Invocations that wait for Redis at once, and how busy they must keep the core.
const IN_FLIGHT: Connections = Connections(1000);
const BUSY: f64 = 0.95;

/// One store, and what a hit in it may cost.
struct Case {
    name: &'static str,
    cache: String,
    /// The path whose requests read, and how often they do.
    reads: (&'static str, u32),
    most: Duration,
}

/// Measures all of it.
pub(crate) fn measure(
    cores: &Cores,
    load: &Load,
    rounds: u32,
    folder: &Path,
) -> Result<Vec<Figure>, Box<dyn Error>> {
    let redis = node::redis(cores.load)?;
    let url = format!("url = \"redis://{}\"", redis.address);
    let case = |name, cache: String, reads, most| Case {
        name,
        cache,
        reads,
        most,
    };
    let cases = [
        case(
            "cache_get in process",
            String::new(),
            (MANY, READS),
            EMBEDDED,
        ),
        case(
            "cache_get near",
            format!("{url}\nnear = {{ capacity = \"64MiB\", ttl = \"1s\" }}"),
            (MANY, READS),
            NEAR,
        ),
        case("cache_get from Redis", url.clone(), (ONE, 1), REDIS),
    ];
    let mut figures = Vec::new();
    for case in &cases {
        let node = node::start(cores.server, folder, &case.cache)?;
        figures.push(added(case, &node, load, rounds)?);
    }
    let node = node::start(cores.server, folder, &url)?;
    figures.push(busy(&node, load)?);
    Ok(figures)
}

/// What one read adds, on the average.
fn added(case: &Case, node: &Program, load: &Load, rounds: u32) -> Result<Figure, Box<dyn Error>> {
    let (path, reads) = case.reads;
    load.warm_up().cpu_per_request(node, NONE)?;
    load.warm_up().cpu_per_request(node, path)?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        without.push(load.cpu_per_request(node, NONE)?);
        with.push(load.cpu_per_request(node, path)?);
    }
    let added = median(with).saturating_sub(median(without)) / reads;
    Ok(Figure {
        name: case.name,
        measured: format!("{:.1} µs more", micros(added)),
        promised: format!("≤ {:.0} µs", micros(case.most)),
        good: added <= case.most,
    })
}

/// How much of its core the node uses while a thousand invocations wait for Redis.
fn busy(node: &Program, load: &Load) -> Result<Figure, Box<dyn Error>> {
    let load = load.with(IN_FLIGHT);
    load.warm_up().cpu_per_request(node, ONE)?;
    let (before, started) = (node.cpu()?, Instant::now());
    load.cpu_per_request(node, ONE)?;
    let busy = (node.cpu()? - before).as_secs_f64() / started.elapsed().as_secs_f64();
    Ok(Figure {
        name: "1,000 in flight",
        measured: format!("core {:.0} % busy", busy * 100.0),
        promised: format!("≥ {:.0} %", BUSY * 100.0),
        good: busy >= BUSY,
    })
}
