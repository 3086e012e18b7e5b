//! The wasmtime engine: what guests may be made of, and where they live.

use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OperatorCost, PoolingAllocationConfig,
};

use super::error::RuntimeError;

/// How often running guests are looked at: the finest step of `execution_time`, and
/// the time slice after which a guest makes room for the next one.
pub(super) const TICK: Duration = Duration::from_millis(1);

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Stack of the guest's own code; a deeper recursion traps.
const WASM_STACK: usize = 512 * KIB;
/// Stack of a fibre: the guest's and the host calls' above it.
const FIBRE_STACK: usize = 2 * MIB;
/// Kept of a used stack, so that the next guest need not fault it in again.
const STACK_KEPT: usize = 16 * KIB;
/// Kept of a used memory, likewise; only where the kernel tells which pages were touched.
const MEMORY_KEPT: usize = 256 * KIB;
/// Kept of a used table: all of an ordinary one.
const TABLE_KEPT: usize = 64 * KIB;
/// Functions whose slots stay warm.
const WARM_SLOTS: u32 = 256;
/// Fuel per page of `memory.grow`; copies and fills are free, time bounds them.
const GROW_FUEL: u8 = 255;

/// What the pool of instances must have room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Invocations at once.
    pub instances: usize,
    /// The largest memory any function may have, in bytes.
    pub memory: usize,
    /// The largest table any function may have, in elements.
    pub table_elements: usize,
}

/// Makes the engine; its epochs are the ticker's business.
pub(super) fn start(capacity: Capacity) -> Result<Engine, RuntimeError> {
    Engine::new(&config(capacity)).map_err(|error| RuntimeError::Engine(format!("{error:#}")))
}

/// An engine that only compiles, for engines with memories of `reservation` bytes. It
/// reserves no address space.
pub(super) fn compiling(reservation: usize) -> wasmtime::Result<Engine> {
    Engine::new(&code(reservation))
}

fn config(capacity: Capacity) -> Config {
    let mut config = code(capacity.memory);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(capacity)));
    config
}

/// All that compiled code depends on: engines that differ here refuse each other's code.
fn code(reservation: usize) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .operator_cost(operator_cost())
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBRE_STACK)
        .async_stack_zeroing(true)
        .memory_reservation(u64::try_from(reservation).unwrap_or(u64::MAX))
        .memory_reservation_for_growth(0)
        .memory_guard_size(64 * KIB as u64)
        .memory_may_move(false);
    // Proposals that make guests harder to bound or host code larger stay off.
    config
        .gc_support(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        // Segments at offsets that are computed are compiled like code, slowly.
        .wasm_extended_const(false)
        .wasm_threads(false)
        .shared_memory(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false);
    config
}

fn operator_cost() -> OperatorCost {
    let mut cost = OperatorCost::default();
    cost.variable.memory_copy_per_byte = 0;
    cost.variable.memory_fill_per_byte = 0;
    cost.variable.memory_init_per_byte = 0;
    cost.variable.table_copy_per_element = 0;
    cost.variable.table_fill_per_element = 0;
    cost.variable.table_init_per_element = 0;
    cost.variable.memory_grow_per_page = GROW_FUEL;
    cost
}

fn pooling(capacity: Capacity) -> PoolingAllocationConfig {
    let slots = u32::try_from(capacity.instances).unwrap_or(u32::MAX);
    let kept = if PoolingAllocationConfig::is_pagemap_scan_available() {
        MEMORY_KEPT
    } else {
        0
    };
    let mut pooling = PoolingAllocationConfig::new();
    pooling
        .total_core_instances(slots)
        .total_memories(slots)
        .total_tables(slots)
        .total_stacks(slots)
        .max_memories_per_module(1)
        .max_tables_per_module(1)
        .max_memory_size(capacity.memory)
        .table_elements(capacity.table_elements)
        .max_unused_warm_slots(WARM_SLOTS)
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(kept)
        .table_keep_resident(TABLE_KEPT)
        .async_stack_keep_resident(STACK_KEPT);
    pooling
}
