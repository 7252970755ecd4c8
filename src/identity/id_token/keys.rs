//! The keys with which an identity provider signs (JSON Web Key Set, RFC 7517).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::Value;

use super::TokenError;
use crate::domain::text;

/// The keys of one identity provider that can be used here; others are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(Vec<Jwk>);

impl Keys {
    /// Reads a set of keys. A key of an unknown kind does no harm.
    ///
    /// # Errors
    ///
    /// When it is no set of keys.
    pub fn read(body: &[u8]) -> Result<Self, TokenError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(body).map_err(|_| TokenError::Keys)?;
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Ok(Self(keys.filter(is_usable).take(KEYS_MAX).collect()))
    }

    /// How many can be used here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where none can be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks a signature with the key of that name; without a name, with those that fit.
    pub(super) fn verify(
        &self,
        signature: &str,
        signed: &[u8],
        algorithm: &str,
        kid: Option<&str>,
    ) -> Result<(), TokenError> {
        let chosen = known(algorithm)
            .ok_or_else(|| TokenError::Algorithm { algorithm: text::shown(algorithm) })?;
        let named = |key: &&Jwk| kid.is_none() || key.common.key_id.as_deref() == kid;
        let mut named = self.0.iter().filter(named).peekable();
        if named.peek().is_none() {
            return Err(TokenError::UnknownKey { kid: kid.map(text::shown) });
        }
        let is_right = |key: &Jwk| {
            let key = DecodingKey::from_jwk(key);
            key.and_then(|key| crypto::verify(signature, signed, &key, chosen)).unwrap_or(false)
        };
        if named.any(|key| fits(key, algorithm, chosen) && is_right(key)) {
            Ok(())
        } else {
            Err(TokenError::Signature)
        }
    }
}

/// The algorithms that prove something: signatures with a public key (RFC 7518, section 3.1;
/// RFC 8037; RFC 9864 calls the last one `Ed25519`).
fn known(algorithm: &str) -> Option<Algorithm> {
    Some(match algorithm {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" | "Ed25519" => Algorithm::EdDSA,
        _ => return None,
    })
}

/// True where the key is of the kind that the algorithm needs, and not meant for another.
fn fits(key: &Jwk, algorithm: &str, chosen: Algorithm) -> bool {
    use AlgorithmParameters as Kind;
    let meant = key.common.key_algorithm.is_none_or(|meant| {
        // A name that the library does not know (`Ed25519`) is not held against the key.
        let meant = meant.to_string();
        meant == algorithm || known(&meant).is_none() || known(&meant) == Some(chosen)
    });
    let kind = match (&key.algorithm, chosen) {
        (Kind::RSA(_), algorithm) => matches!(
            algorithm,
            Algorithm::RS256
                | Algorithm::RS384
                | Algorithm::RS512
                | Algorithm::PS256
                | Algorithm::PS384
                | Algorithm::PS512
        ),
        (Kind::EllipticCurve(key), Algorithm::ES256) => key.curve == EllipticCurve::P256,
        (Kind::EllipticCurve(key), Algorithm::ES384) => key.curve == EllipticCurve::P384,
        (Kind::OctetKeyPair(key), Algorithm::EdDSA) => key.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    meant && kind
}

/// True for a public key that may check signatures.
fn is_usable(key: &Jwk) -> bool {
    let kind = matches!(
        key.algorithm,
        AlgorithmParameters::RSA(_)
            | AlgorithmParameters::EllipticCurve(_)
            | AlgorithmParameters::OctetKeyPair(_)
    );
    kind && !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption))
}

/// How many keys are kept of one identity provider.
const KEYS_MAX: usize = 100;
