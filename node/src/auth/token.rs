//! One token: a JSON Web Signature in its compact form (RFC 7515), taken apart, and its claims
//! (RFC 7519).

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::keys::{Algorithm, KeySet, decode};

/// Keys that one token is tried with, if it names none: each costs a public-key operation.
const TRIED: usize = 4;

/// What a token says, be it true or not.
#[derive(Debug)]
pub(super) struct Token<'t> {
    pub(super) algorithm: Algorithm,
    pub(super) key: Option<String>,
    signed: &'t str,
    signature: Vec<u8>,
    payload: &'t str,
}

/// Claims of a token whose signature is good.
pub(super) type Claims = Map<String, Value>;

/// What claims have to say.
#[derive(Clone, Debug)]
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e str,
    /// One of these; empty: the token names none.
    pub(super) audience: &'e [String],
    /// How far the clocks may be apart.
    pub(super) leeway: Duration,
    /// Seconds since 1970.
    pub(super) now: f64,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("it is not a signed token")]
    Form,
    #[error("it is signed in a way that is not accepted")]
    Algorithm,
    #[error("its header asks for something that must be understood")]
    Critical,
    #[error("no key of the issuer has signed it")]
    Signature,
    #[error("it has expired, or does not say when it will")]
    Expired,
    #[error("it is not valid yet")]
    Early,
    #[error("it is somebody else's")]
    Issuer,
    #[error("it is for somebody else")]
    Audience,
    #[error("a claim cannot be told to the upstream")]
    Claim,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

// === impl Token ===

impl<'t> Token<'t> {
    /// Takes a token apart; only these algorithms are looked at.
    pub(super) fn read(text: &'t str, accepted: &[Algorithm]) -> Result<Self, TokenError> {
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenError::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Form)?;
        let header = decode(header).ok_or(TokenError::Form)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Form)?;
        let algorithm = Algorithm::named(&header.alg).filter(|own| accepted.contains(own));
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        Ok(Self {
            algorithm: algorithm.ok_or(TokenError::Algorithm)?,
            key: header.kid,
            signed,
            signature: decode(signature).ok_or(TokenError::Form)?,
            payload,
        })
    }

    /// What it says, if one of these keys has signed it.
    pub(super) fn claims(&self, keys: &KeySet) -> Result<Claims, TokenError> {
        let message = self.signed.as_bytes();
        let mut candidates = keys
            .candidates(self.key.as_deref(), self.algorithm)
            .take(TRIED);
        if !candidates.any(|key| key.has_signed(message, &self.signature, self.algorithm)) {
            return Err(TokenError::Signature);
        }
        let payload = decode(self.payload).ok_or(TokenError::Form)?;
        serde_json::from_slice(&payload).map_err(|_| TokenError::Form)
    }
}

// === impl Expected ===

impl Expected<'_> {
    /// Whether a token with these claims is for here and now.
    pub(super) fn check(&self, claims: &Claims) -> Result<(), TokenError> {
        let leeway = self.leeway.as_secs_f64();
        let expires = claims.get("exp").and_then(Value::as_f64);
        // A time that is no number is none that can be kept to.
        if expires.is_none_or(|expires| self.now >= expires + leeway) {
            return Err(TokenError::Expired);
        }
        let begins = claims.get("nbf").map(Value::as_f64);
        if begins.is_some_and(|at| at.is_none_or(|at| self.now < at - leeway)) {
            return Err(TokenError::Early);
        }
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer) {
            return Err(TokenError::Issuer);
        }
        match self.is_for_here(claims.get("aud")) {
            true => Ok(()),
            false => Err(TokenError::Audience),
        }
    }

    fn is_for_here(&self, audience: Option<&Value>) -> bool {
        let is_own = |text: &str| self.audience.iter().any(|own| own == text);
        match audience {
            None => self.audience.is_empty(),
            Some(Value::String(text)) => is_own(text),
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).any(is_own),
            Some(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::json;

    fn pair() -> (Ed25519KeyPair, KeySet) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": public, "kid": "one" });
        let set = json!({ "keys": [key] }).to_string();
        (pair, KeySet::parse(set.as_bytes()).expect("a set"))
    }

    fn signed(pair: &Ed25519KeyPair, header: &str, payload: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let message = format!("{}.{}", encode(header), encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn verdict(token: &str, keys: &KeySet) -> Result<Claims, TokenError> {
        Token::read(token, &[Algorithm::EdDsa])?.claims(keys)
    }

    #[test]
    fn a_token_is_as_it_was_signed_or_nothing() {
        let (pair, keys) = pair();
        let good = signed(&pair, r#"{"alg":"EdDSA","kid":"one"}"#, r#"{"sub":"ada"}"#);
        assert_eq!(verdict(&good, &keys).expect("claims")["sub"], "ada");
        let nameless = signed(&pair, r#"{"alg":"EdDSA"}"#, "{}");
        assert!(verdict(&nameless, &keys).is_ok());
        for (header, error) in [
            (r#"{"alg":"none"}"#, TokenError::Algorithm),
            (r#"{"alg":"HS256","kid":"one"}"#, TokenError::Algorithm),
            (r#"{"alg":"RS256","kid":"one"}"#, TokenError::Algorithm),
            (r#"{"alg":"EdDSA","kid":"two"}"#, TokenError::Signature),
            (r#"{"alg":"EdDSA","kid":7}"#, TokenError::Form),
            (r#"{"alg":"EdDSA","alg":"none"}"#, TokenError::Form),
            (
                r#"{"alg":"EdDSA","crit":["b64"],"b64":false}"#,
                TokenError::Critical,
            ),
            ("{}", TokenError::Form),
            ("", TokenError::Form),
        ] {
            let token = signed(&pair, header, "{}");
            assert_eq!(verdict(&token, &keys).err(), Some(error), "{header}");
        }
    }

    #[test]
    fn what_is_changed_after_it_was_signed_is_refused() {
        let (pair, keys) = pair();
        let good = signed(&pair, r#"{"alg":"EdDSA"}"#, r#"{"sub":"ada"}"#);
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("text");
            assert!(verdict(&changed, &keys).is_err(), "{changed}");
        }
        for token in [
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            &good[..good.len() - 1],
            &format!("{good}="),
        ] {
            assert!(verdict(token, &keys).is_err(), "{token}");
        }
        let (message, _) = good.rsplit_once('.').expect("parts");
        assert!(verdict(&format!("{message}."), &keys).is_err());
    }

    #[test]
    fn claims_are_for_here_and_now() {
        let audience = ["api".to_owned()];
        let expected = |audience| Expected {
            issuer: "https://issuer",
            audience,
            leeway: Duration::from_secs(10),
            now: 1000.0,
        };
        let check = |change: Value, audience| {
            let mut claims = json!({ "iss": "https://issuer", "aud": "api", "exp": 2000 });
            for (name, value) in change.as_object().expect("an object") {
                match value {
                    Value::Null => claims.as_object_mut().expect("claims").remove(name),
                    _ => claims
                        .as_object_mut()
                        .expect("claims")
                        .insert(name.clone(), value.clone()),
                };
            }
            expected(audience).check(claims.as_object().expect("claims"))
        };
        for (change, result) in [
            (json!({}), Ok(())),
            (
                json!({ "aud": ["web", "api"], "nbf": 1009.5, "exp": 990.5 }),
                Ok(()),
            ),
            (json!({ "exp": 990 }), Err(TokenError::Expired)),
            (json!({ "exp": null }), Err(TokenError::Expired)),
            (json!({ "exp": "2000" }), Err(TokenError::Expired)),
            (json!({ "nbf": 1011 }), Err(TokenError::Early)),
            (json!({ "nbf": "1" }), Err(TokenError::Early)),
            (json!({ "iss": "https://issuer/" }), Err(TokenError::Issuer)),
            (
                json!({ "iss": ["https://issuer"] }),
                Err(TokenError::Issuer),
            ),
            (json!({ "iss": null }), Err(TokenError::Issuer)),
            (json!({ "aud": null }), Err(TokenError::Audience)),
            (json!({ "aud": "web" }), Err(TokenError::Audience)),
            (json!({ "aud": [] }), Err(TokenError::Audience)),
            (json!({ "aud": { "api": true } }), Err(TokenError::Audience)),
        ] {
            assert_eq!(check(change.clone(), &audience[..]), result, "{change}");
        }
        assert_eq!(check(json!({}), &[]), Err(TokenError::Audience));
        assert_eq!(check(json!({ "aud": null }), &[]), Ok(()));
    }
}
