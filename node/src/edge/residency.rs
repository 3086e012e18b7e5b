//! How much of a guest's memory the machine really holds for it.
//!
//! A guest that declares 17 pages and touches three holds three: charging the
//! declared size would let a few hundred waiting Rust guests fill `[edge] memory`.
//! `/proc/self/pagemap` has eight bytes per page; bit 63 is "present", bit 62 "swapped",
//! bit 61 "of a file" (Linux, Documentation/admin-guide/mm/pagemap.rst).

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::unistd::{SysconfVar, sysconf};

const ENTRY: usize = 8;
const HELD: u64 = 0b11 << 62;
/// A page of a file: of the module's image, which all its guests share until they write to it.
const SHARED: u64 = 1 << 61;
const BATCH: usize = 512;

/// The pagemap of this process.
#[derive(Debug)]
pub(super) struct Pagemap {
    file: File,
    page: usize,
}

impl Pagemap {
    /// `None` where the system has no pagemap; declared sizes count there.
    pub(super) fn open() -> Option<Self> {
        let file = File::open("/proc/self/pagemap").ok()?;
        let page = sysconf(SysconfVar::PAGE_SIZE).ok()??;
        let page = usize::try_from(page).ok().filter(|page| *page > 0)?;
        Some(Self { file, page })
    }

    /// Bytes held of the `length` bytes at `start`; `None` when it cannot be read.
    pub(super) fn resident(&self, start: usize, length: usize) -> Option<usize> {
        let mut held = 0;
        let mut page = start / self.page;
        let end = (start + length).div_ceil(self.page);
        let mut buffer = [0u8; BATCH * ENTRY];
        while page < end {
            let wanted = (end - page).min(BATCH) * ENTRY;
            let slice = buffer.get_mut(..wanted)?;
            let offset = u64::try_from(page * ENTRY).ok()?;
            self.file.read_exact_at(slice, offset).ok()?;
            held += slice.chunks_exact(ENTRY).filter(|e| is_held(e)).count();
            page += wanted / ENTRY;
        }
        Some(held * self.page)
    }
}

fn is_held(entry: &[u8]) -> bool {
    <[u8; ENTRY]>::try_from(entry).is_ok_and(|bytes| {
        let entry = u64::from_ne_bytes(bytes);
        entry & HELD != 0 && entry & SHARED == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Past what an allocator keeps for the next one, so that it comes untouched.
    const LARGE: usize = 64 * 1024 * 1024;

    #[test]
    fn only_touched_pages_count() {
        let Some(pagemap) = Pagemap::open() else {
            return;
        };
        let page_size = pagemap.page;
        let mut memory = vec![0u8; LARGE];
        let base = memory.as_ptr() as usize;
        let before = pagemap
            .resident(base, memory.len())
            .expect("the pagemap is readable");
        for page in 100..200 {
            memory[page * page_size] = 1;
        }
        let after = pagemap
            .resident(base, memory.len())
            .expect("the pagemap is readable");
        // Huge pages may round what is touched up.
        let touched = 100 * page_size;
        assert!(
            before <= LARGE / 8,
            "untouched memory is not held: {before}"
        );
        assert!(after >= touched && after - before <= touched + LARGE / 8);
        assert_eq!(memory[100 * page_size], 1);
    }
}
