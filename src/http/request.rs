//! What is asked, and what came back.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, IF_MATCH};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::error::HttpError;
use crate::domain::secret::Secret;
use crate::domain::time::{Span, Timestamp};

/// What to ask. Credentials and bodies are shown nowhere.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    url: String,
    authorization: Option<Secret>,
    secret: Option<(&'static str, Secret)>,
    accept: &'static str,
    if_match: Option<String>,
    body: Option<(&'static str, Secret)>,
    total: Option<Span>,
}

impl Request {
    /// A request with any method.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            authorization: None,
            secret: None,
            accept: JSON,
            if_match: None,
            body: None,
            total: None,
        }
    }

    /// A `GET`.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// A `HEAD`.
    #[must_use]
    pub fn head(url: impl Into<String>) -> Self {
        Self::new(Method::HEAD, url)
    }

    /// A `POST`.
    #[must_use]
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::POST, url)
    }

    /// A `PUT`.
    #[must_use]
    pub fn put(url: impl Into<String>) -> Self {
        Self::new(Method::PUT, url)
    }

    /// A `DELETE`.
    #[must_use]
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// Asks for another kind of answer than JSON.
    #[must_use]
    pub fn accept(mut self, kind: &'static str) -> Self {
        self.accept = kind;
        self
    }

    /// Asks for the change only where the thing still bears that tag (RFC 9110, section 13.1.1).
    #[must_use]
    pub fn if_match(mut self, etag: impl Into<String>) -> Self {
        self.if_match = Some(etag.into());
        self
    }

    /// Sends a text of that kind.
    #[must_use]
    pub fn text(mut self, kind: &'static str, body: impl Into<String>) -> Self {
        self.body = Some((kind, Secret::new(body)));
        self
    }

    /// Sends fields as a form does.
    #[must_use]
    pub fn form<'a>(mut self, fields: impl IntoIterator<Item = (&'a str, Secret)>) -> Self {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            form.append_pair(name, value.expose());
        }
        self.body = Some(("application/x-www-form-urlencoded", Secret::new(form.finish())));
        self
    }

    /// Sends JSON.
    ///
    /// # Errors
    ///
    /// When the value has no form in JSON.
    pub fn json(mut self, value: &impl Serialize) -> Result<Self, HttpError> {
        let text = serde_json::to_string(value).map_err(|_| HttpError::Unsendable)?;
        self.body = Some((JSON, Secret::new(text)));
        Ok(self)
    }

    /// Says who asks by a name and a password (RFC 7617).
    #[must_use]
    pub fn basic(mut self, name: &str, password: &Secret) -> Self {
        let pair = Zeroizing::new(format!("{name}:{}", password.expose()));
        self.authorization = Some(Secret::new(format!("Basic {}", STANDARD.encode(&*pair))));
        self
    }

    /// Says who asks by a token (RFC 6750).
    #[must_use]
    pub fn bearer(mut self, token: &Secret) -> Self {
        self.authorization = Some(Secret::new(format!("Bearer {}", token.expose())));
        self
    }

    /// Says who asks by a header of the other side's own.
    #[must_use]
    pub fn header_secret(mut self, name: &'static str, secret: &Secret) -> Self {
        self.secret = Some((name, secret.clone()));
        self
    }

    /// Leaves the exchange less time than the client's limit.
    #[must_use]
    pub fn within(mut self, total: Span) -> Self {
        self.total = Some(total);
        self
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn total(&self) -> Option<Span> {
        self.total
    }

    pub(super) fn into_sendable(
        self,
        client: &Client,
        url: Url,
    ) -> Result<RequestBuilder, HttpError> {
        let mut sent = client.request(self.method, url).header(ACCEPT, self.accept);
        if let Some(etag) = self.if_match {
            let value = HeaderValue::from_str(&etag).map_err(|_| HttpError::Unsendable)?;
            sent = sent.header(IF_MATCH, value);
        }
        if let Some(authorization) = self.authorization {
            sent = sent.header(AUTHORIZATION, sensitive(&authorization)?);
        }
        if let Some((name, secret)) = self.secret {
            sent = sent.header(name, sensitive(&secret)?);
        }
        if let Some((kind, body)) = self.body {
            sent = sent.header(CONTENT_TYPE, kind).body(body.expose().to_owned());
        }
        Ok(sent)
    }
}

/// A value that no library shows.
fn sensitive(secret: &Secret) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| HttpError::Unsendable)?;
    value.set_sensitive(true);
    Ok(value)
}

/// What came back, whole. Its body is shown nowhere.
pub struct Answer {
    /// Where it came from; clean, without a query.
    pub address: String,
    /// The status code.
    pub status: u16,
    /// How long the other side wants to be left alone.
    pub retry_after: Option<Span>,
    /// What its clock shows.
    pub date: Option<Timestamp>,
    /// The tag of the version that was sent, as it stands in the header.
    pub etag: Option<String>,
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    pub(super) fn new(
        address: String,
        status: StatusCode,
        retry_after: Option<Span>,
        date: Option<Timestamp>,
        etag: Option<String>,
        body: Zeroizing<Vec<u8>>,
    ) -> Self {
        Self { address, status: status.as_u16(), retry_after, date, etag, body }
    }

    /// True for a status of 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer itself, where its status is one of success.
    ///
    /// # Errors
    ///
    /// What the status means, where it is not.
    pub fn success(self) -> Result<Self, HttpError> {
        if self.is_success() { Ok(self) } else { Err(self.refusal()) }
    }

    /// What its status means, as an error.
    #[must_use]
    pub fn refusal(&self) -> HttpError {
        HttpError::Status {
            address: self.address.clone(),
            status: self.status,
            retry_after: self.retry_after,
        }
    }

    /// The body. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    ///
    /// When it is something else. The error quotes nothing of it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(|wrong| HttpError::NotJson {
            address: self.address.clone(),
            line: wrong.line(),
            column: wrong.column(),
        })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("address", &self.address)
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_breaks_the_line_is_never_sent() {
        let url = || Url::parse("https://api.example.com").unwrap();
        let secret = Secret::new("hunter2\r\nx-admin: yes");
        for request in [
            Request::get(url()).header_secret("x-api-key", &secret),
            Request::get(url()).bearer(&secret),
        ] {
            let refused = request.into_sendable(&Client::new(), url()).unwrap_err();
            assert_eq!(refused, HttpError::Unsendable);
        }
    }

    #[test]
    fn nothing_secret_is_shown_for_debugging() {
        let request = Request::post("https://idp.example.com/token")
            .basic("breakglass", &Secret::new("hunter2"))
            .form([("device_code", Secret::new("hunter2"))]);
        assert!(!format!("{request:?}").contains("hunter2"));
        assert!(!format!("{request:?}").contains(&STANDARD.encode("breakglass:hunter2")));
        let token = Request::get("https://idp.example.com").bearer(&Secret::new("hunter2"));
        assert!(!format!("{token:?}").contains("hunter2"));
        let own = Request::head("https://api.example.com")
            .header_secret("x-api-key", &Secret::new("hunter2"));
        assert!(!format!("{own:?}").contains("hunter2"));
        let url = Url::parse("https://api.example.com").unwrap();
        let sent = own.into_sendable(&Client::new(), url).unwrap().build().unwrap();
        assert_eq!(
            (sent.method(), sent.headers()["x-api-key"].as_bytes()),
            (&Method::HEAD, b"hunter2".as_slice())
        );
        assert!(
            sent.headers()["x-api-key"].is_sensitive() && !format!("{sent:?}").contains("hunter2")
        );
        let body = br#"{"token":"hunter2"}"#.to_vec();
        let answer = Answer::new("https://x".into(), StatusCode::OK, None, None, None, body.into());
        assert!(!format!("{answer:?}").contains("hunter2"));
        let wrong = answer.json::<Vec<u8>>().unwrap_err();
        assert!(!format!("{wrong} {wrong:?}").contains("hunter2"));
    }
}
