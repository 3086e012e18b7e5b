//! `[functions.NAME.limits]`.

use crate::edge::{Limits, PAGE_SIZE};

use super::{
    quantity::{GIB, HOUR, MIB, MILLISECOND, show_size},
    section::Section,
    server::MOST_AT_ONCE,
};

/// About a week of computing: past this the number is a slip of the finger.
const MOST_FUEL: u64 = 1_000_000_000_000_000;

/// What 32-bit addresses reach.
const MOST_MEMORY: u64 = 4 * GIB;

/// Reads the limits; `node_memory` is what all invocations may hold together.
pub(super) fn read(section: &mut Section<'_>, node_memory: usize) -> Limits {
    let default = Limits::default();
    Limits {
        memory: memory(section, node_memory),
        fuel: section.integer("fuel", default.fuel, 1..=MOST_FUEL),
        execution_time: section.duration(
            "execution_time",
            default.execution_time,
            MILLISECOND..=HOUR,
        ),
        wall_time: section.duration("wall_time", default.wall_time, MILLISECOND..=HOUR),
        body_size: section.size("body_size", default.body_size, 0..=GIB),
        max_in_flight: section.integer("max_in_flight", default.max_in_flight, 1..=MOST_AT_ONCE),
        subrequests: section.integer("subrequests", default.subrequests, 0..=10_000),
        parallel_subrequests: section.integer(
            "parallel_subrequests",
            default.parallel_subrequests,
            1..=1000,
        ),
        cache_calls: section.integer("cache_calls", default.cache_calls, 0..=1_000_000),
        table_elements: section.integer("table_elements", default.table_elements, 0..=10_000_000),
        response_headers: section.integer("response_headers", default.response_headers, 0..=10_000),
        response_header_size: section.size(
            "response_header_size",
            default.response_header_size,
            0..=MIB,
        ),
        shared_buffer: section.size("shared_buffer", default.shared_buffer, 0..=GIB),
        log_size: section.size("log_size", default.log_size, 0..=64 * MIB),
    }
}

/// A limit above what the whole node has could never be reached.
fn memory(section: &mut Section<'_>, node_memory: usize) -> usize {
    let default = Limits::default().memory.min(node_memory);
    let memory = section.size("memory", default, PAGE_SIZE as u64..=MOST_MEMORY);
    if memory <= node_memory {
        return memory;
    }
    if let Some(value) = section.take("memory") {
        let most = show_size(node_memory as u64);
        value.wrong(
            format!("{} is more than [edge] memory, \"{most}\"", value.shown()),
            "lower it, or raise [edge] memory",
        );
    }
    default
}
