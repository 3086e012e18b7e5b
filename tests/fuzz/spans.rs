//! Pointers, lengths and numbers as a guest that means harm would choose them.

use fastrand::Rng;

use super::abi::Kind;

/// Where a piece lies in the guest's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    pub(crate) start: i32,
    pub(crate) length: i32,
}

/// What a generator chooses arguments from.
pub(crate) struct Stock {
    pub(crate) pieces: Vec<Piece>,
    /// Bytes of the guest's memory; it does not change while calls are made.
    pub(crate) memory: u32,
}

impl Stock {
    /// A pointer and a length: most often what the call wants.
    pub(crate) fn span(&self, rng: &mut Rng, kind: Kind) -> (i32, i32) {
        match rng.u8(..16) {
            0..9 if kind == Kind::Destination => (rng.i32(0x8000..0xf000), rng.i32(0..300)),
            0..9 => self.piece(rng, |piece| piece.kind == kind),
            9..11 => self.piece(rng, |_| true),
            11..14 => (self.pointer(rng), self.length(rng)),
            14 => (rng.i32(0..0x1_0000), rng.i32(0..0x1_0000)),
            _ => (rng.i32(..), rng.i32(..)),
        }
    }

    /// A pointer to handles, and how many there are.
    pub(crate) fn handles(&self, rng: &mut Rng) -> (i32, i32) {
        match rng.u8(..4) {
            // Zeros, most of them: handles of the first call.
            0..2 => (rng.i32(0x8000..0xf000), rng.i32(0..6)),
            2 => (self.pointer(rng), self.length(rng)),
            _ => (rng.i32(..), rng.i32(..)),
        }
    }

    /// Whether a call must refuse this span.
    pub(crate) fn is_outside(&self, span: (i32, i32)) -> bool {
        self.is_outside_with(span, 1)
    }

    /// Whether it must refuse so many elements of `size` bytes.
    pub(crate) fn is_outside_with(&self, (pointer, count): (i32, i32), size: u64) -> bool {
        let start = u64::from(pointer.cast_unsigned());
        start + u64::from(count.cast_unsigned()) * size > u64::from(self.memory)
    }

    fn piece(&self, rng: &mut Rng, suits: impl Fn(&Piece) -> bool) -> (i32, i32) {
        let suiting: Vec<_> = self.pieces.iter().filter(|piece| suits(piece)).collect();
        let piece = rng.choice(suiting).unwrap();
        (piece.start, piece.length)
    }

    fn pointer(&self, rng: &mut Rng) -> i32 {
        let end = self.memory.cast_signed();
        let edges = [
            0,
            1,
            -1,
            -16,
            end,
            end - 1,
            end + 1,
            end - 16,
            end - 4096,
            i32::MIN,
            i32::MAX,
        ];
        edges[rng.usize(..edges.len())]
    }

    fn length(&self, rng: &mut Rng) -> i32 {
        let end = self.memory.cast_signed();
        let edges = [
            0,
            1,
            2,
            16,
            32,
            256,
            257,
            2048,
            2049,
            4096,
            4097,
            0x1_0000,
            0x1_0001,
            end,
            end + 1,
            -1,
            i32::MIN,
            i32::MAX,
            0x10_0001,
        ];
        edges[rng.usize(..edges.len())]
    }
}

/// A status, or what is none.
pub(crate) fn status(rng: &mut Rng) -> i32 {
    let edges = [
        0,
        -1,
        99,
        100,
        101,
        199,
        200,
        204,
        304,
        599,
        600,
        999,
        i32::MIN,
        65_736,
    ];
    match rng.bool() {
        true => rng.i32(200..600),
        false => edges[rng.usize(..edges.len())],
    }
}

/// A lifetime in seconds, or what is none.
pub(crate) fn seconds(rng: &mut Rng) -> i32 {
    let edges = [0, 1, 60, 31_536_000, 31_536_001, -1, i32::MIN, i32::MAX];
    edges[rng.usize(..edges.len())]
}

/// What a rate limit lets through.
pub(crate) fn limit(rng: &mut Rng) -> i32 {
    let edges = [0, 1, 2, 100, 1_000_000, -1, i32::MIN, i32::MAX];
    edges[rng.usize(..edges.len())]
}

/// What is added to a count.
pub(crate) fn delta(rng: &mut Rng) -> i64 {
    let edges = [0, 1, -1, i64::MAX, i64::MIN, i64::MIN + 1, 1 << 53];
    edges[rng.usize(..edges.len())]
}

/// The handle of a call, or what is none.
pub(crate) fn handle(rng: &mut Rng) -> i32 {
    let edges = [0, 0, 1, 2, 3, 31, 32, -1, i32::MIN, i32::MAX];
    edges[rng.usize(..edges.len())]
}
