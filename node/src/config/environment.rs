//! `${NAME}` and `${NAME:-default}` in string values. `$${` is a literal `${`; any other `$` is
//! itself.

/// Looks a variable of the environment up.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a text could not be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    #[error("the environment variable {0} is not set")]
    Unset(String),
    #[error("\"${{\" is not closed")]
    Unclosed,
    #[error("\"${{…}}\" does not name an environment variable")]
    Name,
}

/// Replaces every variable of `text`. As in a shell, the default stands in for a variable that is
/// unset or empty; values are not expanded again.
pub(super) fn expand(text: &str, environment: Environment<'_>) -> Result<String, ExpandError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let after = &from[2..];
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let (variable, tail) = after.split_once('}').ok_or(ExpandError::Unclosed)?;
        expanded.push_str(before);
        expanded.push_str(&value(variable, environment)?);
        rest = tail;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn value(variable: &str, environment: Environment<'_>) -> Result<String, ExpandError> {
    let (name, default) = match variable.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (variable, None),
    };
    if !is_variable_name(name) {
        return Err(ExpandError::Name);
    }
    match (environment(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(ExpandError::Unset(name.to_owned())),
    }
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

// === impl ExpandError ===

impl ExpandError {
    /// What would be right instead.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::Unset(name) => {
                format!("set it, or give a default as in \"${{{name}:-default}}\"")
            }
            Self::Unclosed => {
                "close it with \"}\", or write \"$${\" for a literal \"${\"".to_owned()
            }
            Self::Name => {
                "write \"${NAME}\" or \"${NAME:-default}\", or \"$${\" for a literal \"${\""
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, ExpandError> {
        expand(text, &|name| match name {
            "HOST" => Some("example.com".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn variables_are_replaced_wherever_they_stand() {
        assert_eq!(
            expanded("a ${HOST} b ${HOST}").as_deref(),
            Ok("a example.com b example.com")
        );
        assert_eq!(
            expanded("no variables, $5 and $HOST").as_deref(),
            Ok("no variables, $5 and $HOST")
        );
    }

    #[test]
    fn a_default_stands_in_for_what_is_unset_or_empty() {
        assert_eq!(expanded("${NONE:-x}").as_deref(), Ok("x"));
        assert_eq!(expanded("${NONE:-}").as_deref(), Ok(""));
        assert_eq!(expanded("${EMPTY:-x}").as_deref(), Ok("x"));
        assert_eq!(expanded("${HOST:-x}").as_deref(), Ok("example.com"));
        assert_eq!(expanded("${EMPTY}").as_deref(), Ok(""));
    }

    #[test]
    fn unset_without_default_is_an_error() {
        assert_eq!(
            expanded("${NONE}"),
            Err(ExpandError::Unset("NONE".to_owned()))
        );
    }

    #[test]
    fn a_doubled_dollar_is_literal() {
        assert_eq!(
            expanded("$${HOST} ${HOST}").as_deref(),
            Ok("${HOST} example.com")
        );
    }

    #[test]
    fn values_are_not_expanded_again() {
        assert_eq!(expanded("${NESTED}").as_deref(), Ok("${HOST}"));
    }

    #[test]
    fn malformed_variables_are_errors() {
        assert_eq!(expanded("${HOST"), Err(ExpandError::Unclosed));
        assert_eq!(expanded("${}"), Err(ExpandError::Name));
        assert_eq!(expanded("${1A}"), Err(ExpandError::Name));
        assert_eq!(expanded("${a b}"), Err(ExpandError::Name));
    }
}
