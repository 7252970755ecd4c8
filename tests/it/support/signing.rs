//! Keys of a simulated identity provider, and tokens signed with them.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use rcgen::{KeyPair, RsaKeySize, SignatureAlgorithm};
use serde_json::{Value, json};

/// A key that signs.
#[derive(Clone)]
pub struct SigningKey {
    pub kid: String,
    alg: Algorithm,
    private: Arc<EncodingKey>,
    /// Of Ed25519: the library takes its point out of no private key.
    point: Option<String>,
}

impl SigningKey {
    pub fn ec(kid: &str) -> Self {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        Self::new(kid, Algorithm::ES256, EncodingKey::from_ec_der(&pair.serialize_der()))
    }

    pub fn of(kid: &str, alg: Algorithm) -> Self {
        let der = |kind: &'static SignatureAlgorithm| {
            KeyPair::generate_for(kind).unwrap().serialize_der()
        };
        let private = match alg {
            Algorithm::ES256 => return Self::ec(kid),
            Algorithm::ES384 => EncodingKey::from_ec_der(&der(&rcgen::PKCS_ECDSA_P384_SHA384)),
            Algorithm::EdDSA => return Self::ed(kid),
            Algorithm::HS256 => panic!("a shared secret is no key of these"),
            _ => EncodingKey::from_rsa_der(rsa()),
        };
        Self::new(kid, alg, private)
    }

    fn ed(kid: &str) -> Self {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let private = EncodingKey::from_ed_der(&pair.serialize_der());
        let point = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
        Self { point: Some(point), ..Self::new(kid, Algorithm::EdDSA, private) }
    }

    fn new(kid: &str, alg: Algorithm, private: EncodingKey) -> Self {
        Self { kid: kid.to_owned(), alg, private: Arc::new(private), point: None }
    }

    /// The public half, as it is published.
    pub fn public(&self) -> Value {
        let mut key = match &self.point {
            Some(point) => json!({"kty": "OKP", "crv": "Ed25519", "x": point, "alg": "EdDSA"}),
            None => json!(Jwk::from_encoding_key(&self.private, self.alg).unwrap()),
        };
        key["kid"] = json!(self.kid);
        key["use"] = json!("sig");
        key
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({"alg": format!("{:?}", self.alg), "kid": self.kid}), claims)
    }

    /// Signs under any header, fitting or not.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let signature = crypto::sign(signed.as_bytes(), &self.private, self.alg).unwrap();
        format!("{signed}.{signature}")
    }
}

/// Header and claims without a signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encoded(header), encoded(claims))
}

/// A token that is signed with the text of the public key as if it were a shared secret.
pub fn forged_with_public_key(key: &SigningKey, claims: &Value) -> String {
    let header = json!({"alg": "HS256", "kid": key.kid});
    let public = URL_SAFE_NO_PAD.decode(key.public()["x"].as_str().unwrap()).unwrap();
    let secret = EncodingKey::from_secret(&public);
    let signed = unsigned(&header, claims);
    let signature = crypto::sign(signed.as_bytes(), &secret, Algorithm::HS256).unwrap();
    format!("{signed}.{signature}")
}

/// One RSA key for all tests: it is slow to make. In PKCS #1, out of its PKCS #8 wrapping: what
/// follows the version and the algorithm is an octet string with a length of two bytes.
fn rsa() -> &'static [u8] {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        pair.serialize_der()[26..].to_vec()
    })
}
