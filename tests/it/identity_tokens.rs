//! ID tokens: the one that proves something, and all the ways in which one can fail to.

use breakglass::domain::time::Timestamp;
use breakglass::identity::SsoIdentity;
use breakglass::identity::id_token::{Expected, Keys, TokenError, verify};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::support::signing::{SigningKey, forged_with_public_key, unsigned};

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://idp.example.com";
const TENANT: &str = "11111111-2222-3333-4444-555555555555";

const EXPECTED: Expected<'static> =
    Expected { issuer: ISSUER, client_id: "breakglass", nonce: None, tenant: None };

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "breakglass", "sub": "alice-1", "iat": NOW, "exp": NOW + 300,
        "email": "Alice@Example.com", "email_verified": true,
    })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (claim, value) in changes.as_object().unwrap() {
        claims[claim] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(claim);
        }
    }
    claims
}

fn published(keys: &[&SigningKey]) -> Keys {
    let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
    Keys::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn judged(token: &str, key: &SigningKey) -> Result<SsoIdentity, TokenError> {
    verify(token, &published(&[key]), &EXPECTED, Timestamp::from_millis(NOW * 1_000))
}

/// What a token with other claims says.
fn said(expected: &Expected<'_>, changes: Value) -> String {
    let key = SigningKey::ec("k");
    let token = key.sign(&with(changes));
    let now = Timestamp::from_millis(NOW * 1_000);
    match verify(&token, &published(&[&key]), expected, now) {
        Ok(person) => {
            let email = person.email.map(|email| email.to_string()).unwrap_or_default();
            let (issuer, subject) = (person.issuer, person.subject);
            format!("{issuer} {subject} <{email}> verified: {}", person.email_verified)
        }
        Err(why) => why.to_string(),
    }
}

#[test]
fn every_signature_that_proves_something_is_accepted() {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    for alg in [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA] {
        let key = SigningKey::of("k", alg);
        let person = judged(&key.sign(&claims()), &key).unwrap();
        assert_eq!(person.subject, "alice-1");
        assert_eq!(person.email.unwrap().as_str(), "alice@example.com");
    }
    let key = SigningKey::of("k", EdDSA);
    let newer_name = key.sign_as(&json!({"alg": "Ed25519", "kid": "k"}), &claims());
    assert!(judged(&newer_name, &key).is_ok());
}

#[test]
fn a_token_does_not_choose_how_it_is_checked() {
    let (key, rsa) = (SigningKey::of("k", Algorithm::EdDSA), SigningKey::of("k", Algorithm::RS256));
    let none = format!("{}.", unsigned(&json!({"alg": "none", "kid": "k"}), &claims()));
    let said = [
        judged(&none, &key),
        judged(&forged_with_public_key(&key, &claims()), &key),
        judged(&key.sign_as(&json!({"alg": "ES512", "kid": "k"}), &claims()), &key),
        judged(&key.sign_as(&json!({"alg": "odd\u{1b}[2J", "kid": "k"}), &claims()), &key),
        judged(&key.sign_as(&json!({"alg": "RS256", "kid": "k"}), &claims()), &key),
        judged(&rsa.sign_as(&json!({"alg": "PS256", "kid": "k"}), &claims()), &rsa),
        judged(&key.sign_as(&json!({"alg": "EdDSA", "kid": "k", "crit": ["x"]}), &claims()), &key),
        judged(&key.sign_as(&json!({"kid": "k"}), &claims()), &key),
    ]
    .map(|judged| judged.unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"), @r"
    its ID token is signed with `none`, which is not accepted
    its ID token is signed with `HS256`, which is not accepted
    its ID token is signed with `ES512`, which is not accepted
    its ID token is signed with `odd<1B>[2J`, which is not accepted
    the signature of its ID token is wrong
    the signature of its ID token is wrong
    its ID token is malformed
    its ID token is malformed
    ");
}

#[test]
fn an_unknown_key_is_told_from_a_wrong_signature() {
    let (key, other) = (SigningKey::ec("k"), SigningKey::ec("other"));
    let unknown = judged(&other.sign(&claims()), &key).unwrap_err();
    assert_eq!(unknown, TokenError::UnknownKey { kid: Some("other".into()) });
    let same_name = SigningKey::ec("k");
    assert_eq!(judged(&same_name.sign(&claims()), &key), Err(TokenError::Signature));
    let nameless = key.sign_as(&json!({"alg": "ES256"}), &claims());
    assert!(judged(&nameless, &key).is_ok());
    let keys = published(&[&same_name, &other, &key]);
    let now = Timestamp::from_millis(NOW * 1_000);
    assert!(verify(&nameless, &keys, &EXPECTED, now).is_ok());
    let none = verify(&nameless, &Keys::default(), &EXPECTED, now).unwrap_err();
    assert_eq!(none, TokenError::UnknownKey { kid: None });
}

#[test]
fn a_changed_token_is_worth_nothing() {
    let key = SigningKey::ec("k");
    let token = key.sign(&claims());
    let parts: Vec<_> = token.split('.').collect();
    let forged = unsigned(&json!({"alg": "ES256", "kid": "k"}), &with(json!({"sub": "bob"})));
    assert_eq!(judged(&format!("{forged}.{}", parts[2]), &key), Err(TokenError::Signature));
    for broken in ["", ".", "..", "a.b.c", &token[..20], &format!("{token}.x"), "é.é.é"] {
        assert_eq!(judged(broken, &key), Err(TokenError::Form), "{broken}");
    }
}

#[test]
fn every_claim_is_compared_exactly() {
    let nonce = Expected { nonce: Some("n-1"), ..EXPECTED };
    let said = [
        said(&EXPECTED, json!({"iss": "https://idp.example.com/"})),
        said(&EXPECTED, json!({"iss": null})),
        said(&EXPECTED, json!({"aud": "another"})),
        said(&EXPECTED, json!({"aud": ["another", "breakglass"]})),
        said(&EXPECTED, json!({"aud": ["another", "breakglass"], "azp": "another"})),
        said(&EXPECTED, json!({"aud": ["another", "breakglass"], "azp": "breakglass"})),
        said(&EXPECTED, json!({"azp": "another"})),
        said(&EXPECTED, json!({"aud": []})),
        said(&EXPECTED, json!({"aud": 7})),
        said(&EXPECTED, json!({"sub": null})),
        said(&EXPECTED, json!({"sub": ""})),
        said(&EXPECTED, json!({"exp": "soon"})),
        said(&nonce, json!({})),
        said(&nonce, json!({"nonce": "n-2"})),
        said(&nonce, json!({"nonce": "n-1"})),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    its ID token has `https://idp.example.com/` as `iss`, not `https://idp.example.com`
    its ID token has no `iss` that can be used
    its ID token has `another` as `aud`, not `breakglass`
    its ID token has no `azp` that can be used
    its ID token has `another` as `azp`, not `breakglass`
    https://idp.example.com alice-1 <alice@example.com> verified: true
    its ID token has `another` as `azp`, not `breakglass`
    its ID token has `` as `aud`, not `breakglass`
    its ID token has no `aud` that can be used
    its ID token has no `sub` that can be used
    its ID token has no `sub` that can be used
    its ID token has no `exp` that can be used
    its ID token has no `nonce` that can be used
    its ID token answers another sign-in: the nonce differs
    https://idp.example.com alice-1 <alice@example.com> verified: true
    ");
}

#[test]
fn clocks_that_differ_say_by_how_much() {
    let said = [
        said(&EXPECTED, json!({"iat": NOW - 359, "exp": NOW - 59})),
        said(&EXPECTED, json!({"iat": NOW - 360, "exp": NOW - 60})),
        said(&EXPECTED, json!({"iat": NOW - 7_500, "exp": NOW - 7_200})),
        said(&EXPECTED, json!({"iat": NOW + 60})),
        said(&EXPECTED, json!({"iat": NOW + 305, "exp": NOW + 605})),
        said(&EXPECTED, json!({"nbf": NOW + 90})),
        said(&EXPECTED, json!({"exp": NOW as f64 + 300.5})),
        said(&EXPECTED, json!({"iat": i64::MIN, "exp": i64::MAX})),
        said(&EXPECTED, json!({"iat": null})),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    https://idp.example.com alice-1 <alice@example.com> verified: true
    its ID token expired 60 s ago by this host's clock, which stands 360 s after the token was issued: the clocks differ, or the token is old
    its ID token expired 7200 s ago by this host's clock, which stands 7500 s after the token was issued: the clocks differ, or the token is old
    https://idp.example.com alice-1 <alice@example.com> verified: true
    its ID token is from 305 s in the future: this host's clock is 305 s behind, or that of the identity provider is ahead
    its ID token is from 90 s in the future: this host's clock is 90 s behind, or that of the identity provider is ahead
    https://idp.example.com alice-1 <alice@example.com> verified: true
    https://idp.example.com alice-1 <alice@example.com> verified: true
    its ID token has no `iat` that can be used
    ");
}

#[test]
fn an_address_is_verified_only_where_somebody_says_so() {
    let entra = Expected { tenant: Some(TENANT), ..EXPECTED };
    let person = |more: Value| {
        let mut claims = json!({"email_verified": null, "tid": TENANT, "oid": "alice-object"});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        said(&entra, claims)
    };
    let said = [
        said(&EXPECTED, json!({"email_verified": "true"})),
        said(&EXPECTED, json!({"email_verified": false})),
        said(&EXPECTED, json!({"email_verified": null})),
        said(&EXPECTED, json!({"email": null})),
        said(&EXPECTED, json!({"email": "not an address"})),
        person(json!({})),
        person(json!({"email_verified": true})),
        person(json!({"xms_edov": true})),
        person(json!({"xms_edov": 1})),
        person(
            json!({"email": null, "preferred_username": "alice@corp.example", "xms_edov": true}),
        ),
        person(json!({"tid": "another"})),
        person(json!({"oid": null})),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    https://idp.example.com alice-1 <alice@example.com> verified: true
    https://idp.example.com alice-1 <alice@example.com> verified: false
    https://idp.example.com alice-1 <alice@example.com> verified: false
    https://idp.example.com alice-1 <> verified: false
    https://idp.example.com alice-1 <> verified: false
    11111111-2222-3333-4444-555555555555 alice-object <alice@example.com> verified: false
    11111111-2222-3333-4444-555555555555 alice-object <alice@example.com> verified: false
    11111111-2222-3333-4444-555555555555 alice-object <alice@example.com> verified: true
    11111111-2222-3333-4444-555555555555 alice-object <alice@example.com> verified: true
    11111111-2222-3333-4444-555555555555 alice-object <alice@corp.example> verified: false
    its ID token has `another` as `tid`, not `11111111-2222-3333-4444-555555555555`
    its ID token has no `oid` that can be used
    ");
}

#[test]
fn keys_that_cannot_be_used_are_left_out() {
    let key = SigningKey::ec("k").public();
    let mut for_secrecy = key.clone();
    for_secrecy["use"] = json!("enc");
    let set = json!({"keys": [
        key,
        for_secrecy,
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256"},
        {"kty": "AKP", "alg": "ML-DSA-65", "pub": "x"},
        {"kty": "OKP", "crv": "Ed448", "x": "x"},
        7,
    ]});
    assert_eq!(Keys::read(set.to_string().as_bytes()).unwrap().len(), 1);
    assert_eq!(Keys::read(b"{}").unwrap_err(), TokenError::Keys);
}
