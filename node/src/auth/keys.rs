//! Public keys that tokens are signed with: a JSON Web Key Set (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

/// Keys of one set that are looked at: each may have to be tried.
const MOST: usize = 100;

/// The shortest RSA modulus, in bytes.
const SHORTEST_RSA: usize = 2048 / 8;

/// How a token may be signed. None of it can be checked by somebody who could also have signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// Keys in the order of their set.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    /// The only one that it is for, if it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// Why a text is no set of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No JSON Web Key Set.
    #[error("not a json web key set: {0}")]
    Json(#[from] serde_json::Error),
    /// Nothing that a token can be checked with.
    #[error(
        "no key of the set is one of RSA (2048 bits or more), P-256, P-384 or Ed25519 for signatures"
    )]
    None,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// The members of a key that matter, whatever kind it is.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

// === impl Algorithm ===

impl Algorithm {
    /// All of them, by their names in tokens.
    pub const ALL: [(&'static str, Self); 9] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(own, _)| *own == name);
        found.map(|(_, algorithm)| *algorithm)
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        match self {
            Self::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
            Self::Es256 | Self::Es384 | Self::EdDsa => None,
        }
    }
}

// === impl KeySet ===

impl KeySet {
    /// The keys that signatures can be checked with; others are passed over.
    pub(super) fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let set: Set = serde_json::from_slice(text)?;
        let keys = set.keys.into_iter().filter_map(Key::read).take(MOST);
        let keys: Vec<_> = keys.collect();
        match keys.is_empty() {
            true => Err(KeyError::None),
            false => Ok(Self(keys)),
        }
    }

    /// Those that a token with this header may be signed with: of this name, if it has one.
    pub(super) fn candidates<'s>(
        &'s self,
        id: Option<&'s str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'s Key> {
        self.0
            .iter()
            .filter(move |key| (id.is_none() || key.id.as_deref() == id) && key.is_for(algorithm))
    }

    /// Whether there is a key of this name.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }
}

// === impl Key ===

impl Key {
    fn read(value: serde_json::Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let signs = jwk.r#use.as_deref().is_none_or(|r#use| r#use == "sig");
        let operations = jwk.key_ops.as_deref();
        let verifies = operations.is_none_or(|all| all.iter().any(|one| one == "verify"));
        let algorithm = match &jwk.alg {
            Some(name) => Some(Algorithm::named(name)?),
            None => None,
        };
        let key = Self {
            material: Material::read(&jwk)?,
            id: jwk.kid,
            algorithm,
        };
        (signs && verifies).then_some(key)
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        let suits = match self.material {
            Material::Rsa { .. } => algorithm.rsa().is_some(),
            Material::P256(_) => algorithm == Algorithm::Es256,
            Material::P384(_) => algorithm == Algorithm::Es384,
            Material::Ed25519(_) => algorithm == Algorithm::EdDsa,
        };
        suits && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether the owner of this key has signed the message in this way.
    pub(super) fn has_signed(
        &self,
        message: &[u8],
        signature: &[u8],
        algorithm: Algorithm,
    ) -> bool {
        if !self.is_for(algorithm) {
            return false;
        }
        let verified = match &self.material {
            Material::Rsa { modulus, exponent } => {
                let (n, e) = (modulus, exponent);
                let Some(parameters) = algorithm.rsa() else {
                    return false;
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            Material::P256(point) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
            }
            Material::P384(point) => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point)
                    .verify(message, signature)
            }
            Material::Ed25519(key) => {
                UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature)
            }
        };
        verified.is_ok()
    }
}

// === impl Material ===

impl Material {
    fn read(jwk: &Jwk) -> Option<Self> {
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let modulus = number(jwk.n.as_deref()?)?;
                let exponent = number(jwk.e.as_deref()?)?;
                (modulus.len() >= SHORTEST_RSA).then_some(Self::Rsa { modulus, exponent })
            }
            ("EC", Some("P-256")) => point(jwk, 32).map(Self::P256),
            ("EC", Some("P-384")) => point(jwk, 48).map(Self::P384),
            ("OKP", Some("Ed25519")) => {
                let key = decode(jwk.x.as_deref()?)?;
                (key.len() == 32).then_some(Self::Ed25519(key))
            }
            _ => None,
        }
    }
}

/// Both coordinates, as the library takes them: uncompressed.
fn point(jwk: &Jwk, size: usize) -> Option<Vec<u8>> {
    let (x, y) = (decode(jwk.x.as_deref()?)?, decode(jwk.y.as_deref()?)?);
    let fits = x.len() == size && y.len() == size;
    fits.then(|| [&[4], &x[..], &y].concat())
}

/// Without the zeros that some put in front.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = decode(text)?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_public_key_for_signatures_is_passed_over() {
        let modulus = URL_SAFE_NO_PAD.encode([0xff; 256]);
        let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
        let key = URL_SAFE_NO_PAD.encode([1; 32]);
        let set = format!(
            r#"{{"keys":[{{"kty":"oct","kid":"a","k":"c2VjcmV0"}},
            {{"kty":"RSA","kid":"b","n":"{short}","e":"AQAB"}},
            {{"kty":"RSA","kid":"c","n":"{modulus}","e":"AQAB","use":"enc"}},
            {{"kty":"RSA","kid":"d","n":"{modulus}","e":"AQAB","alg":"HS256"}},
            {{"kty":"RSA","kid":"e","n":"{modulus}","e":"AQAB","key_ops":["encrypt"]}},
            {{"kty":"EC","kid":"f","crv":"P-256","x":"{key}","y":"AA"}},
            {{"kty":"OKP","kid":"g","crv":"X25519","x":"{key}"}}, 7,
            {{"kty":"OKP","kid":"h","crv":"Ed25519","x":"{key}"}},
            {{"kty":"RSA","kid":"i","n":"{modulus}","e":"AQAB","alg":"PS256"}}]}}"#
        );
        let set = KeySet::parse(set.as_bytes()).expect("a set");
        let known = ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|id| set.knows(id));
        assert_eq!(
            known,
            [false, false, false, false, false, false, false, true, true]
        );
        let count = |id, algorithm| set.candidates(id, algorithm).count();
        assert_eq!(count(Some("h"), Algorithm::EdDsa), 1);
        assert_eq!(count(Some("h"), Algorithm::Rs256), 0);
        assert_eq!(count(None, Algorithm::Ps256), 1);
        assert_eq!(count(None, Algorithm::Rs256), 0, "it says what it is for");
    }

    #[test]
    fn a_set_without_keys_is_none() {
        for text in [
            "",
            "[]",
            "{}",
            "{\"keys\":[]}",
            "{\"keys\":[{\"kty\":\"oct\"}]}",
        ] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
