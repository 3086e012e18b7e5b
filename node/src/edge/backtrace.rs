//! Why a guest failed, in words of bounded length.
//!
//! Names of functions come from the module, so their length and their letters are the
//! guest's: neither may fill the log nor cost time to make readable. (A mangled C++ name
//! of 500 bytes can stand for gigabytes.)

use std::fmt::Write;

use wasmtime::{FrameInfo, WasmBacktrace};

/// Frames that are told of, innermost first.
const MOST_FRAMES: usize = 20;
/// Bytes of one name.
const LONGEST_NAME: usize = 120;
/// Bytes of a name as the module has it, past which it is not made readable.
const LONGEST_MANGLED: usize = 512;
/// Bytes of the reason.
const LONGEST_REASON: usize = 300;

/// The reason, then where the guest was.
pub(super) fn describe(error: &wasmtime::Error) -> String {
    let mut text = cut(&error.root_cause().to_string(), LONGEST_REASON);
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return text;
    };
    for frame in backtrace.frames().iter().take(MOST_FRAMES) {
        // Writing to a string cannot fail.
        write!(text, "\n    at {}", place(frame)).ok();
    }
    text
}

/// A function by its name, or else by its number, and the offset in the module.
fn place(frame: &FrameInfo) -> String {
    let mut text = match frame.func_name() {
        Some(name) => readable(name),
        None => format!("function {}", frame.func_index()),
    };
    if let Some(offset) = frame.module_offset() {
        write!(text, " ({offset:#x})").ok();
    }
    text
}

/// Only Rust's names are made readable: what stands in them is at most as long as they are.
fn readable(name: &str) -> String {
    let demangled = match name.len() <= LONGEST_MANGLED {
        true => rustc_demangle::try_demangle(name).ok(),
        false => None,
    };
    let Some(demangled) = demangled else {
        return cut(name, LONGEST_NAME);
    };
    let mut short = Short(String::new());
    // It gives up where it is full.
    write!(short, "{demangled:#}").ok();
    cut(&short.0, LONGEST_NAME)
}

/// A string that takes a little more than what is shown of it.
struct Short(String);

impl Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() > LONGEST_NAME {
            return Err(std::fmt::Error);
        }
        let room = text.floor_char_boundary(2 * LONGEST_NAME);
        self.0.push_str(text.get(..room).unwrap_or_default());
        Ok(())
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most);
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_short_whatever_they_are() {
        let legacy = "_ZN5hello6handle17h0123456789abcdefE";
        assert_eq!(readable(legacy), "hello::handle");
        assert_eq!(readable("plain"), "plain");
        assert_eq!(readable("_Z3fooi"), "_Z3fooi", "C++ stays as it is");
        let long = readable(&"é".repeat(100_000));
        assert!(long.len() <= LONGEST_NAME + "…".len(), "{}", long.len());
    }

    #[test]
    fn names_that_double_cost_nothing() {
        // Back references of the v0 mangling: each level has the one below it twice.
        const LEVEL: &str = "INvC1a1fT";
        const LEVELS: usize = 30;
        let digit = |at: usize| char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[at]);
        let mut name = format!("_R{}NvC1a1f", LEVEL.repeat(LEVELS));
        for level in (1..=LEVELS).rev() {
            let number = level * LEVEL.len() - 1;
            let (high, low) = (number / 62, number % 62);
            let small = |at: usize| match at {
                0..36 => digit(at),
                _ => digit(at - 26).to_ascii_uppercase(),
            };
            let high = (high > 0).then(|| small(high));
            name.extend(['B'].into_iter().chain(high).chain([small(low)]));
            name += "_EE";
        }
        assert!(name.len() <= LONGEST_MANGLED && rustc_demangle::try_demangle(&name).is_ok());
        let started = std::time::Instant::now();
        assert!(readable(&name).len() <= LONGEST_NAME + "…".len());
        assert!(started.elapsed() < std::time::Duration::from_millis(100));
    }
}
