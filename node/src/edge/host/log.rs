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
    let cost = bytes.len().max(LEAST_COST);
    if guest.usage.logged.saturating_add(cost) > guest.program.limits.log_size {
        guest.usage.log_dropped += 1;
        return Ok(());
    }
    guest.usage.logged += cost;
    info!(
        target: TARGET,
        function = &*guest.program.name,
        request_id = guest.request.id,
        "{}",
        one_line(bytes)
    );
    Ok(())
}

/// Lossy UTF-8 with control characters escaped, so that no guest can forge a line or
/// drive the operator's terminal.
fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
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
    }
}
