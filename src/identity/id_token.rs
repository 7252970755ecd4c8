//! ID tokens (`OpenID` Connect Core 1.0, section 3.1.3.7): who a person is, by the word of an
//! identity provider, given its keys and the time.
//!
//! Rules that hold in every line below:
//!
//! 1. The token does not choose how it is checked: its algorithm is one of a short list of
//!    signatures, and belongs to the kind of the key. `none` and shared secrets are not on it.
//! 2. Everything that is claimed is compared exactly. A claim of the wrong kind is not there.
//! 3. An unknown key is an answer of its own: only then may the keys be fetched anew.
//!
//! Not here: a replayed token. It comes straight from the token endpoint, in answer to a device code
//! that only this program knows.

mod keys;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use thiserror::Error;

use super::SsoIdentity;
use crate::domain::email::Email;
use crate::domain::text;
use crate::domain::time::Timestamp;

pub use keys::Keys;

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `aud`.
    pub client_id: &'a str,
    /// `nonce`, where one was sent.
    pub nonce: Option<&'a str>,
    /// `tid`, for Entra ID. Then `tid` and `oid` name the person, since `sub` differs from
    /// application to application there.
    pub tenant: Option<&'a str>,
}

/// Why a token proves nothing. Every text in it is clean, and nothing of it can be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not a signed token in its compact form (RFC 7515, section 3.1).
    #[error("its ID token is malformed")]
    Form,
    /// An algorithm that proves nothing, or that is not known here.
    #[error("its ID token is signed with `{algorithm}`, which is not accepted")]
    Algorithm {
        /// What the token says.
        algorithm: String,
    },
    /// Signed with a key that is not among the ones known.
    #[error(
        "its ID token is signed with the key {}, which is not among its published keys",
        Kid(kid)
    )]
    UnknownKey {
        /// What the token calls it.
        kid: Option<String>,
    },
    /// The signature is not that of the key.
    #[error("the signature of its ID token is wrong")]
    Signature,
    /// Something that must be in it is not.
    #[error("its ID token has no `{claim}` that can be used")]
    Missing {
        /// What.
        claim: &'static str,
    },
    /// It says something else than it must.
    #[error("its ID token has `{came}` as `{claim}`, not `{expected}`")]
    Differs {
        /// Which claim.
        claim: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        came: String,
    },
    /// The nonce is not the one that was sent.
    #[error("its ID token answers another sign-in: the nonce differs")]
    Nonce,
    /// Its time is over.
    #[error(
        "its ID token expired {ago} s ago by this host's clock, which stands {since_issued} s after \
         the token was issued: the clocks differ, or the token is old"
    )]
    Expired {
        /// Seconds since `exp`.
        ago: i64,
        /// Seconds since `iat`.
        since_issued: i64,
    },
    /// Its time has not come.
    #[error(
        "its ID token is from {seconds} s in the future: this host's clock is {seconds} s behind, \
         or that of the identity provider is ahead"
    )]
    Future {
        /// How far `iat` or `nbf` lies ahead.
        seconds: i64,
    },
    /// What the `UserInfo` endpoint says is about another person, or about nobody.
    #[error("its UserInfo endpoint does not speak of the person in the ID token")]
    Userinfo,
    /// The keys cannot be read.
    #[error("its keys cannot be read")]
    Keys,
}

/// Returns whom a token speaks of.
///
/// # Errors
///
/// When it proves nothing at `now`, which is the wall clock's time.
pub fn verify(
    token: &str,
    keys: &Keys,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<SsoIdentity, TokenError> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Form);
    };
    let signed = token.get(..header.len() + 1 + payload.len()).ok_or(TokenError::Form)?;
    let header = object(header)?;
    // An extension that must be understood is understood by nobody here (RFC 7515, 4.1.11).
    if header.contains_key("crit") {
        return Err(TokenError::Form);
    }
    let algorithm = header.get("alg").and_then(Value::as_str).ok_or(TokenError::Form)?;
    let kid = header.get("kid").and_then(Value::as_str);
    keys.verify(signature, signed.as_bytes(), algorithm, kid)?;
    let claims = Claims(object(payload)?);
    claims.judge(expected, now)?;
    claims.identity(expected)
}

/// Adds the address that the `UserInfo` endpoint tells (section 5.3): where an access token is given
/// as well, an identity provider may leave it out of the ID token (section 5.4). An answer that is not
/// plain JSON, since it is signed, adds nothing.
///
/// # Errors
///
/// When the answer is about another person.
pub fn with_userinfo(person: SsoIdentity, body: &[u8]) -> Result<SsoIdentity, TokenError> {
    let Ok(claims) = serde_json::from_slice(body).map(Claims) else { return Ok(person) };
    if claims.text("sub") != Ok(&person.subject) {
        return Err(TokenError::Userinfo);
    }
    let email = claims.address("email");
    let email_verified = email.is_some() && claims.is_true("email_verified");
    Ok(SsoIdentity { email, email_verified, ..person })
}

/// What a verified token claims.
struct Claims(Map<String, Value>);

impl Claims {
    fn judge(&self, expected: &Expected<'_>, now: Timestamp) -> Result<(), TokenError> {
        self.same("iss", expected.issuer)?;
        self.audience(expected.client_id)?;
        if let Some(nonce) = expected.nonce
            && self.text("nonce")? != nonce
        {
            return Err(TokenError::Nonce);
        }
        self.times(now.as_seconds())?;
        expected.tenant.map_or(Ok(()), |tenant| self.same("tid", tenant))
    }

    /// The client must be among those for whom it is; with several, it must be the one to whom it
    /// was given.
    fn audience(&self, client_id: &str) -> Result<(), TokenError> {
        let said: Vec<&str> = match self.0.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => return Err(TokenError::Missing { claim: "aud" }),
        };
        if !said.contains(&client_id) {
            return Err(differs("aud", client_id, &said.join(" ")));
        }
        if said.len() > 1 || self.0.contains_key("azp") {
            self.same("azp", client_id)?;
        }
        Ok(())
    }

    fn times(&self, now: i64) -> Result<(), TokenError> {
        let (expires, issued) = (self.seconds("exp")?, self.seconds("iat")?);
        let not_before = if self.0.contains_key("nbf") { self.seconds("nbf")? } else { issued };
        let ahead = issued.max(not_before).saturating_sub(now);
        if ahead > LEEWAY_SECONDS {
            return Err(TokenError::Future { seconds: ahead });
        }
        let ago = now.saturating_sub(expires);
        if ago >= LEEWAY_SECONDS {
            return Err(TokenError::Expired { ago, since_issued: now.saturating_sub(issued) });
        }
        Ok(())
    }

    fn identity(&self, expected: &Expected<'_>) -> Result<SsoIdentity, TokenError> {
        let claimed = self.address("email");
        let (issuer, subject, verified, email) = match expected.tenant {
            None => (expected.issuer, self.text("sub")?, self.is_true("email_verified"), claimed),
            // Entra does not say that an address was verified. `xms_edov`, an optional claim, says
            // that the tenant owns its domain. A user name is never proof of an address.
            Some(tenant) => {
                let verified = claimed.is_some() && self.is_true("xms_edov");
                let email = claimed.or_else(|| self.address("preferred_username"));
                (tenant, self.text("oid")?, verified, email)
            }
        };
        Ok(SsoIdentity {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            email_verified: verified && email.is_some(),
            email,
        })
    }

    /// An address as it stands, but for upper case: one that has to be composed or trimmed first may
    /// be another mailbox there than the one that it looks like here.
    fn address(&self, claim: &'static str) -> Option<Email> {
        let text = self.text(claim).ok()?;
        let email: Email = text.parse().ok()?;
        (email.as_str() == text.to_ascii_lowercase()).then_some(email)
    }

    fn same(&self, claim: &'static str, expected: &str) -> Result<(), TokenError> {
        let came = self.text(claim)?;
        if came == expected { Ok(()) } else { Err(differs(claim, expected, came)) }
    }

    fn text(&self, claim: &'static str) -> Result<&str, TokenError> {
        let text = self.0.get(claim).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).ok_or(TokenError::Missing { claim })
    }

    /// A time in seconds; a fraction is allowed (RFC 7519, section 2) and cut.
    fn seconds(&self, claim: &'static str) -> Result<i64, TokenError> {
        let number = self.0.get(claim).and_then(Value::as_number);
        let whole = |number: &serde_json::Number| {
            number.as_i64().or_else(|| number.to_string().split_once('.')?.0.parse().ok())
        };
        number.and_then(whole).ok_or(TokenError::Missing { claim })
    }

    /// True for the ways in which identity providers write a yes: `true`, `"true"`, `1`, `"1"`.
    fn is_true(&self, claim: &str) -> bool {
        match self.0.get(claim) {
            Some(Value::Bool(yes)) => *yes,
            Some(Value::Number(number)) => number.as_i64() == Some(1),
            Some(Value::String(word)) => word == "true" || word == "1",
            _ => false,
        }
    }
}

fn differs(claim: &'static str, expected: &str, came: &str) -> TokenError {
    TokenError::Differs { claim, expected: text::shown(expected), came: text::shown(came) }
}

fn object(part: &str) -> Result<Map<String, Value>, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Form)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Form)
}

struct Kid<'a>(&'a Option<String>);

impl std::fmt::Display for Kid<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(kid) => write!(f, "`{kid}`"),
            None => f.write_str("without a name"),
        }
    }
}

/// How much clocks may differ.
pub const LEEWAY_SECONDS: i64 = 60;
