//! What node, launcher and job tell each other: fixed headers, and lengths that are bounded.

use std::io::{self, Read, Write};
use std::time::Duration;

/// Bytes of a module that are passed on, whatever `size` allows.
pub(super) const MODULE: u64 = 1 << 30;
/// Bytes of one piece of what a job puts out.
pub(super) const PIECE: usize = 64 * 1024;
/// Bytes of a text about a failure.
pub(super) const TEXT: usize = 4 * 1024;

/// Numbers of a task's header, the module's length included.
const FIELDS: usize = 6;
const WORD: usize = 8;

/// One compilation: what the code must suit, and what making it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// Address space of a memory of the engine that will run the code, in bytes.
    pub(super) reservation: usize,
    /// Of all threads; the system counts in seconds.
    pub(super) processor_time: Duration,
    pub(super) wall_time: Duration,
    /// Bytes.
    pub(super) address_space: usize,
    pub(super) lowest_priority: bool,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Ending {
    /// What it put out is complete.
    Finished,
    /// Its processor time was over.
    Time,
    /// Its wall-clock time was over.
    Busy,
    /// It was refused memory.
    Memory,
    /// It died; the text says how.
    Crashed,
    /// It could not be started; the text says why.
    NotStarted,
}

/// What a finished job's first byte says of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Output {
    /// Machine code.
    Code,
    /// Why the module is not valid.
    Invalid,
    /// Why it cannot be compiled.
    Refused,
}

// === impl Task ===

impl Task {
    /// The header of a task about a module of `length` bytes.
    pub(super) fn write(&self, length: usize, mut to: impl Write) -> io::Result<()> {
        let fields: [u64; FIELDS] = [
            number(self.reservation),
            self.processor_time.as_secs() + u64::from(self.processor_time.subsec_nanos() > 0),
            u64::try_from(self.wall_time.as_millis()).unwrap_or(u64::MAX),
            number(self.address_space),
            u64::from(self.lowest_priority),
            number(length),
        ];
        let mut header = [0; FIELDS * WORD];
        for (place, field) in header.chunks_exact_mut(WORD).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        to.write_all(&header)
    }

    /// The next task and its module's length; `None` at the end.
    pub(super) fn read(mut from: impl Read) -> io::Result<Option<(Self, u64)>> {
        let mut header = Vec::new();
        from.by_ref()
            .take(number(FIELDS * WORD))
            .read_to_end(&mut header)?;
        if header.is_empty() {
            return Ok(None);
        }
        let mut fields = header.chunks_exact(WORD).map(word);
        let mut field = || fields.next().ok_or(io::ErrorKind::UnexpectedEof);
        let task = Self {
            reservation: size(field()?)?,
            processor_time: Duration::from_secs(field()?),
            wall_time: Duration::from_millis(field()?),
            address_space: size(field()?)?,
            lowest_priority: field()? != 0,
        };
        let length = field()?;
        if length > MODULE {
            return Err(io::Error::other("a module is too long"));
        }
        Ok(Some((task, length)))
    }
}

// === impl Ending ===

impl Ending {
    const ALL: [Self; 6] = [
        Self::Finished,
        Self::Time,
        Self::Busy,
        Self::Memory,
        Self::Crashed,
        Self::NotStarted,
    ];

    /// Ends what a job put out.
    pub(super) fn write(self, text: &str, mut to: impl Write) -> io::Result<()> {
        let text = text.as_bytes();
        let text = text.get(..TEXT).unwrap_or(text);
        write_piece(&[], &mut to)?;
        to.write_all(&[self as u8])?;
        write_piece(text, to)
    }

    /// What [`Ending::write`] wrote, its first, empty piece read already.
    pub(super) fn read(mut from: impl Read) -> io::Result<(Self, String)> {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        let ending = Self::ALL
            .into_iter()
            .find(|ending| [*ending as u8] == byte)
            .ok_or(io::ErrorKind::InvalidData)?;
        let mut text = Vec::new();
        read_piece(from, &mut text)?;
        Ok((ending, String::from_utf8_lossy(&text).into_owned()))
    }
}

// === impl Output ===

impl Output {
    const ALL: [Self; 3] = [Self::Code, Self::Invalid, Self::Refused];

    /// Takes the first byte off.
    pub(super) fn of(mut bytes: Vec<u8>) -> Option<(Self, Vec<u8>)> {
        let first = *bytes.first()?;
        let output = Self::ALL
            .into_iter()
            .find(|output| *output as u8 == first)?;
        bytes.remove(0);
        Some((output, bytes))
    }
}

/// A piece of at most [`PIECE`] bytes after its length.
pub(super) fn write_piece(piece: &[u8], mut to: impl Write) -> io::Result<()> {
    let length = u32::try_from(piece.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(piece)
}

/// Appends a piece to `bytes`; its length.
pub(super) fn read_piece(mut from: impl Read, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?;
    if length > PIECE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let read = from.take(number(length)).read_to_end(bytes)?;
    if read < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(length)
}

fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn number(size: usize) -> u64 {
    size as u64
}

fn size(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Task = Task {
        reservation: 1 << 26,
        processor_time: Duration::from_millis(1500),
        wall_time: Duration::from_millis(61_001),
        address_space: 1 << 31,
        lowest_priority: true,
    };

    #[test]
    fn a_task_arrives_as_it_was_sent_with_whole_seconds() {
        let mut bytes = Vec::new();
        TASK.write(77, &mut bytes).expect("it fits");
        let whole = Task {
            processor_time: Duration::from_secs(2),
            ..TASK
        };
        let read = Task::read(&bytes[..]).expect("a task");
        assert_eq!(read, Some((whole, 77)));
        assert_eq!(Task::read(&[][..]).expect("the end"), None);
        for end in 1..bytes.len() {
            assert!(Task::read(&bytes[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn an_ending_arrives_after_the_pieces() {
        let mut bytes = Vec::new();
        write_piece(b"code", &mut bytes).expect("it fits");
        Ending::Crashed
            .write("it broke", &mut bytes)
            .expect("it fits");
        let (mut from, mut output) = (&bytes[..], Vec::new());
        assert_eq!(read_piece(&mut from, &mut output).expect("a piece"), 4);
        assert_eq!(read_piece(&mut from, &mut output).expect("the last"), 0);
        let (ending, text) = Ending::read(from).expect("an ending");
        assert_eq!((ending, text.as_str()), (Ending::Crashed, "it broke"));
        assert_eq!(output, b"code");
    }

    #[test]
    fn lengths_past_their_bounds_are_refused() {
        let mut bytes = Vec::new();
        TASK.write(usize::MAX, &mut bytes).expect("it fits");
        assert!(Task::read(&bytes[..]).is_err());
        assert!(read_piece(&[0xff; 9][..], &mut Vec::new()).is_err());
        assert!(read_piece(&[9, 0, 0, 0, 1][..], &mut Vec::new()).is_err());
        assert!(Ending::read(&[99, 0, 0, 0, 0][..]).is_err());
        assert_eq!(Output::of(vec![]), None);
        assert_eq!(Output::of(vec![9, 1]), None);
        assert_eq!(Output::of(vec![1, 1]), Some((Output::Invalid, vec![1])));
    }
}
