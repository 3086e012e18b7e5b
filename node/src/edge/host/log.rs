//! Log records of guests: bounded per record and per invocation, one line each.

use aegis_abi::{MAX_LOG_RECORD, MODULE, import};
use tracing::info;
use wasmtime::{Caller, Linker};

use super::frame::{Frame, Span, with_frame};
use crate::edge::guest::{Guest, HostError};

/// The target of guests' records, for filters in `RUST_LOG`.
const TARGET: &str = "aegis::function";

/// What a short record counts for: its line is longer than its text.
const LEAST_COST: usize = 64;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        import::LOG,
        |mut caller: Caller<'_, Guest>, pointer: i32, length: i32| {
            with_frame(&mut caller, |frame| {
                record(frame, Span::new(pointer, length)).map(|()| 0)
            })
            .map(drop)
        },
    )?;
    Ok(())
}

fn record(frame: &mut Frame<'_>, span: Span) -> Result<(), HostError> {
    let bytes = span.of(frame.memory)?;
    let bytes = bytes.get(..MAX_LOG_RECORD).unwrap_or(bytes);
    let guest = &mut *frame.guest;
    let left = guest.program.limits.log_size - guest.usage.logged;
    // Escapes make it longer, never shorter.
    let line = (bytes.len().max(LEAST_COST) <= left).then(|| one_line(bytes));
    let Some(line) = line.filter(|line| line.len() <= left) else {
        guest.usage.log_dropped += 1;
        return Ok(());
    };
    guest.usage.logged += line.len().max(LEAST_COST);
    info!(
        target: TARGET,
        function = &*guest.program.name,
        request_id = guest.request.id,
        "{line}"
    );
    Ok(())
}

/// Lossy UTF-8 with control characters escaped, so that no guest can forge a line or
/// drive the operator's terminal.
fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Line separators, marks that turn the direction of text, and others without a width.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_stays_on_one_line_and_off_the_terminal() {
        assert_eq!(
            one_line(b"a\nb\r\x1b[31mc\0\xff\xc3\xa9"),
            "a\\nb\\r\\u{1b}[31mc\\u{0}\u{fffd}é"
        );
        let turned = one_line("a\u{202e}b\u{2028}c".as_bytes());
        assert_eq!(turned, "a\\u{202e}b\\u{2028}c");
    }
}
