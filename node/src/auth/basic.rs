//! Names and passwords: RFC 7617.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};

use super::verifier::{PAUSE, Verifier, Wrong};
use super::{Presented, Refusal, Users, credentials};

/// Lets in who has the password of one of its users.
#[derive(Debug)]
pub struct BasicAuth {
    users: Users,
    challenge: HeaderValue,
    verifier: Arc<Verifier>,
}

impl BasicAuth {
    /// For the users of `realm`, in which no quotes and backslashes may be.
    pub fn new(realm: &str, users: Users, verifier: Arc<Verifier>) -> Self {
        let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
        let challenge = HeaderValue::from_str(&challenge);
        Self {
            users,
            challenge: challenge.unwrap_or(HeaderValue::from_static("Basic realm=\"\"")),
            verifier,
        }
    }

    pub(super) fn read(&self, headers: &HeaderMap) -> Result<Presented, Refusal> {
        read(headers).ok_or_else(|| self.refusal())
    }

    pub(super) async fn judge(
        &self,
        user: &str,
        password: Vec<u8>,
        client: &str,
    ) -> Result<(), Refusal> {
        let hash = self.users.hash(user);
        match self.verifier.verify((user, hash), password, client).await? {
            Ok(()) => Ok(()),
            Err(Wrong::Password) => Err(self.refusal()),
            Err(Wrong::TooOften) => Err(Refusal::TooMany(Duration::from_secs(PAUSE.into()))),
        }
    }

    fn refusal(&self) -> Refusal {
        Refusal::Unauthorized(self.challenge.clone())
    }
}

fn read(headers: &HeaderMap) -> Option<Presented> {
    let decoded = STANDARD.decode(credentials(headers, "basic")?).ok()?;
    let at = decoded.iter().position(|byte| *byte == b':')?;
    let (user, password) = decoded.split_at(at);
    let user = String::from_utf8(user.to_vec()).ok()?;
    Some(Presented::Password(user, password[1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::AUTHORIZATION;

    fn user(fields: &[&str]) -> Option<(String, Vec<u8>)> {
        let field = |text: &&str| (AUTHORIZATION, HeaderValue::from_str(text).expect("a value"));
        match read(&fields.iter().map(field).collect())? {
            Presented::Password(user, password) => Some((user, password)),
            Presented::Token(_) => None,
        }
    }

    #[test]
    fn a_password_may_have_colons_and_a_name_not() {
        let encoded = STANDARD.encode("ada:a:b");
        for scheme in ["Basic", "basic", "BASIC "] {
            let read = user(&[&format!("{scheme} {encoded}")]);
            assert_eq!(read, Some(("ada".to_owned(), b"a:b".to_vec())));
        }
    }

    #[test]
    fn what_is_malformed_or_comes_twice_is_nobody() {
        let good = format!("Basic {}", STANDARD.encode("ada:a"));
        let nameless = format!("Basic {}", STANDARD.encode("ada"));
        assert_eq!(user(&[&good, &good]), None);
        for field in [
            "",
            "Basic",
            "Basic ?",
            "Bearer YTpi",
            "Basic YTpi YTpi",
            &nameless,
        ] {
            assert_eq!(user(&[field]), None, "{field}");
        }
        let long = format!("Basic {}", STANDARD.encode("a:".repeat(20_000)));
        assert_eq!(user(&[&long]), None);
    }
}
