//! Durations and sizes as the file writes them: a whole number and its unit, as in `"50ms"` and
//! `"1MiB"`.

use std::time::Duration;

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
pub(super) const TIB: u64 = 1 << 40;

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Units of time, in milliseconds, largest first.
const TIMES: &[Unit] = &[("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A unit of time that is only read.
const DAYS: &[Unit] = &[("d", 86_400_000)];

/// Units of size, in bytes, largest first: the ones values are shown in.
const BINARY_SIZES: &[Unit] = &[("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("B", 1)];

/// Further units of size, which are only read.
const DECIMAL_SIZES: &[Unit] = &[("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1000)];

type Unit = (&'static str, u64);

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QuantityError {
    #[error("it does not start with a number")]
    NoNumber,
    #[error("it has no unit")]
    NoUnit,
    #[error("it must be a whole number")]
    Fraction,
    #[error("its unit is not one of {0}")]
    UnknownUnit(String),
    #[error("it is too large")]
    TooLarge,
}

/// Reads a duration.
pub(super) fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    parse(text, &[DAYS, TIMES]).map(Duration::from_millis)
}

/// Reads a size, in bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, QuantityError> {
    parse(text, &[BINARY_SIZES, DECIMAL_SIZES])
}

/// Writes a duration in the largest unit that leaves no fraction.
pub(super) fn show_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    show(milliseconds, TIMES, "0s")
}

/// Writes a size in the largest unit that leaves no fraction.
pub(super) fn show_size(bytes: u64) -> String {
    show(bytes, BINARY_SIZES, "0B")
}

fn parse(text: &str, units: &[&[Unit]]) -> Result<u64, QuantityError> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err(QuantityError::NoNumber);
    }
    if unit.is_empty() {
        return Err(QuantityError::NoUnit);
    }
    if unit.starts_with(['.', ',']) {
        return Err(QuantityError::Fraction);
    }
    let known = || units.iter().flat_map(|units| units.iter());
    let (_, factor) = known()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| QuantityError::UnknownUnit(names(known())))?;
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .ok_or(QuantityError::TooLarge)
}

fn names<'a>(units: impl Iterator<Item = &'a Unit>) -> String {
    let names: Vec<_> = units.map(|(name, _)| *name).collect();
    names.join(", ")
}

fn show(amount: u64, units: &[Unit], zero: &str) -> String {
    units
        .iter()
        .find(|(_, factor)| amount > 0 && amount.is_multiple_of(*factor))
        .map_or_else(
            || zero.to_owned(),
            |(name, factor)| format!("{}{name}", amount / factor),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_whole_numbers_and_units() {
        assert_eq!(parse_duration("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(parse_duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_duration("1m"), Ok(MINUTE));
        assert_eq!(parse_duration("1h"), Ok(HOUR));
        assert_eq!(parse_duration("2d"), Ok(2 * DAY));
        assert_eq!(parse_duration("1.5s"), Err(QuantityError::Fraction));
        assert_eq!(parse_duration("5"), Err(QuantityError::NoUnit));
        assert_eq!(parse_duration("-5s"), Err(QuantityError::NoNumber));
        assert_eq!(
            parse_duration("1w"),
            Err(QuantityError::UnknownUnit("d, h, m, s, ms".to_owned()))
        );
    }

    #[test]
    fn sizes_are_binary_or_decimal() {
        assert_eq!(parse_size("100B"), Ok(100));
        assert_eq!(parse_size("32KiB"), Ok(32 * KIB));
        assert_eq!(parse_size("1MiB"), Ok(MIB));
        assert_eq!(parse_size("1GiB"), Ok(GIB));
        assert_eq!(parse_size("3KB"), Ok(3000));
        assert_eq!(parse_size("2MB"), Ok(2_000_000));
        assert_eq!(parse_size("1GB"), Ok(1_000_000_000));
        assert_eq!(parse_size("1"), Err(QuantityError::NoUnit));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(parse_size("99999999999GiB"), Err(QuantityError::TooLarge));
        assert_eq!(
            parse_duration("99999999999999999999999ms"),
            Err(QuantityError::TooLarge)
        );
    }

    #[test]
    fn quantities_are_shown_in_their_largest_unit() {
        assert_eq!(show_size(1536), "1536B");
        assert_eq!(show_size(1 << 20), "1MiB");
        assert_eq!(show_size(0), "0B");
        assert_eq!(show_duration(Duration::from_millis(1500)), "1500ms");
        assert_eq!(show_duration(HOUR), "1h");
        assert_eq!(show_duration(Duration::ZERO), "0s");
    }
}
