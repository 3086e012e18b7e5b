//! Conditions a request makes (RFC 9110, section 13).

use std::time::SystemTime;

use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};
use http::{HeaderMap, HeaderValue};

use super::tag::{EntityTag, listed};

/// What a client has, and what it wants to be told of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Preconditions {
    if_match: Vec<HeaderValue>,
    if_none_match: Vec<HeaderValue>,
    if_unmodified_since: Option<SystemTime>,
    if_modified_since: Option<SystemTime>,
    if_range: Option<HeaderValue>,
}

/// What is known of a file, to hold conditions against.
pub(super) struct Validators<'e> {
    pub(super) tag: &'e EntityTag,
    /// In whole seconds.
    pub(super) modified: Option<SystemTime>,
}

/// What the conditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

impl Preconditions {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let all = |name| headers.get_all(name).iter().cloned().collect();
        Self {
            if_match: all(IF_MATCH),
            if_none_match: all(IF_NONE_MATCH),
            if_unmodified_since: date(headers, &IF_UNMODIFIED_SINCE),
            if_modified_since: date(headers, &IF_MODIFIED_SINCE),
            if_range: headers.get(IF_RANGE).cloned(),
        }
    }

    /// In the order of section 13.2.2, for GET and HEAD.
    pub(super) fn verdict(&self, file: &Validators<'_>) -> Verdict {
        let unchanged_since = |since| file.modified.is_some_and(|modified| modified <= since);
        if !self.if_match.is_empty() {
            if !listed(&self.if_match, |tag| tag.is_same(file.tag)) {
                return Verdict::Failed;
            }
        } else if self
            .if_unmodified_since
            .is_some_and(|s| !unchanged_since(s))
        {
            return Verdict::Failed;
        }
        let has_it = match self.if_none_match.is_empty() {
            false => listed(&self.if_none_match, |tag| tag.is_equivalent(file.tag)),
            true => self.if_modified_since.is_some_and(unchanged_since),
        };
        match has_it {
            true => Verdict::NotModified,
            false => Verdict::Proceed,
        }
    }

    /// Whether a part is of use: what the client has of the file is of the same bytes.
    pub(super) fn wants_part(&self, file: &Validators<'_>) -> bool {
        let Some(condition) = &self.if_range else {
            return true;
        };
        if let Some(tag) = EntityTag::parse(condition) {
            return tag.is_same(file.tag);
        }
        let date = condition.to_str().ok();
        let date = date.and_then(|text| httpdate::parse_http_date(text).ok());
        // A date says as little as a weak tag while the file may still change within a second.
        date.is_some() && date == file.modified && !file.tag.is_weak()
    }
}

/// A date that is there once, and one.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next()?, values.next());
    let text = first.to_str().ok().filter(|_| second.is_none())?;
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BEFORE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
    const THEN: &str = "Thu, 01 Jan 2026 00:00:01 GMT";
    const LATER: &str = "Thu, 01 Jan 2026 00:00:02 GMT";

    fn with(fields: &[(&'static str, &str)]) -> Preconditions {
        let fields = fields.iter();
        let fields = fields.map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        });
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        Preconditions::of(&headers)
    }

    fn file(tag: &str) -> (EntityTag, Option<SystemTime>) {
        let tag = EntityTag::parse(&HeaderValue::from_str(tag).unwrap()).unwrap();
        (tag, httpdate::parse_http_date(THEN).ok())
    }

    fn verdict(fields: &[(&'static str, &str)]) -> Verdict {
        let (tag, modified) = file("\"a\"");
        with(fields).verdict(&Validators {
            tag: &tag,
            modified,
        })
    }

    #[test]
    fn conditions_are_held_against_the_file_in_their_order() {
        use Verdict::{Failed, NotModified, Proceed};
        const IM: &str = "if-match";
        const INM: &str = "if-none-match";
        const IMS: &str = "if-modified-since";
        const IUS: &str = "if-unmodified-since";
        for (fields, expected) in [
            (&[][..], Proceed),
            (&[(INM, "\"a\"")], NotModified),
            (&[(INM, "W/\"a\"")], NotModified),
            (&[(INM, "\"b\", \"a\"")], NotModified),
            (&[(INM, "\"b\""), (INM, "\"a\"")], NotModified),
            (&[(INM, "*")], NotModified),
            (&[(INM, "\"b\"")], Proceed),
            (&[(INM, "\"b\""), (IMS, LATER)], Proceed),
            (&[(INM, "\"a\""), (IMS, BEFORE)], NotModified),
            (&[(IMS, THEN)], NotModified),
            (&[(IMS, LATER)], NotModified),
            (&[(IMS, BEFORE)], Proceed),
            (&[(IMS, "yesterday")], Proceed),
            (&[(IMS, THEN), (IMS, THEN)], Proceed),
            (&[(IM, "\"a\"")], Proceed),
            (&[(IM, "*")], Proceed),
            (&[(IM, "\"b\"")], Failed),
            (&[(IM, "W/\"a\"")], Failed),
            (&[(IM, "\"a\""), (IUS, BEFORE)], Proceed),
            (&[(IM, "\"a\""), (INM, "\"a\"")], NotModified),
            (&[(IM, "\"b\""), (INM, "\"a\"")], Failed),
            (&[(IUS, BEFORE)], Failed),
            (&[(IUS, THEN)], Proceed),
            (&[(IUS, LATER)], Proceed),
            (&[(IUS, "never")], Proceed),
            (&[(IUS, BEFORE), (INM, "\"a\"")], Failed),
        ] {
            assert_eq!(verdict(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_part_is_sent_of_what_the_client_has() {
        let wants = |tag: &str, condition: &str| {
            let (tag, modified) = file(tag);
            with(&[("if-range", condition)]).wants_part(&Validators {
                tag: &tag,
                modified,
            })
        };
        assert!(wants("\"a\"", "\"a\"") && wants("\"a\"", THEN));
        for condition in ["\"b\"", "W/\"a\"", BEFORE, LATER, "a", "*"] {
            assert!(!wants("\"a\"", condition), "{condition}");
        }
        assert!(!wants("W/\"a\"", "W/\"a\"") && !wants("W/\"a\"", THEN));
    }

    #[test]
    fn without_a_date_nothing_is_known_to_be_unchanged() {
        let (tag, _) = file("\"a\"");
        let file = Validators {
            tag: &tag,
            modified: None,
        };
        let long_after = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(9));
        let since = with(&[("if-modified-since", &long_after)]);
        assert_eq!(since.verdict(&file), Verdict::Proceed);
    }
}
