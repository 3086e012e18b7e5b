//! Tokens of an issuer: RFC 6750 and RFC 7519.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tracing::debug;

use super::jwks::{KeyLocation, KeySource};
use super::keys::{Algorithm, KeySet};
use super::token::{Claims, Expected, Token, TokenError};
use super::{Identity, LONGEST, Presented, Refusal, credentials};
use crate::cookie;

/// The longest claim that the upstream is told, in bytes.
const LONGEST_CLAIM: usize = 4096;

/// What a route asks of tokens (`jwt`).
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// Who must have issued them.
    pub issuer: String,
    /// Whom they must be for: one of these; empty: tokens that are for nobody in particular.
    pub audience: Vec<String>,
    /// Where the issuer's keys are.
    pub keys: KeyLocation,
    /// How they may be signed.
    pub algorithms: Vec<Algorithm>,
    /// How far the issuer's clock may be from the node's.
    pub leeway: Duration,
    /// Where in a request they are.
    pub place: TokenPlace,
    /// Headers in which the upstream is told of claims.
    pub claims: Vec<(HeaderName, String)>,
}

/// Where in a request a token is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenPlace {
    /// `Authorization: Bearer …`.
    #[default]
    Bearer,
    /// The cookie of this name.
    Cookie(String),
}

/// Lets in who has a token of the issuer.
#[derive(Debug)]
pub struct Jwt {
    settings: JwtSettings,
    keys: Arc<KeySource>,
}

impl Jwt {
    /// With keys from where the settings say.
    pub fn new(settings: JwtSettings, keys: Arc<KeySource>) -> Self {
        Self { settings, keys }
    }

    pub(super) fn read(&self, headers: &HeaderMap) -> Result<Presented, Refusal> {
        let token = match &self.settings.place {
            TokenPlace::Bearer => credentials(headers, "bearer"),
            TokenPlace::Cookie(name) => from_cookie(headers, name),
        };
        match token.filter(|token| !token.is_empty()) {
            Some(token) => Ok(Presented::Token(token.to_owned())),
            // RFC 6750, section 3.1: who said nothing is not told of errors.
            None => Err(Refusal::Unauthorized(HeaderValue::from_static("Bearer"))),
        }
    }

    pub(super) async fn judge(&self, token: &str) -> Result<Identity, Refusal> {
        const INVALID: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        let invalid = |cause: TokenError| {
            debug!(issuer = self.settings.issuer, %cause, "a token was refused");
            Refusal::Unauthorized(INVALID)
        };
        let token = Token::read(token, &self.settings.algorithms).map_err(invalid)?;
        let keys = self.keys(&token).await?;
        let claims = token.claims(&keys).map_err(invalid)?;
        self.expected().check(&claims).map_err(invalid)?;
        self.identity(&claims).map_err(invalid)
    }

    /// The issuer's keys: newer ones, if the token was signed with one that is not among them.
    async fn keys(&self, token: &Token<'_>) -> Result<Arc<KeySet>, Refusal> {
        let keys = self.keys.current().await.ok_or(Refusal::Overloaded)?;
        match &token.key {
            Some(id) if !keys.knows(id) => Ok(self.keys.newer(keys).await),
            _ => Ok(keys),
        }
    }

    fn expected(&self) -> Expected<'_> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Expected {
            issuer: &self.settings.issuer,
            audience: &self.settings.audience,
            leeway: self.settings.leeway,
            // A clock before 1970 takes nothing for valid.
            now: now.map_or(f64::INFINITY, |now| now.as_secs_f64()),
        }
    }

    fn identity(&self, claims: &Claims) -> Result<Identity, TokenError> {
        let told = self.settings.claims.iter().map(|(header, claim)| {
            let value = claims.get(claim).filter(|claim| !claim.is_null());
            let value = value.map(value_of).transpose()?;
            Ok((header.clone(), value))
        });
        told.collect()
    }
}

/// Text as it is, everything else as JSON.
fn value_of(claim: &Value) -> Result<HeaderValue, TokenError> {
    let text = match claim {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.len() > LONGEST_CLAIM {
        return Err(TokenError::Claim);
    }
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| TokenError::Claim)
}

/// The cookie of this name, if there is one and not another that could be meant.
fn from_cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let mut found = cookie::values(lines, name);
    let (Some(value), None) = (found.next(), found.next()) else {
        return None;
    };
    let value = Some(value).filter(|value| value.len() <= LONGEST)?;
    str::from_utf8(value).ok()
}
