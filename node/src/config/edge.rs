//! `[edge]` and `[edge.module_limits]`.

use std::time::Duration;

use crate::edge::{ModuleLimits, PAGE_SIZE, Settings};

use super::{
    quantity::{GIB, HOUR, MIB, MINUTE, SECOND, TIB},
    section::Section,
    server::{MOST_AT_ONCE, MOST_THREADS},
};

/// The compiler itself takes half of this.
const LEAST_COMPILE_MEMORY: u64 = 128 * MIB;

pub(super) fn read(section: &mut Section<'_>) -> Settings {
    let default = Settings::default();
    Settings {
        threads: section.integer("threads", default.threads, 0..=MOST_THREADS),
        max_in_flight: section.integer("max_in_flight", default.max_in_flight, 1..=MOST_AT_ONCE),
        memory: section.size("memory", default.memory, PAGE_SIZE as u64..=TIB),
        // Zero refuses at once what finds no place.
        queue_timeout: section.duration(
            "queue_timeout",
            default.queue_timeout,
            Duration::ZERO..=MINUTE,
        ),
        cache_dir: section.take("cache_dir").and_then(|value| value.path()),
        module_limits: section.table("module_limits", read_module_limits),
    }
}

fn read_module_limits(section: &mut Section<'_>) -> ModuleLimits {
    let default = ModuleLimits::default();
    ModuleLimits {
        size: section.size("size", default.size, 1..=GIB),
        functions: section.integer("functions", default.functions, 1..=1_000_000),
        function_size: section.size("function_size", default.function_size, 1..=GIB),
        compile_time: section.duration("compile_time", default.compile_time, SECOND..=HOUR),
        compile_memory: section.size(
            "compile_memory",
            default.compile_memory,
            LEAST_COMPILE_MEMORY..=TIB,
        ),
    }
}
