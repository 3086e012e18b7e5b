//! The line before the data of a chunk.

use super::header::has_controls;

/// Hexadecimal digits of a size: what the integers of all recipients can hold.
const DIGITS: usize = 15;

/// What a chunk-size line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Bytes of data; 0 is the last chunk.
    pub(super) data: u64,
    /// Bytes of the line that are of no use.
    pub(super) extensions: usize,
}

/// `1*HEXDIG [ BWS ";" anything that can be seen ]` (RFC 9112, section 7.1).
pub(super) fn size(line: &[u8]) -> Option<Size> {
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let (size, rest) = line.split_at(digits);
    if digits == 0 || digits > DIGITS {
        return None;
    }
    let extension = rest.trim_ascii_start();
    let is_extension = extension.first() == Some(&b';') && !has_controls(rest);
    if !rest.is_empty() && !is_extension {
        return None;
    }
    Some(Size {
        data: u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?,
        extensions: rest.len(),
    })
}
