//! What a frame may amount to, before the parser sees it.

use original::error::{RedisProtocolError, RedisProtocolErrorKind};

/// Bytes of one frame, all that is nested in it included.
const FRAME: usize = 16 * 1024 * 1024;

/// Bytes before the end of a line: of an error, a number, a length.
const LINE: usize = 64 * 1024;

/// Levels of nesting. A map of a cluster has four.
const DEPTH: usize = 16;

/// Elements on all levels together.
const ELEMENTS: usize = 1 << 18;

/// Looks at the headers of the first frame in `buf`, as far as it is there. What is not well
/// formed is left to the parser.
pub(crate) fn check(buf: &[u8]) -> Result<(), RedisProtocolError> {
    let mut frame = Frame::default();
    let mut at = 0_usize;
    while let Some((kind, rest)) = buf.get(at..).and_then(<[u8]>::split_first) {
        let Some(line) = line(rest)? else {
            return Ok(());
        };
        at += 1 + line.len() + 2;
        let opened = match kind {
            b'$' | b'!' | b'=' | b';' => {
                let bytes = length(line)?.map_or(0, |length| length.saturating_add(2));
                at = at.saturating_add(bytes);
                0
            }
            b'*' | b'~' | b'>' => length(line)?.unwrap_or(0),
            b'%' => length(line)?.unwrap_or(0).saturating_mul(2),
            // Attributes come before the frame they belong to.
            b'|' => length(line)?
                .unwrap_or(0)
                .saturating_mul(2)
                .saturating_add(1),
            _ => 0,
        };
        if at > FRAME {
            return Err(refused("a frame is too large"));
        }
        if frame.has_ended_with(opened)? {
            return Ok(());
        }
    }
    Ok(())
}

/// What is open of a frame.
#[derive(Default)]
struct Frame {
    /// Elements that are missing, by level.
    missing: [usize; DEPTH],
    depth: usize,
    elements: usize,
}

impl Frame {
    /// Counts one more element, which has `opened` elements of its own.
    fn has_ended_with(&mut self, opened: usize) -> Result<bool, RedisProtocolError> {
        self.elements = self.elements.saturating_add(opened);
        if self.elements > ELEMENTS {
            return Err(refused("a frame has too many elements"));
        }
        if opened > 0 {
            let level = self.missing.get_mut(self.depth);
            *level.ok_or_else(|| refused("a frame is nested too deeply"))? = opened;
            self.depth += 1;
            return Ok(false);
        }
        while let Some(level) = self
            .depth
            .checked_sub(1)
            .and_then(|at| self.missing.get_mut(at))
        {
            *level -= 1;
            if *level > 0 {
                return Ok(false);
            }
            self.depth -= 1;
        }
        Ok(true)
    }
}

/// The first line, without its end; `None` while it is not there.
fn line(rest: &[u8]) -> Result<Option<&[u8]>, RedisProtocolError> {
    let most = rest.get(..LINE + 2).unwrap_or(rest);
    let end = most.windows(2).position(|end| end == b"\r\n");
    match end.and_then(|end| most.get(..end)) {
        Some(line) => Ok(Some(line)),
        None if most.len() < LINE + 2 => Ok(None),
        None => Err(refused("a line is too long")),
    }
}

/// `None` for what stands for nothing, and for what is no length.
fn length(line: &[u8]) -> Result<Option<usize>, RedisProtocolError> {
    if line == b"?" {
        // Pieces until further notice: nobody asked for that.
        return Err(refused("a frame has no length"));
    }
    let text = std::str::from_utf8(line).ok();
    Ok(text.and_then(|text| text.parse().ok()))
}

fn refused(why: &'static str) -> RedisProtocolError {
    RedisProtocolError::new(RedisProtocolErrorKind::DecodeError, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_answers_pass_whole_and_in_part() {
        let answers = [
            "+OK\r\n",
            "-ERR no\r\n",
            ":5\r\n",
            "$-1\r\n",
            "$5\r\nhello\r\n",
            "*-1\r\n",
            "*0\r\n",
            "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
            "%1\r\n+a\r\n_\r\n",
            "|1\r\n+a\r\n+b\r\n:1\r\n",
        ];
        for answer in answers {
            for end in 0..=answer.len() {
                assert!(check(&answer.as_bytes()[..end]).is_ok(), "{answer:?} {end}");
            }
        }
    }

    #[test]
    fn only_the_first_frame_is_looked_at() {
        assert!(check(b"+OK\r\n$2147483648\r\n").is_ok());
        assert!(check(b"*1\r\n:1\r\n$2147483648\r\n").is_ok());
    }

    #[test]
    fn what_nobody_asks_for_is_refused() {
        let nested = "*1\r\n".repeat(DEPTH + 1);
        let wide = format!("*{}\r\n", ELEMENTS + 1);
        let line = format!("+{}", "a".repeat(LINE + 2));
        for answer in [
            &*nested,
            &wide,
            &line,
            "$2147483648\r\n",
            "*18446744073709551615\r\n",
            "%18446744073709551615\r\n",
            "*2\r\n$18446744073709551615\r\n",
            "$?\r\n",
            "*?\r\n",
        ] {
            let shown = &answer[..answer.len().min(40)];
            assert!(check(answer.as_bytes()).is_err(), "{shown:?}");
        }
        assert!(check("*1\r\n".repeat(DEPTH).as_bytes()).is_ok());
    }
}
