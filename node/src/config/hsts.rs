//! `hsts` of `[[routes]]`.

use std::time::Duration;

use http::HeaderValue;

use super::section::Section;

const TABLE: &str = "write a table such as { max_age = \"365d\", include_subdomains = true }";
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Past this it is a slip of the finger.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// For how long browsers use nothing but TLS (RFC 6797).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// From each answer on, in whole seconds; zero takes it back.
    pub max_age: Duration,
    /// For the names below the host, too.
    pub include_subdomains: bool,
    /// Whether browsers may be delivered with it.
    pub preload: bool,
}

// === impl Hsts ===

impl Hsts {
    /// The value of the header.
    pub fn header(&self) -> HeaderValue {
        let mut text = format!("max-age={}", self.max_age.as_secs());
        if self.include_subdomains {
            text.push_str("; includeSubDomains");
        }
        if self.preload {
            text.push_str("; preload");
        }
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("max-age=0"))
    }
}

pub(super) fn read(section: &mut Section<'_>) -> Option<Hsts> {
    section.take("hsts")?.table(TABLE, |section| {
        let max_age = section.require("max_age", "write a duration such as \"365d\"");
        let include_subdomains = section.switch("include_subdomains");
        let preload = section.take("preload");
        let max_age = max_age?.duration(&(Duration::ZERO..=LONGEST), YEAR)?;
        let wants_preload = preload.as_ref().and_then(|value| value.boolean());
        let wants_preload = wants_preload.unwrap_or(false);
        if let Some(preload) = preload
            && wants_preload
            && !(include_subdomains && max_age >= YEAR)
        {
            preload.wrong(
                "browsers are delivered only with policies for subdomains and at least a year",
                "write include_subdomains = true and a max_age of \"365d\" or more, or remove preload",
            );
        }
        Some(Hsts {
            max_age,
            include_subdomains,
            preload: wants_preload,
        })
    })?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::quantity::DAY;

    #[test]
    fn the_header_says_what_the_table_does() {
        let mut hsts = Hsts {
            max_age: DAY,
            include_subdomains: false,
            preload: false,
        };
        assert_eq!(hsts.header(), "max-age=86400");
        hsts.include_subdomains = true;
        hsts.preload = true;
        assert_eq!(hsts.header(), "max-age=86400; includeSubDomains; preload");
    }
}
