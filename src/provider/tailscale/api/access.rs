//! The way to the control server: who answers there is found out once, and remembered.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::Control;
use super::asking::Asker;
use super::headscale::{Headscale, Keys};
use super::headscale_wire::Version;
use super::said::{Deed, judge};
use super::token::Token;
use super::trouble::Trouble;
use super::v2::V2;
use super::wire;
use crate::domain::secret::Secret;
use crate::domain::time::Span;
use crate::http::{Http, Limits, Request};
use crate::provider::pace::Pace;

/// Where the control server is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its address; Tailscale's own where there is none.
    pub server: Option<String>,
    /// The tailnet; that of the key where there is none.
    pub tailnet: Option<String>,
    /// Whose keys are made, by name or id: a Headscale before 0.28 wants to know.
    pub user: Option<String>,
}

/// What the client of a control server needs: a list of ten thousand devices with all they are asked
/// for has twenty megabytes.
pub const LIMITS: Limits = Limits {
    connect: Span::from_seconds(5),
    total: Span::from_seconds(30),
    bytes_max: 64 * 1024 * 1024,
};

/// The way to a control server with one key.
pub struct Access {
    http: Http,
    place: Place,
    key: Secret,
    pace: Arc<dyn Pace>,
    found: OnceCell<Arc<dyn Control>>,
}

impl Access {
    /// The way with that key. Nothing is sent yet.
    pub fn new(http: Http, place: Place, key: Secret, pace: Arc<dyn Pace>) -> Self {
        Self { http, place, key, pace, found: OnceCell::new() }
    }

    /// Who answers. Tailscale need not be asked for that; a server is, until it answered once.
    ///
    /// # Errors
    ///
    /// When the key is one for something else, or nobody answers who is known.
    pub async fn control(&self) -> Result<Arc<dyn Control>, Trouble> {
        self.found.get_or_try_init(|| self.connect()).await.cloned()
    }

    async fn connect(&self) -> Result<Arc<dyn Control>, Trouble> {
        let tailnet = self.place.tailnet.as_deref().unwrap_or(OWN_TAILNET);
        let Some(server) = &self.place.server else {
            return Ok(Arc::new(V2::new(self.asker(TAILSCALE, true)?, tailnet)));
        };
        let asker = self.asker(server, false)?;
        if speaks_v2(&asker, tailnet).await? {
            return Ok(Arc::new(V2::new(asker, tailnet)));
        }
        let keys = ways_of_keys(&asker).await?;
        Ok(Arc::new(Headscale::new(asker, keys, self.place.user.clone())))
    }

    fn asker(&self, base: &str, at_tailscale: bool) -> Result<Asker, Trouble> {
        let token = Token::of(self.key.clone(), at_tailscale)
            .map_err(|why| Trouble::Key { server: "this host".to_owned(), why })?;
        Asker::new(self.http.clone(), base, token, self.pace.clone())
    }
}

/// Whether API v2 is served there. Whoever has it answers its list of keys, or that this is denied.
async fn speaks_v2(asker: &Asker, tailnet: &str) -> Result<bool, Trouble> {
    let request = Request::get(asker.url(&["api", "v2", "tailnet", tailnet, "keys"], &[]));
    let answer = asker.look(&request, PROBE).await?;
    match answer.status {
        200..=299 => Ok(answer.json::<wire::Keys>().is_ok()),
        403 => Ok(true),
        404 | 405 | 501 => Ok(false),
        _ => judge(answer, PROBE, &asker.server, &[asker.token.secret()]).map(|_| false),
    }
}

/// How a Headscale of v1 knows its keys; that it is one is seen as well.
async fn ways_of_keys(asker: &Asker) -> Result<Keys, Trouble> {
    let request = Request::get(asker.url(&["api", "v1", "apikey"], &[]));
    let answer = asker.look(&request, PROBE).await?;
    let nobody = |_| asker.not_offered(PROBE, None);
    judge(answer, PROBE, &asker.server, &[asker.token.secret()])
        .map_err(|why| if matches!(why, Trouble::Absent { .. }) { nobody(()) } else { why })?;
    let request = Request::get(asker.url(&["version"], &[]));
    let answer = asker.look(&request, PROBE).await?;
    let told = answer.is_success().then(|| answer.json::<Version>().ok()).flatten();
    match told.and_then(|version| version.minor()) {
        Some(..26) => Err(asker.not_offered(PROBE, None)),
        Some(26 | 27) => Ok(Keys::ByUser),
        Some(_) => Ok(Keys::ById),
        None => by_trying(asker).await,
    }
}

/// One that tells no version, as 0.26, or one built from its source: the keys of all are listed by
/// those alone that know them by id.
async fn by_trying(asker: &Asker) -> Result<Keys, Trouble> {
    let request = Request::get(asker.url(&["api", "v1", "preauthkey"], &[]));
    let answer = asker.look(&request, PROBE).await?;
    Ok(if answer.is_success() { Keys::ById } else { Keys::ByUser })
}

const TAILSCALE: &str = "https://api.tailscale.com";

const OWN_TAILNET: &str = "-";

const PROBE: Deed =
    Deed { words: "speak API v2, or the v1 of Headscale 0.26 and later", scope: "auth_keys:read" };
