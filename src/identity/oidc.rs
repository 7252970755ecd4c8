//! Single sign-on over HTTP: the thin caller of `discovery`, `device_flow` and `id_token`.
//!
//! It carries questions and answers and decides nothing. No lock is held while it waits, so an
//! identity provider that hangs delays nobody but those who sign in there.
//!
//! A client secret is sent as the identity provider wants it: by HTTP Basic, which is what holds
//! where it does not say (`OpenID` Connect Discovery 1.0, section 3), else in the form.
//!
//! An address that is not in the ID token is asked for at the `UserInfo` endpoint, except of Entra,
//! which does not say there whether it was verified.

mod cache;
mod probe;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use url::{Url, form_urlencoded};

use super::device_flow::{
    Answer, DeviceAnswer, DeviceFlow, EXPIRES_SECONDS_MAX, Grant, Next, Outcome, meaning,
};
use super::discovery::{self, DiscoveryError, Document};
use super::id_token::{self, Expected, Keys, TokenError};
use super::{PendingSignOn, Prompt, SingleSignOn, SsoError, SsoIdentity};
use crate::clock::{self, Clock};
use crate::domain::identity_provider::{IdpKind, IdpSettings};
use crate::domain::probe::Probe;
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::time::{Span, Timestamp};
use crate::http::{self, Http, HttpError, Request};
use cache::Cache;

/// Single sign-on with `OpenID` Connect. Cheap to clone; clones share what they have learnt.
#[derive(Clone, Debug)]
pub struct Oidc(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http: Http,
    cache: Mutex<Cache>,
    clock: Clock,
    second: Duration,
}

impl Oidc {
    /// Makes a caller.
    #[must_use]
    pub fn new(http: Http) -> Self {
        Self::at_pace(http, Duration::from_secs(1))
    }

    /// Makes a caller for which a second between two questions lasts `second`: rehearsals need not
    /// wait. The limits of an exchange over HTTP are those of `http`.
    #[must_use]
    pub fn at_pace(http: Http, second: Duration) -> Self {
        let second = second.max(Duration::from_micros(1));
        Self(Arc::new(Shared {
            http,
            cache: Mutex::default(),
            clock: Clock::starting_at(clock::wall()),
            second,
        }))
    }
}

#[async_trait]
impl SingleSignOn for Oidc {
    async fn probe(&self, idp: &IdpSettings, now: Timestamp) -> Probe {
        probe::look(&self.0, idp, now).await
    }

    async fn begin(
        &self,
        idp: &IdpSettings,
        secret: Option<&Secret>,
    ) -> Result<Box<dyn PendingSignOn>, SsoError> {
        let shared = Arc::clone(&self.0);
        let caller = Caller { shared, idp: idp.clone(), secret: secret.cloned() };
        let document = caller.document().await?;
        // Fetched before anybody types a code, which would be in vain without them.
        caller.known_keys(&document).await?;
        let (device, started) = caller.code(&document).await?;
        let prompt = caller.prompt(&device)?;
        let flow = DeviceFlow::new(device.expires_in, device.interval);
        Ok(Box::new(Pending { caller, document, device, prompt, flow, started }))
    }
}

/// One sign-in at one identity provider.
struct Pending {
    caller: Caller,
    document: Document,
    device: DeviceAnswer,
    prompt: Prompt,
    flow: DeviceFlow,
    started: Instant,
}

#[async_trait]
impl PendingSignOn for Pending {
    fn prompt(&self) -> Prompt {
        self.prompt.clone()
    }

    async fn finish(mut self: Box<Self>) -> Result<SsoIdentity, SsoError> {
        let outcome = loop {
            match self.flow.next(self.elapsed()) {
                Next::WaitUntil(then) => sleep_until(self.moment(then)).await,
                Next::Poll => {
                    let answer = self.caller.poll(&self.document, &self.device).await;
                    let now = self.elapsed();
                    self.flow.take_in(answer, now);
                }
                Next::Done(outcome) => break outcome,
            }
        };
        match outcome {
            Outcome::Granted(grant) => self.caller.judge(&self.document, grant).await,
            other => Err(self.caller.failed(other)),
        }
    }
}

impl Pending {
    /// The time since the code was given.
    fn elapsed(&self) -> Span {
        let seconds =
            self.started.elapsed().as_secs_f64() / self.caller.shared.second.as_secs_f64();
        Span::from_millis(
            Duration::try_from_secs_f64(seconds)
                .map_or(u64::MAX, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// The moment at which so much time has passed; a little later, so that it has.
    fn moment(&self, then: Span) -> Instant {
        self.started
            + self.caller.shared.second.mul_f64(then.to_std().as_secs_f64())
            + Duration::from_millis(1)
    }
}

/// Asks one identity provider.
struct Caller {
    shared: Arc<Shared>,
    idp: IdpSettings,
    secret: Option<Secret>,
}

impl Caller {
    async fn document(&self) -> Result<Document, SsoError> {
        let issuer = self.idp.issuer();
        if let Some(known) = self.shared.cache().document(&issuer, self.shared.clock.now()) {
            return Ok(known);
        }
        let request = Request::get(discovery::well_known(&issuer));
        let sent = self.shared.http.send(request).await;
        let answer = sent.and_then(http::Answer::success).map_err(|why| self.unanswered(&why))?;
        let document = discovery::read(answer.body(), &issuer).map_err(|why| match why {
            DiscoveryError::NoDeviceFlow => self.misconfigured(why.to_string()),
            why => self.untrusted(why.to_string()),
        })?;
        self.shared.cache().keep_document(document.clone(), self.shared.clock.now());
        Ok(document)
    }

    /// Asks for a code; returns it with the moment at which it began to count.
    async fn code(&self, document: &Document) -> Result<(DeviceAnswer, Instant), SsoError> {
        let scopes: Vec<_> = std::iter::once("openid")
            .chain(self.idp.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid"))
            .collect();
        let fields = vec![("scope", Secret::new(scopes.join(" ")))];
        let request = self.as_client(document, &document.device_authorization_endpoint, fields)?;
        let started = Instant::now();
        let answer = self.shared.http.send(request).await.map_err(|why| self.unanswered(&why))?;
        if answer.is_success() {
            return answer
                .json()
                .map(|device| (device, started))
                .map_err(|why| self.unanswered(&why));
        }
        Err(match refusal(&answer) {
            Some((code, detail)) => self.failed(meaning(&code, detail.as_deref())),
            None => self.unanswered(&answer.refusal()),
        })
    }

    /// What the person needs, if it can be shown to one.
    fn prompt(&self, device: &DeviceAnswer) -> Result<Prompt, SsoError> {
        let plain = Url::parse(&self.idp.issuer()).is_ok_and(|issuer| http::is_loopback(&issuer));
        let fit = |address: &str| {
            Url::parse(address).ok().filter(|url| discovery::is_fit(url.as_str(), plain))
        };
        let page = fit(&device.verification_uri).ok_or_else(|| {
            let shown = text::shown(&device.verification_uri);
            self.untrusted(format!("it sends people to `{shown}`, which is not https"))
        })?;
        let code = &device.user_code;
        if code.trim().is_empty() || code.chars().count() > USER_CODE_CHARS_MAX {
            return Err(self.untrusted("it gave no code that a person could type".into()));
        }
        // A code for the camera must not lead elsewhere than the address beside it.
        let complete = device.verification_uri_complete.as_deref().and_then(fit);
        let complete = complete.filter(|complete| complete.origin() == page.origin());
        Ok(Prompt {
            user_code: text::shown(code),
            // A URL as the parser writes it holds nothing that a terminal would act on.
            verification_uri: page.as_str().to_owned(),
            verification_uri_complete: complete.map(|url| url.as_str().to_owned()),
            expires_in_seconds: device.expires_in.min(EXPIRES_SECONDS_MAX),
        })
    }

    /// Asks whether the person has decided.
    async fn poll(&self, document: &Document, device: &DeviceAnswer) -> Answer {
        let fields = vec![
            ("grant_type", Secret::new(DEVICE_CODE_GRANT)),
            ("device_code", device.device_code.clone()),
        ];
        let request = match self.as_client(document, &document.token_endpoint, fields) {
            Ok(request) => request,
            Err(why) => return Answer::Trouble { why: why.to_string(), retry_after: None },
        };
        let answer = match self.shared.http.send(request).await {
            Ok(answer) => answer,
            Err(why) => return Answer::Trouble { why: why.to_string(), retry_after: None },
        };
        let trouble = |why: HttpError| Answer::Trouble {
            why: why.to_string(),
            retry_after: answer.retry_after,
        };
        if answer.is_success() {
            return answer.json().map_or_else(trouble, Answer::Granted);
        }
        match refusal(&answer) {
            Some((code, detail)) if answer.status < 500 => Answer::Refused { code, detail },
            _ => trouble(answer.refusal()),
        }
    }

    async fn judge(&self, document: &Document, grant: Grant) -> Result<SsoIdentity, SsoError> {
        let Some(token) = grant.id_token else {
            return Err(
                self.untrusted("it gave no ID token; is the scope `openid` allowed?".into())
            );
        };
        let tenant = match &self.idp.kind {
            IdpKind::EntraId { tenant } => Some(tenant.as_str()),
            IdpKind::Oidc { .. } => None,
        };
        let expected = Expected {
            issuer: &document.issuer,
            client_id: &self.idp.client_id,
            nonce: None,
            tenant,
        };
        let verify = |keys| id_token::verify(token.expose(), &keys, &expected, clock::wall());
        let judged = match verify(self.known_keys(document).await?) {
            Err(TokenError::UnknownKey { .. }) if self.may_ask_again(document) => {
                verify(self.keys(document).await?)
            }
            other => other,
        };
        let person = judged.map_err(|why| self.untrusted(why.to_string()))?;
        match (&document.userinfo_endpoint, grant.access_token) {
            (Some(endpoint), Some(access)) if person.email.is_none() && tenant.is_none() => {
                self.more(person, endpoint, &access).await
            }
            _ => Ok(person),
        }
    }

    /// Asks for the address of a person whose ID token has none. No answer is no obstacle: only the
    /// first sign-in needs the address.
    async fn more(
        &self,
        person: SsoIdentity,
        endpoint: &str,
        access: &Secret,
    ) -> Result<SsoIdentity, SsoError> {
        let sent = self.shared.http.send(Request::get(endpoint).bearer(access)).await;
        match sent.and_then(http::Answer::success) {
            Ok(answer) => id_token::with_userinfo(person, answer.body())
                .map_err(|why| self.untrusted(why.to_string())),
            Err(why) => {
                tracing::info!(idp = %self.idp.id, %why, "the UserInfo endpoint does not answer");
                Ok(person)
            }
        }
    }

    fn may_ask_again(&self, document: &Document) -> bool {
        self.shared.cache().may_ask_again(&document.issuer, self.shared.clock.now())
    }

    async fn known_keys(&self, document: &Document) -> Result<Keys, SsoError> {
        let known = self.shared.cache().keys(&document.issuer, self.shared.clock.now());
        match known {
            Some(keys) => Ok(keys),
            None => self.keys(document).await,
        }
    }

    async fn keys(&self, document: &Document) -> Result<Keys, SsoError> {
        let sent = self.shared.http.send(Request::get(&document.jwks_uri)).await;
        let answer = sent.and_then(http::Answer::success).map_err(|why| self.unanswered(&why))?;
        let keys = Keys::read(answer.body()).map_err(|why| self.untrusted(why.to_string()))?;
        self.shared.cache().keep_keys(&document.issuer, keys.clone(), self.shared.clock.now());
        Ok(keys)
    }

    /// A form that says which client sends it.
    fn as_client(
        &self,
        document: &Document,
        url: &str,
        mut fields: Vec<(&'static str, Secret)>,
    ) -> Result<Request, SsoError> {
        fields.push(("client_id", Secret::new(&self.idp.client_id)));
        let Some(secret) = &self.secret else {
            return Ok(Request::post(url).form(fields));
        };
        let methods = document.token_auth_methods.as_deref();
        let takes = |method: &str| methods.is_some_and(|all| all.iter().any(|it| it == method));
        if methods.is_none() || takes("client_secret_basic") {
            // Both halves are encoded as in a form first (RFC 6749, section 2.3.1).
            let encoded = |text: &str| -> String {
                form_urlencoded::byte_serialize(text.as_bytes()).collect()
            };
            let password = Secret::new(encoded(secret.expose()));
            let request = Request::post(url).basic(&encoded(&self.idp.client_id), &password);
            return Ok(request.form(fields));
        }
        if takes("client_secret_post") {
            fields.push(("client_secret", secret.clone()));
            return Ok(Request::post(url).form(fields));
        }
        Err(self.misconfigured(
            "it takes no client secret, by HTTP Basic or in a form; register a public client, or \
             one with a secret"
                .into(),
        ))
    }

    fn unanswered(&self, why: &HttpError) -> SsoError {
        match why {
            HttpError::NoUrl { .. }
            | HttpError::NotHttps { .. }
            | HttpError::Userinfo { .. }
            | HttpError::Unsendable => self.misconfigured(why.to_string()),
            HttpError::Redirected { .. }
            | HttpError::TooLarge { .. }
            | HttpError::NotJson { .. } => self.untrusted(why.to_string()),
            _ => SsoError::Unreachable { idp: self.name(), why: why.to_string() },
        }
    }

    fn failed(&self, outcome: Outcome) -> SsoError {
        match outcome {
            Outcome::Declined => SsoError::Declined { idp: self.name() },
            Outcome::Expired => SsoError::Expired { idp: self.name() },
            Outcome::Unreachable(why) => SsoError::Unreachable { idp: self.name(), why },
            Outcome::Misconfigured(why) => self.misconfigured(why),
            Outcome::Untrusted(why) => self.untrusted(why),
            Outcome::Granted(_) => self.untrusted("it granted what was not asked for".into()),
        }
    }

    fn misconfigured(&self, why: String) -> SsoError {
        SsoError::Misconfigured { idp: self.name(), why }
    }

    fn untrusted(&self, why: String) -> SsoError {
        SsoError::Untrusted { idp: self.name(), why }
    }

    fn name(&self) -> String {
        self.idp.id.to_string()
    }
}

impl Shared {
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of OAuth in an answer (RFC 6749, section 5.2), and Entra's number for it. The prose
/// beside them is left out: nobody knows what it quotes.
fn refusal(answer: &http::Answer) -> Option<(String, Option<String>)> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    let refusal: Refusal = answer.json().ok()?;
    let number = refusal.error_description.and_then(|prose| {
        let at = prose.find(ENTRA_NUMBER)?;
        let digits = prose.get(at + ENTRA_NUMBER.len()..)?;
        let digits: String = digits.chars().take_while(char::is_ascii_digit).take(10).collect();
        (!digits.is_empty()).then(|| format!("{ENTRA_NUMBER}{digits}"))
    });
    Some((text::shown(&refusal.error), number))
}

const DEVICE_CODE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

const ENTRA_NUMBER: &str = "AADSTS";

const USER_CODE_CHARS_MAX: usize = 64;
