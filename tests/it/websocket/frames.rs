//! WebSocket frames (RFC 6455, section 5), as much of them as the tests need.

use std::io::Read;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

pub(super) struct Frame {
    kind: u8,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn text(payload: &[u8]) -> Self {
        Self {
            kind: TEXT,
            payload: payload.to_vec(),
        }
    }

    pub(super) fn close() -> Self {
        Self {
            kind: CLOSE,
            payload: 1000u16.to_be_bytes().to_vec(),
        }
    }

    pub(super) fn is_close(&self) -> bool {
        self.kind == CLOSE
    }

    /// As servers send it.
    pub(super) fn unmasked(&self) -> Vec<u8> {
        [self.head(0), self.payload.clone()].concat()
    }

    /// As clients send it.
    pub(super) fn masked(&self, mask: [u8; 4]) -> Vec<u8> {
        [
            self.head(MASKED),
            mask.to_vec(),
            toggled(&self.payload, mask),
        ]
        .concat()
    }

    fn head(&self, masked: u8) -> Vec<u8> {
        let length = self.payload.len();
        let mut head = vec![FINAL | self.kind];
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ 0..=125), _) => head.push(masked | short),
            (_, Ok(medium)) => {
                head.push(masked | 126);
                head.extend(medium.to_be_bytes());
            }
            _ => {
                head.push(masked | 127);
                head.extend((length as u64).to_be_bytes());
            }
        }
        head
    }
}

/// `None` when the other end closed between frames.
pub(super) fn read_frame(stream: &mut impl Read) -> Option<Frame> {
    let [first] = read(stream)?;
    let [second] = read(stream).unwrap();
    let length = match second & !MASKED {
        126 => u64::from(u16::from_be_bytes(read(stream).unwrap())),
        127 => u64::from_be_bytes(read(stream).unwrap()),
        short => u64::from(short),
    };
    let mask = if second & MASKED == 0 {
        [0; 4]
    } else {
        read(stream).unwrap()
    };
    let mut payload = Vec::new();
    stream.take(length).read_to_end(&mut payload).unwrap();
    assert_eq!(payload.len() as u64, length, "a frame was cut");
    Some(Frame {
        kind: first & 0xf,
        payload: toggled(&payload, mask),
    })
}

fn read<const N: usize>(stream: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).ok().map(|()| bytes)
}

fn toggled(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let pairs = payload.iter().zip(mask.iter().cycle());
    pairs.map(|(byte, mask)| byte ^ mask).collect()
}
