//! Asking the control server: few at once, with patience where a repetition does no harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Semaphore;
use url::Url;

use super::said::{Deed, judge};
use super::token::Token;
use super::trouble::Trouble;
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::time::{Span, Timestamp};
use crate::http::{Answer, Http, HttpError, Phase, Request};
use crate::provider::change::Doubtful as _;
use crate::provider::pace::Pace;

/// Whether a request may be sent again when nobody knows what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Once, whatever happens.
    Never,
    /// It reads, takes away or sets a state: twice is as good as once.
    Safe,
}

/// One who asks.
pub struct Asker {
    http: Http,
    base: Url,
    /// The server, as it is shown.
    pub server: String,
    /// What is spoken with.
    pub token: Token,
    turns: Semaphore,
    pace: Arc<dyn Pace>,
    /// This host's clock minus the server's, in milliseconds, as of the last answer.
    ahead: AtomicI64,
}

impl Asker {
    /// One for a server; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When the address is none.
    pub fn new(http: Http, base: &str, token: Token, pace: Arc<dyn Pace>) -> Result<Self, Trouble> {
        let wrong = |why: HttpError| Trouble::Unreachable { why: why.to_string(), passing: false };
        let no_url = || wrong(HttpError::NoUrl { text: text::shown(base) });
        let url = Url::parse(base).map_err(|_| no_url())?;
        if url.cannot_be_a_base() || url.host().is_none() || url.password().is_some() {
            return Err(no_url());
        }
        let server = format!("`{}`", text::shown(&url.origin().ascii_serialization()));
        let turns = Semaphore::new(AT_ONCE);
        Ok(Self { http, base: url, server, token, turns, pace, ahead: AtomicI64::new(UNKNOWN) })
    }

    /// The address of something: every segment escaped.
    pub fn url(&self, path: &[&str], query: &[(&str, &str)]) -> String {
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url.into()
    }

    /// Asks, and gives back an answer of success.
    ///
    /// # Errors
    ///
    /// What is to be done about it, where there is none.
    pub async fn ask(
        &self,
        request: Request,
        deed: Deed,
        repeat: Repeat,
    ) -> Result<Answer, Trouble> {
        let mut doubt = None;
        let mut pause = FIRST_PAUSE;
        for left in (0..ATTEMPTS).rev() {
            let why = match self.once(&request, deed).await {
                Ok(answer) => return Ok(answer),
                Err(why) => why,
            };
            let wait = match &why {
                Trouble::Busy { wait: Some(wait), .. } => *wait,
                _ => pause,
            };
            let last = repeat == Repeat::Never || left == 0 || wait > PATIENCE;
            if last || !why.is_passing() {
                // What an earlier attempt may have done, a later one that never arrived does not undo.
                let settles = !why.is_passing() && !matches!(why, Trouble::Unreachable { .. });
                return Err(if settles { why } else { doubt.unwrap_or(why) });
            }
            if why.leaves_doubt() {
                doubt = Some(why);
            }
            self.pace.pause(wait).await;
            pause = pause + pause;
        }
        Err(doubt.unwrap_or(Trouble::Unreachable { why: NEVER_ASKED.to_owned(), passing: true }))
    }

    /// Asks for something that may not be there.
    ///
    /// # Errors
    ///
    /// As [`Self::ask`] has them, but that it is not there.
    pub async fn find(&self, request: Request, deed: Deed) -> Result<Option<Answer>, Trouble> {
        match self.ask(request, deed, Repeat::Safe).await {
            Ok(answer) => Ok(Some(answer)),
            Err(Trouble::Absent { .. }) => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// That it is not clear, where it is not what was expected.
    pub fn read<T: serde::de::DeserializeOwned>(
        &self,
        answer: &Answer,
        deed: Deed,
    ) -> Result<T, Trouble> {
        answer.json().map_err(|why| self.unclear(deed, why.to_string()))
    }

    /// That nobody knows what came of it.
    pub fn unclear(&self, deed: Deed, why: impl Into<String>) -> Trouble {
        Trouble::Unclear { server: self.server.clone(), deed: deed.words, why: why.into() }
    }

    /// That the server cannot do it.
    pub fn not_offered(&self, deed: Deed, said: Option<String>) -> Trouble {
        Trouble::NotOffered { server: self.server.clone(), deed: deed.words, said }
    }

    /// That the server will not do it.
    pub fn refused(&self, deed: Deed, said: impl Into<String>) -> Trouble {
        Trouble::Refused { server: self.server.clone(), deed: deed.words, said: Some(said.into()) }
    }

    /// What the server's clock shows, as far as that is known.
    pub fn server_now(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Relaxed);
        self.pace.now().offset(if ahead == UNKNOWN { 0 } else { ahead.saturating_neg() })
    }

    /// How far this host's clock is ahead of the server's, where that is worth a word.
    pub fn clock_ahead_millis(&self) -> Option<i64> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        (ahead != UNKNOWN && ahead.unsigned_abs() > SKEW_MILLIS_MAX).then_some(ahead)
    }

    /// Asks once, and gives back whatever comes.
    ///
    /// # Errors
    ///
    /// When nothing comes.
    pub async fn look(&self, request: &Request, deed: Deed) -> Result<Answer, Trouble> {
        self.raw(request, deed).await.map(|(answer, _)| answer)
    }

    async fn once(&self, request: &Request, deed: Deed) -> Result<Answer, Trouble> {
        let (answer, token) = self.raw(request, deed).await?;
        judge(answer, deed, &self.server, &[&token, self.token.secret()])
    }

    /// One attempt; a token that was refused is minted anew, as a refusal changes nothing.
    async fn raw(&self, request: &Request, deed: Deed) -> Result<(Answer, Secret), Trouble> {
        let closed = |_| Trouble::Unreachable { why: NEVER_ASKED.to_owned(), passing: false };
        let _turn = self.turns.acquire().await.map_err(closed)?;
        let token = self.current().await?;
        let answer = self.send(request, &token, deed).await?;
        if answer.status != 401 || !self.token.forget(&token).await {
            return Ok((answer, token));
        }
        let token = self.current().await?;
        Ok((self.send(request, &token, deed).await?, token))
    }

    async fn current(&self) -> Result<Secret, Trouble> {
        let endpoint = self.url(&["api", "v2", "oauth", "token"], &[]);
        self.token.current(&self.http, &endpoint, &self.server, self.pace.now()).await
    }

    async fn send(&self, request: &Request, token: &Secret, deed: Deed) -> Result<Answer, Trouble> {
        let sent = self.http.send(request.clone().bearer(token)).await;
        let answer = sent.map_err(|why| self.unsent(&why, deed))?;
        if let Some(date) = answer.date {
            let ahead = self.pace.now().as_millis().saturating_sub(date.as_millis());
            self.ahead.store(ahead, Ordering::Relaxed);
        }
        Ok(answer)
    }

    /// Tells what never left this host from what may have arrived.
    fn unsent(&self, why: &HttpError, deed: Deed) -> Trouble {
        let said = why.to_string();
        match why {
            HttpError::Refused { .. }
            | HttpError::NoAddress { .. }
            | HttpError::TimedOut { phase: Phase::Connecting, .. } => {
                Trouble::Unreachable { why: said, passing: true }
            }
            HttpError::Broken { .. }
            | HttpError::TimedOut { .. }
            | HttpError::TooLarge { .. }
            | HttpError::NotJson { .. }
            | HttpError::Status { .. } => self.unclear(deed, said),
            HttpError::UnknownCa { .. } => {
                let why = format!("{said}, or name its file: {CA_FILE}");
                Trouble::Unreachable { why, passing: false }
            }
            _ => Trouble::Unreachable { why: said, passing: false },
        }
    }
}

/// A router is no part of this host: what is trusted here is not trusted there.
const CA_FILE: &str = "`--ca-file FILE`, or `ca-file` in the configuration; the hosts of routers must \
                       trust it too";
/// How many requests are under way at once: nobody knows the server's limit.
const AT_ONCE: usize = 4;

/// How often something is tried that may be repeated.
const ATTEMPTS: u32 = 3;

/// What is waited after the first failure; twice that after the second.
const FIRST_PAUSE: Span = Span::from_seconds(1);

/// The longest that a server is obeyed which wants to be left alone.
const PATIENCE: Span = Span::from_seconds(10);

/// A clock may be so far off before it is told.
const SKEW_MILLIS_MAX: u64 = 60_000;

const UNKNOWN: i64 = i64::MIN;

const NEVER_ASKED: &str = "the control server was not asked, as this program is ending";
