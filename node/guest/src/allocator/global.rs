//! The allocator at work on the module's linear memory.
#![allow(
    unsafe_code,
    reason = "an allocator hands out raw memory; this file alone does"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::{memory_grow, memory_size};
use std::cell::Cell;
use std::ptr;

use super::bump::{Bump, Grown};

#[cfg(target_feature = "atomics")]
compile_error!("this allocator is for modules with a single thread");

/// The size of a page of linear memory.
const PAGE: usize = 64 * 1024;

/// The least to grow by, in pages: each time costs a system call.
const MIN_GROWTH: usize = 4;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(Cell::new(None));

unsafe extern "C" {
    /// Placed by the linker: static data and the stack end here.
    safe static __heap_base: u8;
}

struct Allocator(Cell<Option<Bump>>);

// Safety: a module without atomics, checked above, has a single thread.
unsafe impl Sync for Allocator {}

impl Allocator {
    fn with<T>(&self, act: impl FnOnce(&mut Bump) -> T) -> T {
        let mut bump = self.0.get().unwrap_or_else(initial);
        let result = act(&mut bump);
        self.0.set(Some(bump));
        result
    }
}

// Safety: `Bump` hands out aligned blocks of memory that exists and that do not overlap as long
// as they are in use (its tests hold this), and nothing here panics.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.with(|bump| bump.place(layout, grow))
            .map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.with(|bump| bump.release(block.addr(), layout.size()));
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if self.with(|bump| bump.resize(block.addr(), (layout.size(), size), grow)) {
            return block;
        }
        // Safety: the caller vouches for the size and that the old block is that large; the new
        // one is larger, or `resize` had been enough. The old block is not given back: it is not
        // the last one.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size());
            }
            moved
        }
    }
}

/// What the module has from the start, beyond its static data and stack.
fn initial() -> Bump {
    Bump::new(
        (&raw const __heap_base).expose_provenance(),
        bytes(memory_size(0)),
    )
}

/// Grows by half of the memory, or as much as needed where that is more, or just as much where
/// that is all there is.
fn grow(needed: usize) -> Option<Grown> {
    let needed = needed.div_ceil(PAGE);
    let generous = needed.max(MIN_GROWTH).max(memory_size(0) / 2);
    grow_by(generous).or_else(|| grow_by(needed))
}

fn grow_by(pages: usize) -> Option<Grown> {
    let before = memory_grow(0, pages);
    (before != usize::MAX).then(|| Grown {
        start: bytes(before),
        end: bytes(before + pages),
    })
}

/// Saturating: the last byte of a full 4 GiB stays unused.
const fn bytes(pages: usize) -> usize {
    pages.saturating_mul(PAGE)
}
