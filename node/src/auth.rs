//! Who is asking: passwords and tokens that a route wants to see before it does anything.
//!
//! What a request presents is read from its header, and judged; what is expensive about that is done
//! on threads of its own, or kept for a while.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

mod basic;
mod jwks;
mod jwt;
mod keys;
mod token;
mod users;
mod verifier;

pub use basic::BasicAuth;
pub use jwks::{KeyLocation, KeySource, KeySourceError};
pub use jwt::{Jwt, JwtSettings, TokenPlace};
pub use keys::Algorithm;
pub use users::{Hash, HashError, Users, UsersError};
pub use verifier::Verifier;

/// The longest credentials that are looked at, in bytes.
const LONGEST: usize = 16 * 1024;

/// How clients of a route say who they are.
#[derive(Debug)]
pub enum Login {
    /// By name and password.
    Basic(BasicAuth),
    /// By a token that somebody else has signed.
    Jwt(Jwt),
}

/// What a request came with.
#[derive(Debug)]
pub enum Presented {
    /// A name and a password.
    Password(String, Vec<u8>),
    /// A token.
    Token(String),
}

/// What the upstream is told of who it is: these headers, or none of that name.
pub type Identity = Vec<(HeaderName, Option<HeaderValue>)>;

/// Why a request may not go on.
#[derive(Debug)]
pub enum Refusal {
    /// It must come again, with credentials: with such.
    Unauthorized(HeaderValue),
    /// Too many wrong passwords from there.
    TooMany(Duration),
    /// Nobody has time to look, or nothing to look with.
    Overloaded,
}

impl Login {
    /// What a request says about who it is from.
    ///
    /// # Errors
    /// When it says nothing, or nothing of the right form.
    pub fn read(&self, headers: &HeaderMap) -> Result<Presented, Refusal> {
        match self {
            Self::Basic(basic) => basic.read(headers),
            Self::Jwt(jwt) => jwt.read(headers),
        }
    }

    /// Whether it is true; `client` stands for whoever asks.
    ///
    /// # Errors
    /// When it is not, or nobody can say now.
    pub async fn judge(&self, presented: Presented, client: &str) -> Result<Identity, Refusal> {
        match (self, presented) {
            (Self::Basic(basic), Presented::Password(user, password)) => {
                basic.judge(&user, password, client).await?;
                Ok(Identity::new())
            }
            (Self::Jwt(jwt), Presented::Token(token)) => jwt.judge(&token).await,
            (Self::Basic(_), Presented::Token(_)) | (Self::Jwt(_), Presented::Password(..)) => {
                Err(Refusal::Overloaded)
            }
        }
    }
}

/// What follows `scheme` in the one `Authorization` field; two of them are none.
fn credentials<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let text = field.to_str().ok().filter(|text| text.len() <= LONGEST)?;
    let (own, rest) = text.split_once(' ')?;
    own.eq_ignore_ascii_case(scheme)
        .then_some(rest.trim_matches(' '))
}
