//! The names of functions and upstreams.

use super::value::Value;

/// Longest name, in bytes.
const LONGEST: usize = 64;

const REMEDY: &str = "name it with 1 to 64 of the characters a-z, 0-9, '_' and '-'";

/// Reports a name that cannot be one; `value` is what it names.
pub(super) fn check_name(name: &str, value: &Value<'_>) -> bool {
    let good = is_name(name);
    if !good {
        value.wrong("the name cannot be used", REMEDY);
    }
    good
}

fn is_name(name: &str) -> bool {
    let in_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(in_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_of_a_small_alphabet() {
        assert!(is_name("rates-2_b") && is_name(&"a".repeat(64)));
        for bad in ["", "Rates", "a.b", "a b", "ä", "a:b", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
