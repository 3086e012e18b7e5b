//! How much of a guest's memory the machine really holds for it.
//!
//! A guest that declares 17 pages and touches three holds three: charging the
//! declared size would let a few hundred waiting Rust guests fill `[edge] memory`.
//! `/proc/self/pagemap` has eight bytes per page; bit 63 is "present", bit 62 "swapped"
//! (Linux, Documentation/admin-guide/mm/pagemap.rst).

use std::fs::File;
use std::os::unix::fs::FileExt;

const PAGE: usize = 4096;
const ENTRY: usize = 8;
const HELD: u64 = 0b11 << 62;
const BATCH: usize = 512;

/// The pagemap of this process.
#[derive(Debug)]
pub(super) struct Pagemap {
    file: File,
}

impl Pagemap {
    /// `None` where the system has no pagemap; declared sizes count there.
    pub(super) fn open() -> Option<Self> {
        let file = File::open("/proc/self/pagemap").ok()?;
        Some(Self { file })
    }

    /// Bytes held of the `length` bytes at `start`; `None` when it cannot be read.
    pub(super) fn resident(&self, start: usize, length: usize) -> Option<usize> {
        let mut held = 0;
        let mut page = start / PAGE;
        let end = (start + length).div_ceil(PAGE);
        let mut buffer = [0u8; BATCH * ENTRY];
        while page < end {
            let wanted = (end - page).min(BATCH) * ENTRY;
            let slice = buffer.get_mut(..wanted)?;
            let offset = u64::try_from(page * ENTRY).ok()?;
            self.file.read_exact_at(slice, offset).ok()?;
            held += slice.chunks_exact(ENTRY).filter(|e| is_held(e)).count();
            page += wanted / ENTRY;
        }
        Some(held * PAGE)
    }
}

fn is_held(entry: &[u8]) -> bool {
    <[u8; ENTRY]>::try_from(entry).is_ok_and(|bytes| u64::from_ne_bytes(bytes) & HELD != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_touched_pages_count() {
        let Some(pagemap) = Pagemap::open() else {
            return;
        };
        let mut memory = vec![0u8; 1024 * PAGE];
        let base = memory.as_ptr() as usize;
        let before = pagemap
            .resident(base, memory.len())
            .expect("the pagemap is readable");
        for page in 100..200 {
            memory[page * PAGE] = 1;
        }
        let after = pagemap
            .resident(base, memory.len())
            .expect("the pagemap is readable");
        // The allocator may hand out some pages that are held already.
        assert!(
            before <= 200 * PAGE,
            "untouched memory is not held: {before}"
        );
        assert!(after >= 100 * PAGE && after - before <= 102 * PAGE);
        assert_eq!(memory[100 * PAGE], 1);
    }
}
