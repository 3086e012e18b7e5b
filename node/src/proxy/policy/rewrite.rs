//! What the upstream is asked for in place of the path that was matched.

use http::Uri;
use regex::Regex;

use crate::proxy::action::EncodedSlashes;
use crate::proxy::error::ErrorCode;
use crate::proxy::request;
use crate::route::normal::{PathError, normalise};
use crate::route::{PathPattern, PatternError};

/// How a path is rewritten. The query stays as it is.
#[derive(Clone, Debug)]
pub enum Rewrite {
    /// Without these first segments, where it has them.
    StripPrefix(Box<str>),
    /// This one.
    Fixed(Box<str>),
    /// What the expression finds first is replaced.
    Replace(Regex, Box<str>),
}

/// Why a rewrite cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RewriteError {
    /// No path of a request looks like that.
    #[error(transparent)]
    Path(#[from] PathError),
    /// What is forwarded is in normal form, so it would be something else.
    #[error("path is not in its normal form: write {0:?}")]
    NotNormal(String),
    /// A prefix of all paths.
    #[error("nothing is left to strip")]
    Root,
    /// The query of the request is kept.
    #[error("it has a query, but that of the request is kept")]
    Query,
    /// The expression does not compile, or needs too much memory.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The replacement names something that the expression does not capture.
    #[error("the expression captures no group {0:?}")]
    Group(String),
}

// === impl Rewrite ===

impl Rewrite {
    /// Strips the prefix `path`, on the border of a segment. A trailing slash makes no difference.
    ///
    /// # Errors
    /// A path that no normal path can begin with.
    pub fn strip_prefix(path: &str) -> Result<Self, RewriteError> {
        let normal = normal(path)?;
        match normal.strip_suffix('/').unwrap_or(normal) {
            "" => Err(RewriteError::Root),
            prefix => Ok(Self::StripPrefix(prefix.into())),
        }
    }

    /// Asks for `path`, whatever was asked for.
    ///
    /// # Errors
    /// What is no normal path.
    pub fn fixed(path: &str) -> Result<Self, RewriteError> {
        if path.contains('?') {
            return Err(RewriteError::Query);
        }
        Ok(Self::Fixed(normal(path)?.into()))
    }

    /// Puts `replacement` in the place of what `expression` finds first, with `$1` and `$name`
    /// for what its groups have captured.
    ///
    /// # Errors
    /// An expression that is no `path_regex`, or a group that it has not.
    pub fn replace(expression: &str, replacement: &str) -> Result<Self, RewriteError> {
        if replacement.contains('?') {
            return Err(RewriteError::Query);
        }
        let expression = PathPattern::compile(expression)?;
        check_groups(&expression, replacement)?;
        Ok(Self::Replace(expression, replacement.into()))
    }

    /// Path and query to ask for; `None` where nothing changes.
    ///
    /// # Errors
    /// A result that a client could not have asked for either, or a longer one than that.
    pub(in crate::proxy) fn target(
        &self,
        uri: &Uri,
        (slashes, longest): (EncodedSlashes, usize),
    ) -> Result<Option<Uri>, ErrorCode> {
        let path = uri.path();
        let rewritten = match self {
            Self::StripPrefix(prefix) => match path.strip_prefix(&**prefix) {
                Some("") => "/".into(),
                Some(rest) if rest.starts_with('/') => rest.into(),
                _ => return Ok(None),
            },
            Self::Fixed(path) => (&**path).into(),
            Self::Replace(expression, replacement) => expression.replace(path, &**replacement),
        };
        let normal = normalise(&rewritten).map_err(|_| ErrorCode::BadRequest)?;
        if normal.encoded_slash && slashes == EncodedSlashes::Reject {
            return Err(ErrorCode::BadRequest);
        }
        if normal.path == path {
            return Ok(None);
        }
        let target = request::target(&normal.path, uri);
        if target.len() > longest {
            return Err(ErrorCode::UriTooLong);
        }
        let target = Uri::try_from(target).map_err(|_| ErrorCode::BadRequest)?;
        Ok(Some(target))
    }

    /// Whether it can ever change a path of a route with this pattern.
    pub fn concerns(&self, paths: &PathPattern) -> bool {
        let Self::StripPrefix(prefix) = self else {
            return true;
        };
        match paths {
            PathPattern::Exact(path) => is_below(path.as_str(), prefix),
            PathPattern::Prefix(path) => {
                is_below(path.as_str(), prefix) || is_below(prefix, path.as_str())
            }
            PathPattern::Regex(_) => true,
        }
    }
}

fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn normal(path: &str) -> Result<&str, RewriteError> {
    let normal = normalise(path)?.path;
    match normal == path {
        true => Ok(path),
        false => Err(RewriteError::NotNormal(normal.into_owned())),
    }
}

/// The `regex` crate takes a group that does not exist for an empty one.
fn check_groups(expression: &Regex, replacement: &str) -> Result<(), RewriteError> {
    let mut rest = replacement;
    while let Some((_, after)) = rest.split_once('$') {
        rest = after;
        if let Some(after) = after.strip_prefix('$') {
            rest = after;
            continue;
        }
        let name = match after
            .strip_prefix('{')
            .and_then(|name| name.split_once('}'))
        {
            Some((name, _)) => name,
            None => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = after.find(|c| !is_part(c)).unwrap_or(after.len());
                &after[..end]
            }
        };
        let exists = match name.parse::<usize>() {
            Ok(number) => number < expression.captures_len(),
            Err(_) => expression.capture_names().flatten().any(|own| own == name),
        };
        if !exists {
            return Err(RewriteError::Group(name.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: (EncodedSlashes, usize) = (EncodedSlashes::Reject, 100);

    fn rewritten(rewrite: &Rewrite, target: &str) -> Result<String, ErrorCode> {
        let uri: Uri = target.parse().expect("a target");
        let rewritten = rewrite.target(&uri, PLAIN)?;
        Ok(rewritten.unwrap_or(uri).to_string())
    }

    #[test]
    fn a_prefix_is_stripped_on_the_border_of_a_segment() {
        for written in ["/api", "/api/"] {
            let strip = Rewrite::strip_prefix(written).expect("a prefix");
            for (target, expected) in [
                ("/api", "/"),
                ("/api?a=/api", "/?a=/api"),
                ("/api/", "/"),
                ("/api/x/api", "/x/api"),
                ("/apix", "/apix"),
                ("/x/api", "/x/api"),
            ] {
                assert_eq!(rewritten(&strip, target).as_deref(), Ok(expected));
            }
        }
    }

    #[test]
    fn captures_are_put_into_the_replacement() {
        let replace = Rewrite::replace("^/old/(.*)$", "/new/$1").expect("a rewrite");
        assert_eq!(
            rewritten(&replace, "/old/a/b?q").as_deref(),
            Ok("/new/a/b?q")
        );
        assert_eq!(rewritten(&replace, "/other").as_deref(), Ok("/other"));
        let named = Rewrite::replace("^/(?<user>[a-z]+)/", "/u/${user}_/").expect("a rewrite");
        assert_eq!(rewritten(&named, "/ada/x").as_deref(), Ok("/u/ada_/x"));
        let fixed = Rewrite::fixed("/index.html").expect("a rewrite");
        assert_eq!(
            rewritten(&fixed, "/a/b?q=1").as_deref(),
            Ok("/index.html?q=1")
        );
    }

    #[test]
    fn the_result_is_one_that_a_client_could_have_asked_for() {
        let up = Rewrite::replace("^/a(.*)$", "/b/..$1").expect("a rewrite");
        assert_eq!(rewritten(&up, "/a/../x").as_deref(), Ok("/x"));
        assert_eq!(rewritten(&up, "/a").as_deref(), Ok("/"));
        let bare = Rewrite::replace("^/", "").expect("a rewrite");
        assert_eq!(rewritten(&bare, "/a"), Err(ErrorCode::BadRequest));
        let split = Rewrite::replace("%2E|%41", "%2F").expect("a rewrite");
        assert_eq!(rewritten(&split, "/a%41"), Err(ErrorCode::BadRequest));
        let cut = Rewrite::replace("%20", "%").expect("a rewrite");
        assert_eq!(rewritten(&cut, "/a%20"), Err(ErrorCode::BadRequest));
        let longer = Rewrite::replace("^(.*)$", "$1$1$1$1").expect("a rewrite");
        let path = format!("/{}", "a".repeat(50));
        assert_eq!(rewritten(&longer, &path), Err(ErrorCode::UriTooLong));
    }

    #[test]
    fn what_could_never_be_is_refused() {
        assert_eq!(Rewrite::strip_prefix("/").err(), Some(RewriteError::Root));
        assert!(Rewrite::strip_prefix("api").is_err());
        assert!(Rewrite::strip_prefix("/a/../b").is_err());
        assert!(Rewrite::fixed("/a//b").is_err());
        assert_eq!(Rewrite::fixed("/a?b").err(), Some(RewriteError::Query));
        for (replacement, group) in [
            ("/$2", "2"),
            ("/$1x", "1x"),
            ("/${name}", "name"),
            ("/$", ""),
        ] {
            let error = Rewrite::replace("^/(.*)$", replacement).err();
            assert_eq!(error, Some(RewriteError::Group(group.to_owned())));
        }
        assert!(Rewrite::replace("^/(.*)$", "/$$1/$1-").is_ok());
        assert!(Rewrite::replace("(", "/").is_err());
    }

    #[test]
    fn a_prefix_that_no_path_of_the_route_has_is_noticed() {
        let strip = Rewrite::strip_prefix("/api").expect("a prefix");
        let prefix = |path| PathPattern::prefix(path).expect("a path");
        for path in ["/api", "/api/v1", "/"] {
            assert!(strip.concerns(&prefix(path)), "{path}");
        }
        assert!(!strip.concerns(&prefix("/apix")));
        assert!(!strip.concerns(&PathPattern::exact("/other").expect("a path")));
    }
}
