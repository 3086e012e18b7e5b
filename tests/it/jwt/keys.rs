//! Issuers: key pairs, their public keys as JSON, and the tokens that they sign.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, RsaEncoding,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

pub(super) struct Signer {
    id: String,
    pair: Pair,
}

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<rsa::KeyPair>),
}

pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token whose signature is what `sign` makes of the rest.
pub(super) fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!(
        "{}.{}",
        encode(header.to_string()),
        encode(claims.to_string())
    );
    let signature = encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

// === impl Signer ===

impl Signer {
    /// One of each kind.
    pub(super) fn all() -> Vec<Self> {
        let random = SystemRandom::new();
        let kind = &ECDSA_P384_SHA384_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let p384 = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap();
        let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let ed25519 = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        vec![
            Self::p256("p256"),
            Self::new("p384", Pair::P384(p384)),
            Self::new("ed25519", Pair::Ed25519(ed25519)),
            Self::new("rsa", Pair::Rsa(Box::new(rsa_pair()))),
        ]
    }

    pub(super) fn p256(id: &str) -> Self {
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap();
        Self::new(id, Pair::P256(pair))
    }

    fn new(id: &str, pair: Pair) -> Self {
        let id = id.to_owned();
        Self { id, pair }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn algorithms(&self) -> &'static [&'static str] {
        match self.pair {
            Pair::P256(_) => &["ES256"],
            Pair::P384(_) => &["ES384"],
            Pair::Ed25519(_) => &["EdDSA"],
            Pair::Rsa(_) => &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
        }
    }

    /// The public key, as a set has it.
    pub(super) fn public(&self) -> Value {
        let curve = |name: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({ "kty": "EC", "crv": name, "x": encode(x), "y": encode(y) })
        };
        let mut key = match &self.pair {
            Pair::P256(pair) => curve("P-256", pair.public_key().as_ref()),
            Pair::P384(pair) => curve("P-384", pair.public_key().as_ref()),
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key()) })
            }
            Pair::Rsa(pair) => {
                let public = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": encode(public.n), "e": encode(public.e) })
            }
        };
        key["kid"] = json!(self.id);
        key["use"] = json!("sig");
        key
    }

    /// Of a pair that does not sign like that, a signature that is none.
    pub(super) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) | Pair::P384(pair) => {
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }
}

/// The library only signs with such keys, and makes none.
fn rsa_pair() -> rsa::KeyPair {
    let key = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA"])
        .args(["-pkeyopt", "rsa_keygen_bits:2048"])
        .output()
        .expect("openssl is needed on the path");
    let key = PrivatePkcs8KeyDer::from_pem_slice(&key.stdout).unwrap();
    rsa::KeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap()
}
