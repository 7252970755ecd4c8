//! The discovery document of an identity provider (`OpenID` Connect Discovery 1.0): read, and
//! believed only where it is what was asked for.
//!
//! Rules that hold in every line below:
//!
//! 1. The issuer is compared as it is written: a slash at the end makes another one (section 4.3).
//! 2. Only the addresses in the document are spoken to, over `https`; over plain `http` only where
//!    the issuer itself is on this host's loopback.

use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::domain::text;
use crate::http;

/// What a sign-in needs of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The issuer, as it was expected.
    pub issuer: String,
    /// Where codes are given out (RFC 8628, section 4).
    pub device_authorization_endpoint: String,
    /// Where tokens are given out.
    pub token_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where more is told about a person than in the token.
    pub userinfo_endpoint: Option<String>,
    /// How a client may say who it is; none where the document does not tell.
    pub token_auth_methods: Option<Vec<String>>,
}

/// Why the document cannot be used. Every text in it is clean.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DiscoveryError {
    /// Not JSON, or not an object with the right kinds of values.
    #[error("`{address}` holds no discovery document")]
    NoDocument {
        /// Where it was looked for.
        address: String,
    },
    /// It speaks for somebody else.
    #[error(
        "its discovery document is for the issuer `{came}`, not `{expected}`{}",
        why(expected, came)
    )]
    Issuer {
        /// What the configuration says.
        expected: String,
        /// What the document says.
        came: String,
    },
    /// Something that every sign-in needs is not in it.
    #[error("its discovery document names no `{field}`")]
    Missing {
        /// What.
        field: &'static str,
    },
    /// An address to which nothing may be sent.
    #[error("its discovery document names `{address}` as `{field}`, which is not https")]
    Endpoint {
        /// Of which field.
        field: &'static str,
        /// What it says.
        address: String,
    },
    /// It offers no way to sign in from a terminal.
    #[error(
        "its discovery document names no `device_authorization_endpoint`: the device \
         authorization grant (RFC 8628) is not offered or not switched on there, and a terminal \
         has no other way to sign in"
    )]
    NoDeviceFlow,
}

/// Where the document of an issuer is (section 4).
#[must_use]
pub fn well_known(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
}

/// Reads a document that was found at [`well_known`] of `issuer`.
///
/// # Errors
///
/// When it is none, speaks for another issuer, or lacks what a sign-in needs.
pub fn read(body: &[u8], issuer: &str) -> Result<Document, DiscoveryError> {
    let document: Wire = serde_json::from_slice(body)
        .map_err(|_| DiscoveryError::NoDocument { address: text::shown(&well_known(issuer)) })?;
    if document.issuer != issuer {
        return Err(DiscoveryError::Issuer {
            expected: text::shown(issuer),
            came: text::shown(&document.issuer),
        });
    }
    let plain = Url::parse(issuer).is_ok_and(|issuer| http::is_loopback(&issuer));
    let endpoint = |field, address: Option<String>| {
        let address = address.ok_or(DiscoveryError::Missing { field })?;
        if is_fit(&address, plain) {
            Ok(address)
        } else {
            Err(DiscoveryError::Endpoint { field, address: text::shown(&address) })
        }
    };
    let device = document.device_authorization_endpoint.ok_or(DiscoveryError::NoDeviceFlow)?;
    Ok(Document {
        issuer: document.issuer,
        device_authorization_endpoint: endpoint("device_authorization_endpoint", Some(device))?,
        token_endpoint: endpoint("token_endpoint", document.token_endpoint)?,
        jwks_uri: endpoint("jwks_uri", document.jwks_uri)?,
        userinfo_endpoint: document
            .userinfo_endpoint
            .map(|address| endpoint("userinfo_endpoint", Some(address)))
            .transpose()?,
        token_auth_methods: document.token_endpoint_auth_methods_supported,
    })
}

/// True for an address that an identity provider may name; `plain` where it is on loopback itself.
#[must_use]
pub fn is_fit(address: &str, plain: bool) -> bool {
    http::is_allowed(address) && (plain || address.starts_with("https://"))
}

#[derive(Deserialize)]
struct Wire {
    issuer: String,
    device_authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    jwks_uri: Option<String>,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// What a person should look at when the issuers differ.
fn why(expected: &str, came: &str) -> &'static str {
    if came.contains("{tenantid}") {
        "; give the id of the tenant itself"
    } else if expected.trim_end_matches('/') == came.trim_end_matches('/') {
        "; they differ by the slash at the end only: write it as the document does"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://idp.example.com/realms/corp";

    fn document() -> Value {
        json!({
            "issuer": ISSUER,
            "device_authorization_endpoint": "https://idp.example.com/device",
            "token_endpoint": "https://tokens.example.com/token",
            "jwks_uri": "https://idp.example.com/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "end_session_endpoint": 7,
        })
    }

    fn with(field: &str, value: Value) -> Result<Document, DiscoveryError> {
        let mut document = document();
        document[field] = value;
        read(document.to_string().as_bytes(), ISSUER)
    }

    #[test]
    fn a_document_of_the_issuer_is_taken_as_it_is() {
        let found = read(document().to_string().as_bytes(), ISSUER).unwrap();
        assert_eq!(found.token_endpoint, "https://tokens.example.com/token");
        assert_eq!(found.token_auth_methods, Some(vec!["client_secret_post".to_owned()]));
    }

    #[test]
    fn every_refusal_says_what_is_wrong() {
        let none = Value::Null;
        let refused = [
            with("issuer", json!(format!("{ISSUER}/"))),
            with("issuer", json!("https://IDP.example.com/realms/corp")),
            with("issuer", json!("https://login.microsoftonline.com/{tenantid}/v2.0")),
            with("issuer", json!("https://evil.example.com/\u{1b}[2J")),
            with("issuer", json!(3)),
            with("device_authorization_endpoint", none.clone()),
            with("token_endpoint", none.clone()),
            with("jwks_uri", none),
            with("token_endpoint", json!("http://idp.example.com/token")),
            with("token_endpoint", json!("http://127.0.0.1:9/token")),
            with("userinfo_endpoint", json!("http://idp.example.com/me")),
            with("jwks_uri", json!("file:///etc/passwd")),
            read(b"<html>", ISSUER),
            read(b"[]", ISSUER),
        ]
        .map(|found| found.unwrap_err().to_string());
        insta::assert_snapshot!(refused.join("\n"), @r"
        its discovery document is for the issuer `https://idp.example.com/realms/corp/`, not `https://idp.example.com/realms/corp`; they differ by the slash at the end only: write it as the document does
        its discovery document is for the issuer `https://IDP.example.com/realms/corp`, not `https://idp.example.com/realms/corp`
        its discovery document is for the issuer `https://login.microsoftonline.com/{tenantid}/v2.0`, not `https://idp.example.com/realms/corp`; give the id of the tenant itself
        its discovery document is for the issuer `https://evil.example.com/<1B>[2J`, not `https://idp.example.com/realms/corp`
        `https://idp.example.com/realms/corp/.well-known/openid-configuration` holds no discovery document
        its discovery document names no `device_authorization_endpoint`: the device authorization grant (RFC 8628) is not offered or not switched on there, and a terminal has no other way to sign in
        its discovery document names no `token_endpoint`
        its discovery document names no `jwks_uri`
        its discovery document names `http://idp.example.com/token` as `token_endpoint`, which is not https
        its discovery document names `http://127.0.0.1:9/token` as `token_endpoint`, which is not https
        its discovery document names `http://idp.example.com/me` as `userinfo_endpoint`, which is not https
        its discovery document names `file:///etc/passwd` as `jwks_uri`, which is not https
        `https://idp.example.com/realms/corp/.well-known/openid-configuration` holds no discovery document
        `https://idp.example.com/realms/corp/.well-known/openid-configuration` holds no discovery document
        ");
    }

    #[test]
    fn plain_http_is_for_an_issuer_on_loopback() {
        let issuer = "http://127.0.0.1:3000";
        let document = json!({
            "issuer": issuer,
            "device_authorization_endpoint": "http://127.0.0.1:3000/device",
            "token_endpoint": "http://127.0.0.1:3000/token",
            "jwks_uri": "http://localhost:3000/jwks",
        });
        assert!(read(document.to_string().as_bytes(), issuer).is_ok());
    }

    #[test]
    fn the_document_is_below_the_issuer() {
        for issuer in [ISSUER, &format!("{ISSUER}/")] {
            let expected = format!("{ISSUER}/.well-known/openid-configuration");
            assert_eq!(well_known(issuer), expected);
        }
    }
}
