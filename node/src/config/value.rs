//! One value of the file, read as the type it should have. Each method reports what is wrong and
//! then answers `None`.

use std::{fmt::Display, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration};

use toml::de::{DeInteger, DeValue};

use super::{
    context::{Context, Spot},
    environment::expand,
    places::{join, quoted},
    quantity::{parse_duration, parse_size, show_duration, show_size},
    section::Section,
};

/// A value and where it is.
pub(super) struct Value<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) spot: Spot,
    pub(super) inner: &'a DeValue<'a>,
}

// === impl Value ===

impl<'a> Value<'a> {
    /// Reports something wrong with this value.
    pub(super) fn wrong(&self, message: impl Display, remedy: impl Display) {
        self.context.wrong(&self.spot, message, remedy);
    }

    /// The text, its variables replaced.
    pub(super) fn string(&self) -> Option<String> {
        self.string_or("write it in quotes")
    }

    fn string_or(&self, remedy: &str) -> Option<String> {
        let DeValue::String(text) = self.inner else {
            self.wrong_type("a string", remedy);
            return None;
        };
        expand(text, self.context.environment)
            .map_err(|error| self.wrong(&error, error.remedy()))
            .ok()
    }

    /// What `parse` makes of the text. The message shows the value as the file has it: what
    /// variables put in it may be secret.
    pub(super) fn parsed_by<T, E: Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
        remedy: impl Display,
    ) -> Option<T> {
        let remedy = remedy.to_string();
        let text = self.string_or(&remedy)?;
        parse(&text)
            .map_err(|error| self.wrong(format!("{}: {error}", self.shown()), remedy))
            .ok()
    }

    /// [`Self::parsed_by`] the type itself.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, remedy: impl Display) -> Option<T> {
        self.parsed_by(T::from_str, remedy)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let quoted: Vec<_> = words.iter().map(|(word, _)| quoted(word)).collect();
        let remedy = format!("write {}", quoted.join(" or "));
        let text = self.string_or(&remedy)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            self.wrong(format!("{} is not known here", self.shown()), remedy);
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// Yes or no.
    pub(super) fn boolean(&self) -> Option<bool> {
        let DeValue::Boolean(value) = self.inner else {
            self.wrong_type("a boolean", "write true or false, without quotes");
            return None;
        };
        Some(*value)
    }

    /// A file or folder; relative ones start from the folder of the configuration.
    pub(super) fn path(&self) -> Option<PathBuf> {
        const REMEDY: &str = "write a path; a relative one starts from this file's folder";
        let text = self.string_or(REMEDY)?;
        if text.is_empty() {
            self.wrong("the path is empty", REMEDY);
            return None;
        }
        Some(self.context.base.join(text))
    }

    /// A whole number.
    pub(super) fn integer(&self, range: &RangeInclusive<u64>, example: u64) -> Option<u64> {
        let (least, most) = range.clone().into_inner();
        let remedy = format!("write an integer from {least} to {most}, such as {example}");
        let DeValue::Integer(written) = self.inner else {
            self.wrong_type("an integer", &remedy);
            return None;
        };
        let number = to_u64(written).filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong(format!("{} is out of range", self.shown()), remedy);
        }
        number
    }

    /// A part of a whole, above 0 and at most 1.
    pub(super) fn share(&self) -> Option<f64> {
        const REMEDY: &str = "write a number above 0 and at most 1, such as 0.5";
        let text = match self.inner {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) => number.as_str(),
            _ => {
                self.wrong_type("a number", REMEDY);
                return None;
            }
        };
        let share = text
            .parse()
            .ok()
            .filter(|share| *share > 0.0 && *share <= 1.0);
        if share.is_none() {
            self.wrong(format!("{} is out of range", self.shown()), REMEDY);
        }
        share
    }

    pub(super) fn is_string(&self) -> bool {
        matches!(self.inner, DeValue::String(_))
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.inner, DeValue::Table(_))
    }

    /// Whether it is a table with this key, be its value right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        matches!(self.inner, DeValue::Table(table) if table.contains_key(key))
    }

    /// A duration.
    pub(super) fn duration(
        &self,
        range: &RangeInclusive<Duration>,
        example: Duration,
    ) -> Option<Duration> {
        let remedy = format!(
            "write a duration from \"{}\" to \"{}\", such as \"{}\"",
            show_duration(*range.start()),
            show_duration(*range.end()),
            show_duration(example),
        );
        self.quantity("a duration", parse_duration, range, &remedy)
    }

    /// A size in bytes.
    pub(super) fn size(&self, range: &RangeInclusive<u64>, example: u64) -> Option<u64> {
        let remedy = format!(
            "write a size from \"{}\" to \"{}\", such as \"{}\"",
            show_size(*range.start()),
            show_size(*range.end()),
            show_size(example),
        );
        self.quantity("a size", parse_size, range, &remedy)
    }

    fn quantity<T: PartialOrd, E: Display>(
        &self,
        noun: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
        range: &RangeInclusive<T>,
        remedy: &str,
    ) -> Option<T> {
        if !matches!(self.inner, DeValue::String(_)) {
            self.wrong_type(noun, remedy);
            return None;
        }
        let text = self.string()?;
        let message = match parse(&text) {
            Ok(amount) if range.contains(&amount) => return Some(amount),
            Ok(_) => format!("{} is out of range", self.shown()),
            Err(error) => format!("{} is not {noun}: {error}", self.shown()),
        };
        self.wrong(message, remedy);
        None
    }

    /// The elements of an array.
    pub(super) fn items(&self, remedy: &str) -> Vec<Self> {
        let DeValue::Array(items) = self.inner else {
            self.wrong_type("an array", remedy);
            return Vec::new();
        };
        let numbered = items.iter().enumerate();
        numbered
            .map(|(at, item)| Self {
                context: self.context,
                spot: Spot {
                    path: format!("{}[{at}]", self.spot.path),
                    offset: item.span().start,
                },
                inner: item.get_ref(),
            })
            .collect()
    }

    /// The entries of a table whose keys are the user's.
    pub(super) fn entries(&self, remedy: &str) -> Vec<(&'a str, Self)> {
        let DeValue::Table(table) = self.inner else {
            self.wrong_type("a table", remedy);
            return Vec::new();
        };
        let entries = table.iter().map(|(key, value)| {
            let value = Self {
                context: self.context,
                spot: Spot {
                    path: join(&self.spot.path, key.get_ref()),
                    offset: value.span().start,
                },
                inner: value.get_ref(),
            };
            (key.get_ref().as_ref(), value)
        });
        entries.collect()
    }

    /// A table whose keys are known; those that `read` does not ask for are reported.
    pub(super) fn table<T>(
        &self,
        remedy: &str,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        let DeValue::Table(table) = self.inner else {
            self.wrong_type("a table", remedy);
            return None;
        };
        let mut section = Section::new(self.context, self.spot.clone(), Some(table));
        let result = read(&mut section);
        section.refuse_unknown();
        Some(result)
    }

    /// Reports that this is not `expected`.
    pub(super) fn wrong_type(&self, expected: &str, remedy: &str) {
        let message = format!("expected {expected}, found {}", self.described());
        self.wrong(message, remedy);
    }

    /// The value as the file has it, short and on one line.
    pub(super) fn shown(&self) -> String {
        match self.inner {
            DeValue::String(text) => quoted(text),
            DeValue::Integer(number) => shortened(&number.to_string()),
            DeValue::Float(number) => shortened(&number.to_string()),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) => "a date or time".to_owned(),
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }

    fn described(&self) -> String {
        match self.inner {
            DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                format!("{} {}", self.inner.type_str(), self.shown())
            }
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => self.shown(),
        }
    }
}

fn shortened(number: &str) -> String {
    const LONGEST: usize = 40;
    match number.get(..LONGEST) {
        Some(start) if number.len() > LONGEST => format!("{start}…"),
        _ => number.to_owned(),
    }
}

fn to_u64(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}
