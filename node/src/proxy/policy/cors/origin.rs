//! Where a page may come from.

use std::str::FromStr;

use url::Url;

/// An origin, or several, as a configuration names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// Every one.
    Any,
    /// This one, as browsers write it.
    Exact(Box<str>),
    /// All with this scheme, whose host and port end like this, dot included.
    Below {
        /// With its `://`.
        scheme: Box<str>,
        /// Begins with a dot.
        ending: Box<str>,
    },
}

/// Why a text is not an [`AllowedOrigin`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// No scheme, or more than scheme, host and port.
    #[error("not an origin")]
    Form,
    /// Browsers would never write it like that.
    #[error("browsers write it {0:?}")]
    NotNormal(String),
    /// Whoever wants to can have it.
    #[error("every page can make itself one of \"null\"")]
    Null,
}

// === impl AllowedOrigin ===

impl AllowedOrigin {
    /// Whether this is, or is among, the origin `text`.
    pub(super) fn covers(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(origin) => **origin == *text,
            Self::Below { scheme, ending } => {
                let labels = text
                    .strip_prefix(&**scheme)
                    .and_then(|host| host.strip_suffix(&**ending));
                let is_name = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.';
                labels.is_some_and(|labels| !labels.is_empty() && labels.bytes().all(is_name))
            }
        }
    }
}

impl FromStr for AllowedOrigin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        match text {
            "*" => return Ok(Self::Any),
            "null" => return Err(OriginError::Null),
            _ => {}
        }
        let (scheme, host) = text.split_once("://").ok_or(OriginError::Form)?;
        let Some(below) = host.strip_prefix("*.") else {
            return Ok(Self::Exact(normal(text)?.into()));
        };
        let normal = normal(&format!("{scheme}://{below}"))?;
        let ending = normal.split_once("://").map_or("", |(_, host)| host);
        Ok(Self::Below {
            scheme: format!("{scheme}://").into(),
            ending: format!(".{ending}").into(),
        })
    }
}

/// The text, if it is an origin and written like one.
fn normal(text: &str) -> Result<String, OriginError> {
    if text.contains('*') {
        // Only before a dot does it stand for something.
        return Err(OriginError::Form);
    }
    let url = Url::parse(text).map_err(|_| OriginError::Form)?;
    let origin = url.origin();
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !origin.is_tuple() || !bare || !url.username().is_empty() || url.password().is_some() {
        return Err(OriginError::Form);
    }
    let written = origin.ascii_serialization();
    match written == text {
        true => Ok(written),
        false => Err(OriginError::NotNormal(written)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(allowed: &str, origin: &str) -> bool {
        let allowed: AllowedOrigin = allowed.parse().expect("an origin");
        allowed.covers(origin)
    }

    #[test]
    fn an_origin_is_itself_and_nothing_like_it() {
        assert!(covers("https://a.example", "https://a.example"));
        for other in [
            "http://a.example",
            "https://a.example:8443",
            "https://a.example.evil",
            "https://evil.a.example",
            "https://A.example",
            "null",
            "",
        ] {
            assert!(!covers("https://a.example", other), "{other}");
        }
    }

    #[test]
    fn a_star_alone_is_no_host() {
        for text in [
            "https://*",
            "https://a.*",
            "https://*a.example",
            "https://*.*.example",
        ] {
            assert_eq!(
                text.parse::<AllowedOrigin>(),
                Err(OriginError::Form),
                "{text}"
            );
        }
    }

    #[test]
    fn a_wildcard_is_one_or_more_labels() {
        let allowed = "https://*.a.example:8443";
        assert!(covers(allowed, "https://x.a.example:8443"));
        assert!(covers(allowed, "https://x.y.a.example:8443"));
        for other in [
            "https://a.example:8443",
            "https://.a.example:8443",
            "https://xa.example:8443",
            "https://x.a.example",
            "http://x.a.example:8443",
            "https://evil/x.a.example:8443",
            "https://evil:1@x.a.example:8443",
        ] {
            assert!(!covers(allowed, other), "{other}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        let error = |text: &str| text.parse::<AllowedOrigin>().err();
        for text in [
            "",
            "a.example",
            "https://",
            "https://a/b",
            "https://u@a",
            "data:x",
            "https://a?b",
        ] {
            assert_eq!(error(text), Some(OriginError::Form), "{text}");
        }
        assert_eq!(error("null"), Some(OriginError::Null));
        for (text, normal) in [
            ("https://A.example", "https://a.example"),
            ("https://a.example/", "https://a.example"),
            ("https://a.example:443", "https://a.example"),
            ("http://bücher.example", "http://xn--bcher-kva.example"),
        ] {
            assert_eq!(error(text), Some(OriginError::NotNormal(normal.to_owned())));
        }
        assert!(covers("http://localhost:3000", "http://localhost:3000"));
    }
}
