//! Where blocks go: arithmetic on addresses only, so that it needs no memory to be tested.

use std::alloc::Layout;

/// The memory not handed out yet: from `next` to `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bump {
    next: usize,
    end: usize,
}

/// Memory that was added: from `start` to `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grown {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Bump {
    pub(super) const fn new(start: usize, end: usize) -> Self {
        Self { next: start, end }
    }

    /// The address of a new block, or `None` where there is no memory for it. `grow` is asked for
    /// at least a number of bytes when what is left does not suffice.
    pub(super) fn place(
        &mut self,
        layout: Layout,
        grow: impl FnOnce(usize) -> Option<Grown>,
    ) -> Option<usize> {
        if let Some(address) = self.fit(layout) {
            return Some(address);
        }
        // Enough wherever the new memory begins.
        self.extend(grow(layout.size().checked_add(layout.align())?)?);
        self.fit(layout)
    }

    /// Takes back a block if it was the last one; otherwise it stays taken.
    pub(super) fn release(&mut self, address: usize, size: usize) {
        if self.is_last(address, size) {
            self.next = address;
        }
    }

    /// Whether a block could be given its new size where it is. Only the last one can become
    /// larger.
    pub(super) fn resize(
        &mut self,
        address: usize,
        (old, new): (usize, usize),
        grow: impl FnOnce(usize) -> Option<Grown>,
    ) -> bool {
        if !self.is_last(address, old) {
            return new <= old;
        }
        let Some(next) = address.checked_add(new) else {
            return false;
        };
        if next > self.end
            && let Some(grown) = grow(next - self.end)
        {
            self.extend(grown);
        }
        let fits = next <= self.end && self.is_last(address, old);
        if fits {
            self.next = next;
        }
        fits
    }

    fn fit(&mut self, layout: Layout) -> Option<usize> {
        let address = self.next.checked_next_multiple_of(layout.align())?;
        let next = address.checked_add(layout.size())?;
        if next > self.end {
            return None;
        }
        self.next = next;
        Some(address)
    }

    fn extend(&mut self, grown: Grown) {
        // Someone else may have grown the memory since; what was left before their part is lost.
        if grown.start != self.end {
            self.next = grown.start;
        }
        self.end = grown.end;
    }

    const fn is_last(&self, address: usize, size: usize) -> bool {
        address + size == self.next
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::Layout;

    use super::{Bump, Grown};

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a valid layout")
    }

    fn full(_: usize) -> Option<Grown> {
        None
    }

    #[test]
    fn blocks_follow_each_other_aligned() {
        let mut bump = Bump::new(100, 200);
        assert_eq!(bump.place(layout(3, 1), full), Some(100));
        assert_eq!(bump.place(layout(8, 8), full), Some(104));
        assert_eq!(bump.place(layout(1, 16), full), Some(112));
    }

    #[test]
    fn a_block_may_fill_the_memory_to_its_last_byte_but_not_beyond() {
        let mut bump = Bump::new(100, 200);
        assert_eq!(bump.place(layout(101, 1), full), None);
        assert_eq!(bump.place(layout(100, 1), full), Some(100));
        assert_eq!(bump.place(layout(1, 1), full), None);
    }

    #[test]
    fn only_the_last_block_is_taken_back() {
        let mut bump = Bump::new(100, 200);
        let first = bump.place(layout(10, 1), full).expect("room");
        let second = bump.place(layout(10, 1), full).expect("room");
        bump.release(first, 10);
        assert_eq!(bump.place(layout(10, 1), full), Some(120));
        bump.release(120, 10);
        bump.release(second, 10);
        assert_eq!(bump.place(layout(10, 1), full), Some(second));
    }

    #[test]
    fn the_last_block_changes_its_size_in_place() {
        let mut bump = Bump::new(100, 200);
        let block = bump.place(layout(10, 1), full).expect("room");
        assert!(bump.resize(block, (10, 100), full));
        assert!(!bump.resize(block, (100, 101), full));
        assert!(bump.resize(block, (100, 5), full));
        assert_eq!(bump.place(layout(1, 1), full), Some(105));
        assert!(bump.resize(block, (5, 4), full), "smaller always fits");
        assert!(!bump.resize(block, (4, 6), full), "another one follows");
    }

    #[test]
    fn adjoining_new_memory_is_used_from_where_the_old_ended() {
        let grow = |_| {
            Some(Grown {
                start: 200,
                end: 300,
            })
        };
        let mut bump = Bump::new(100, 200);
        assert_eq!(bump.place(layout(150, 1), grow), Some(100));

        let mut bump = Bump::new(100, 200);
        let block = bump.place(layout(90, 1), full).expect("room");
        assert!(bump.resize(block, (90, 200), grow));
    }

    #[test]
    fn new_memory_elsewhere_is_used_from_its_start() {
        let grow = |_| {
            Some(Grown {
                start: 400,
                end: 600,
            })
        };
        let mut bump = Bump::new(100, 200);
        assert_eq!(bump.place(layout(101, 1), grow), Some(400));

        let mut bump = Bump::new(100, 200);
        let block = bump.place(layout(90, 1), full).expect("room");
        assert!(
            !bump.resize(block, (90, 120), grow),
            "it would not be whole"
        );
        assert_eq!(bump.place(layout(100, 1), full), Some(400));
    }

    #[test]
    fn sizes_beyond_the_address_space_are_refused() {
        let mut bump = Bump::new(0, usize::MAX);
        let huge = layout(isize::MAX as usize, 1);
        assert!(bump.place(huge, full).is_some());
        let last = bump.place(huge, full).expect("room");
        assert_eq!(bump.place(huge, full), None);
        assert!(!bump.resize(last, (huge.size(), usize::MAX), full));
    }

    /// A deterministic walk over a plain byte arena: each block is filled with its own mark, and
    /// must still hold it when it is resized or released.
    #[test]
    fn blocks_in_use_never_overlap() {
        let mut arena = vec![0_u8; 1 << 20];
        let mut bump = Bump::new(1, 1000);
        let mut blocks: Vec<(usize, usize, u8)> = Vec::new();
        let mut random = 1_u64;
        for step in 0..5_000_u32 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let choice = (random >> 33) as usize;
            let (size, align, mark) = (1 + choice % 50, 1 << (choice % 5), step as u8);
            let end = bump.end;
            let grow = |bytes: usize| {
                Some(Grown {
                    start: end,
                    end: end + bytes.max(1000),
                })
            };
            let any = choice / 7 % blocks.len().max(1);

            if step % 4 == 0 && any < blocks.len() {
                let (address, size, mark) = blocks.swap_remove(any);
                assert_eq!(arena[address..address + size], vec![mark; size]);
                bump.release(address, size);
            } else if step % 4 == 1 && any < blocks.len() {
                let (address, old, mark) = blocks[any];
                assert_eq!(arena[address..address + old], vec![mark; old]);
                if bump.resize(address, (old, size), grow) {
                    arena[address..address + size].fill(mark);
                    blocks[any].1 = size;
                }
            } else {
                let address = bump.place(layout(size, align), grow).expect("room");
                assert_eq!(address % align, 0);
                arena[address..address + size].fill(mark);
                blocks.push((address, size, mark));
            }
        }
        assert!(bump.end > 1000, "it grew");
        assert!(blocks.len() > 100, "many were in use");
    }
}
