//! Reads along which frames a client sends: header blocks that do not end, and frames that cost
//! work but bring no request further. The library holds neither to a time or a rate.

use std::sync::Arc;

use super::PREFACE;
use super::allowance::Allowance;
use super::wire::Wire;

const HEAD: usize = 9;
const HEADERS: u8 = 0x1;
const DATA: u8 = 0x0;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// Frames such as PING, PRIORITY and WINDOW_UPDATE that may come in a burst, and a second.
const CONTROL: (u32, u32) = (10_000, 200);
/// SETTINGS are applied to every stream and acknowledged.
const SETTINGS_COST: u32 = 50;
/// Bytes that are skipped at the price of one frame more.
const SKIPPED: usize = 1024;
/// Bytes sent to a client that allow it one frame more: it will tell of its window.
const EARNING: usize = 1024;
/// Streams that a client may reset at once, and a second. One answered in full allows one more.
const RESETS: (u32, u32) = (200, 20);

/// Follows one connection's frames.
#[derive(Debug)]
pub(in crate::listener) struct Frames {
    wire: Arc<Wire>,
    at: At,
    control: Allowance,
    resets: Allowance,
    sent: usize,
}

/// Where in the client's bytes the next one stands.
#[derive(Debug)]
enum At {
    /// Before the first frame; this much is left of the preface.
    Preface(usize),
    Head {
        bytes: [u8; HEAD],
        length: usize,
        first: bool,
    },
    /// This much is left; whether a header block ends with it.
    Payload { left: usize, ends_block: bool },
}

impl At {
    const fn head(first: bool) -> Self {
        Self::Head {
            bytes: [0; HEAD],
            length: 0,
            first,
        }
    }
}

impl Frames {
    pub(super) fn new(wire: Arc<Wire>) -> Self {
        Self {
            wire,
            at: At::Preface(PREFACE.len()),
            control: Allowance::new(CONTROL.0, CONTROL.1),
            resets: Allowance::new(RESETS.0, RESETS.1),
            sent: 0,
        }
    }

    /// Whether nothing more is to be read: the connection is about to be ended.
    pub(in crate::listener) fn are_excessive(&self) -> bool {
        self.wire.is_excessive()
    }

    /// The client's next bytes.
    pub(in crate::listener) fn received(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = self.step(bytes);
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// Bytes that the client has taken.
    pub(in crate::listener) fn sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes);
        if self.sent >= EARNING {
            let earned = self.sent / EARNING;
            self.control.give(u32::try_from(earned).unwrap_or(u32::MAX));
            self.sent %= EARNING;
        }
    }

    /// How many of the bytes belong to what it is at.
    fn step(&mut self, received: &[u8]) -> usize {
        match &mut self.at {
            At::Preface(left) => {
                let used = received.len().min(*left);
                *left -= used;
                if *left == 0 {
                    self.at = At::head(true);
                }
                used
            }
            At::Head {
                bytes,
                length,
                first,
            } => {
                let used = received.len().min(HEAD - *length);
                let target = bytes.iter_mut().skip(*length);
                target.zip(received).for_each(|(to, from)| *to = *from);
                *length += used;
                if *length == HEAD {
                    let (head, first) = (*bytes, *first);
                    self.begin(head, first);
                }
                used
            }
            At::Payload { left, ends_block } => {
                let used = received.len().min(*left);
                *left -= used;
                if *left == 0 {
                    let ends_block = *ends_block;
                    self.end(ends_block);
                }
                used
            }
        }
    }

    fn begin(&mut self, head: [u8; HEAD], first: bool) {
        let [high, middle, low, kind, flags, ..] = head;
        let left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let is_block = kind == HEADERS || kind == CONTINUATION;
        if is_block {
            self.wire.block_begins();
        }
        if !self.allows(kind, left) {
            self.wire.exceed();
        }
        // The first frame's end is the end of the opening.
        let ends_block = first || (is_block && flags & END_HEADERS != 0);
        match left {
            0 => self.end(ends_block),
            _ => self.at = At::Payload { left, ends_block },
        }
    }

    fn end(&mut self, ends_block: bool) {
        if ends_block {
            self.wire.block_ends();
        }
        self.at = At::head(false);
    }

    /// What the library bounds itself is free: requests, bodies, and the frames of one header.
    fn allows(&mut self, kind: u8, length: usize) -> bool {
        match kind {
            DATA | HEADERS | CONTINUATION => true,
            RST_STREAM => {
                self.resets.give(self.wire.take_answered());
                self.resets.take(1)
            }
            SETTINGS => self.control.take(SETTINGS_COST),
            _ => {
                let more = u32::try_from(length / SKIPPED).unwrap_or(u32::MAX);
                self.control.take(more.saturating_add(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 0x6;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).expect("short");
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn opened() -> (Arc<Wire>, Frames) {
        let wire = Arc::new(Wire::new());
        let mut frames = Frames::new(Arc::clone(&wire));
        frames.received(PREFACE);
        assert!(
            wire.block().is_some(),
            "the opening lasts to the first frame"
        );
        frames.received(&frame(SETTINGS, 0, &[0; 6]));
        assert_eq!(wire.block(), None);
        (wire, frames)
    }

    #[test]
    fn a_header_block_lasts_from_its_first_frame_to_the_last_byte_whatever_the_pieces() {
        let bytes = [
            frame(HEADERS, 0, b"abc"),
            frame(CONTINUATION, 0, b""),
            frame(CONTINUATION, END_HEADERS, b"def"),
        ]
        .concat();
        for size in 1..=bytes.len() {
            let (wire, mut frames) = opened();
            let mut seen = 0;
            for piece in bytes.chunks(size) {
                frames.received(piece);
                seen += piece.len();
                let open = seen >= HEAD && seen < bytes.len();
                assert_eq!(wire.block().is_some(), open, "{seen} in pieces of {size}");
            }
        }
    }

    #[test]
    fn each_block_has_a_number_of_its_own() {
        let (wire, mut frames) = opened();
        frames.received(&frame(HEADERS, 0, b"a"));
        let one = wire.block();
        frames.received(&frame(CONTINUATION, END_HEADERS, b""));
        frames.received(&frame(HEADERS, 0, b"a"));
        assert!(wire.block().is_some() && wire.block() != one);
    }

    fn burst(kind: u8, payload: &[u8], before: impl Fn(&mut Frames, &Wire)) -> u32 {
        let (wire, mut frames) = opened();
        let mut count = 0;
        while !frames.are_excessive() && count < 100_000 {
            before(&mut frames, &wire);
            frames.received(&frame(kind, 0, payload));
            count += 1;
        }
        count
    }

    #[test]
    fn frames_that_bring_nothing_further_end_in_excess_and_others_do_not() {
        let nothing = |_: &mut Frames, _: &Wire| {};
        assert!((9_000..20_000).contains(&burst(PING, &[0; 8], nothing)));
        assert!((150..400).contains(&burst(SETTINGS, &[], nothing)));
        assert!((200..250).contains(&burst(RST_STREAM, &[0; 4], nothing)));
        for kind in [DATA, HEADERS, CONTINUATION] {
            assert_eq!(burst(kind, &[], nothing), 100_000);
        }
    }

    #[test]
    fn what_the_node_sends_and_answers_allows_more() {
        let sent = |frames: &mut Frames, _: &Wire| frames.sent(EARNING);
        assert_eq!(burst(PING, &[0; 8], sent), 100_000);
        let answered = |_: &mut Frames, wire: &Wire| wire.answered();
        assert_eq!(burst(RST_STREAM, &[0; 4], answered), 100_000);
    }
}
