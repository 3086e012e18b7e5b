//! A table with known keys: typed reads with defaults, and what to say about every other key.

use std::{collections::BTreeSet, fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

use toml::de::DeTable;

use super::{
    context::{Context, Spot},
    nearest::{listed, nearest},
    places::join,
    value::Value,
};

/// A table of the file, or one that is absent and so has every default.
///
/// Every key that was asked for is a known key, so the list of known keys cannot differ from what
/// is read.
pub(super) struct Section<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) spot: Spot,
    table: Option<&'a DeTable<'a>>,
    known: Vec<&'static str>,
}

// === impl Section ===

impl<'a> Section<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        spot: Spot,
        table: Option<&'a DeTable<'a>>,
    ) -> Self {
        Self {
            context,
            spot,
            table,
            known: Vec::new(),
        }
    }

    /// The value of `key`, which may be absent.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        self.peek(key)
    }

    /// The same, without making the key a known one.
    pub(super) fn peek(&self, key: &'static str) -> Option<Value<'a>> {
        let value = self.table?.get(key)?;
        Some(Value {
            context: self.context,
            spot: Spot {
                path: join(&self.spot.path, key),
                offset: value.span().start,
            },
            inner: value.get_ref(),
        })
    }

    /// The value of `key`, which must be there. Misspelt, it is reported as unknown only.
    pub(super) fn require(&mut self, key: &'static str, remedy: &str) -> Option<Value<'a>> {
        let value = self.take(key);
        if value.is_none() && !self.misspells(key) {
            let spot = Spot {
                path: join(&self.spot.path, key),
                offset: self.spot.offset,
            };
            self.context.lacks(&spot, "missing", remedy);
        }
        value
    }

    /// Whether the file has `key` here, be its value right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether the file does not have `key` here, but something that was probably meant to be it.
    pub(super) fn misspells(&self, key: &str) -> bool {
        let mut keys = self.table.into_iter().flat_map(DeTable::keys);
        !self.has(key) && keys.any(|given| nearest(given.get_ref(), [key]).is_some())
    }

    /// The names in the table `key`, none if it is absent; `None` if it is no table or misspelt.
    pub(super) fn names_in(&self, key: &str) -> Option<BTreeSet<&'a str>> {
        if self.misspells(key) {
            return None;
        }
        let Some(value) = self.table.and_then(|table| table.get(key)) else {
            return Some(BTreeSet::new());
        };
        let table = value.get_ref().as_table()?;
        Some(table.keys().map(|key| key.get_ref().as_ref()).collect())
    }

    /// The elements of the array `key`; none if it is absent.
    pub(super) fn list(&mut self, key: &'static str, remedy: &str) -> Vec<Value<'a>> {
        self.take(key)
            .map_or_else(Vec::new, |value| value.items(remedy))
    }

    /// The elements of the array `key`, each read by [`Value::parsed`].
    pub(super) fn parsed_list<T: FromStr<Err: Display>>(
        &mut self,
        key: &'static str,
        remedy: &str,
    ) -> Vec<T> {
        let items = self.list(key, &format!("write an array; for each element, {remedy}"));
        let items = items.iter();
        items.filter_map(|item| item.parsed(remedy)).collect()
    }

    /// The entries of the table `key`; none if it is absent.
    pub(super) fn entries(&mut self, key: &'static str, remedy: &str) -> Vec<(&'a str, Value<'a>)> {
        self.take(key)
            .map_or_else(Vec::new, |value| value.entries(remedy))
    }

    /// The table `key`; where it is absent or no table, every key of it has its default.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        let value = self.take(key);
        let (spot, table) = match &value {
            Some(value) => (value.spot.clone(), value.inner.as_table()),
            None => (self.spot.clone(), None),
        };
        if let (Some(value), None) = (&value, table) {
            let remedy = format!("write [{}] and its keys below it", value.spot.path);
            value.wrong_type("a table", &remedy);
        }
        let mut section = Section::new(self.context, spot, table);
        let result = read(&mut section);
        section.refuse_unknown();
        result
    }

    /// A whole number, in a type that holds all of `range`.
    pub(super) fn integer<T: TryFrom<u64> + TryInto<u64> + Copy>(
        &mut self,
        key: &'static str,
        default: T,
        range: RangeInclusive<u64>,
    ) -> T {
        let example = default.try_into().unwrap_or_default();
        self.take(key)
            .and_then(|value| value.integer(&range, example))
            .and_then(|number| T::try_from(number).ok())
            .unwrap_or(default)
    }

    /// A size in bytes, in a type that holds all of `range`.
    pub(super) fn size<T: TryFrom<u64> + TryInto<u64> + Copy>(
        &mut self,
        key: &'static str,
        default: T,
        range: RangeInclusive<u64>,
    ) -> T {
        let example = default.try_into().unwrap_or_default();
        self.take(key)
            .and_then(|value| value.size(&range, example))
            .and_then(|bytes| T::try_from(bytes).ok())
            .unwrap_or(default)
    }

    /// A duration.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        self.take(key)
            .and_then(|value| value.duration(&range, default))
            .unwrap_or(default)
    }

    /// Something that is off unless the file turns it on.
    pub(super) fn switch(&mut self, key: &'static str) -> bool {
        self.take(key)
            .and_then(|value| value.boolean())
            .unwrap_or(false)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        default: T,
        words: &[(&str, T)],
    ) -> T {
        self.take(key)
            .and_then(|value| value.choice(words))
            .unwrap_or(default)
    }

    /// Reports every key of the file that was not asked for.
    pub(super) fn refuse_unknown(&self) {
        let keys = self.table.into_iter().flat_map(DeTable::keys);
        for key in keys.filter(|key| !self.known.contains(&key.get_ref().as_ref())) {
            let spot = Spot {
                path: join(&self.spot.path, key.get_ref()),
                offset: key.span().start,
            };
            let remedy = match nearest(key.get_ref(), self.known.iter().copied()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("known here: {}", listed(self.known.iter().copied())),
            };
            self.context.wrong(&spot, "unknown key", remedy);
        }
    }
}
