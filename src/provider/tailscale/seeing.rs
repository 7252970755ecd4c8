//! Sees what can be done on a tailnet, ability by ability, and cheaply how it does.

use std::sync::Arc;

use super::Tailscale;
use super::api::{Control, Credential, CredentialKind, Device, Settings, Trouble};
use super::node::Tailscaled;
use super::own::host;
use crate::domain::probe::Probe;
use crate::domain::provider::{Health, Validation};
use crate::domain::tailscale::{DataPath, TailscaleSetup};
use crate::domain::text::counted;
use crate::domain::time::Timestamp;
use crate::provider::checks::Checks;
use crate::provider::key::Key;

impl Tailscale {
    /// Looks at everything that a session will need, in the order in which it needs it. What comes
    /// after something that is missing is not looked at.
    pub(super) async fn abilities(&self, now: Timestamp) -> Validation {
        let mut checks = Checks::start();
        let mut expires = None;
        if let Some(setup) = &self.setup {
            self.look_at_all(setup, &mut checks, &mut expires, now).await.ok();
        }
        Validation { probe: Probe { at: now, checks: checks.into_list() }, key_expires_at: expires }
    }

    async fn look_at_all(
        &self,
        setup: &TailscaleSetup,
        checks: &mut Checks,
        expires: &mut Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), ()> {
        let here = self.way_here(setup).await;
        let missing_here = checks.note(NODE, here).is_err();
        let key = match self.key_for(&setup.tailnet).await {
            Ok(key) => key,
            Err(why) => return checks.note(KEY, Err(why)),
        };
        let control = match self.access(&setup.tailnet, key).control().await {
            Ok(control) => control,
            Err(why) => return checks.note(blamed(&why), Err(why.to_string())),
        };
        let credential = match control.credential().await {
            Ok(credential) => credential,
            Err(why) => return checks.note(blamed(&why), Err(why.to_string())),
        };
        *expires = credential.expires;
        let anew = match &self.key {
            Key::Given(_) => "--key-file FILE".to_owned(),
            _ => format!("breakglass providers rotate-key {} --key-file FILE", self.id),
        };
        checks.note(KEY, whose_key(&credential, now, &anew))?;
        if let Some(warning) = credential.clock_warning() {
            checks.also(CLOCK, Err(warning));
        }
        let devices = control.devices().await.map_err(|why| why.to_string());
        let seen = devices.as_ref().map(|all| counted(all.len(), "node")).map_err(Clone::clone);
        checks.note(NODES, seen)?;
        for (name, scope) in SCOPES {
            checks.note(name, scope_of(&credential, scope))?;
        }
        if let Some(warning) = too_much(&credential) {
            checks.also(SCOPE, Err(warning));
        }
        self.look_at_policy_file(setup, checks, &control, &credential).await?;
        let settings = control.settings().await.unwrap_or_default();
        checks.also(APPROVAL, Ok(approval(&settings)));
        if let Some(warning) = locked(&devices.unwrap_or_default()) {
            checks.also(LOCK, Err(warning));
        }
        if missing_here { Err(()) } else { Ok(()) }
    }

    /// What leads from this host into the tailnet.
    async fn way_here(&self, setup: &TailscaleSetup) -> Result<String, String> {
        let tailnet = &setup.tailnet;
        match setup.data_path {
            DataPath::Node => {
                let variables = self.around.variables.clone();
                let version = Tailscaled::installed(variables, None).version().await;
                let version = version.map_err(|trouble| trouble.to_string())?;
                Ok(format!("`tailscaled` {version} is here, and needs no root"))
            }
            DataPath::Host => {
                let server = tailnet.server.as_ref().map(ToString::to_string).unwrap_or_default();
                host()?.check(&server).await.map_err(|trouble| trouble.to_string())?;
                Ok("this host's node is on, and uses routes of others".to_owned())
            }
        }
    }

    /// Sees whether both tags may be given, and whether the policy file may be edited.
    async fn look_at_policy_file(
        &self,
        setup: &TailscaleSetup,
        checks: &mut Checks,
        control: &Arc<dyn Control>,
        credential: &Credential,
    ) -> Result<(), ()> {
        let policy = control.policy().await.map_err(|why| why.to_string());
        if !setup.edit_policy {
            let tags = [&setup.router_tag, &setup.operator_tag];
            for tag in tags.into_iter().take(if setup.data_path == DataPath::Node { 2 } else { 1 })
            {
                let given = super::policing::may_give(
                    tag.as_str(),
                    &credential.tags,
                    policy.as_ref().ok().map(|policy| policy.text.as_str()),
                );
                match given {
                    Some(given) => checks.note(&format!("{TAG} {tag}"), given)?,
                    None => checks.also(&format!("{TAG} {tag}"), Err(UNSEEN_TAG.to_owned())),
                }
            }
            return Ok(());
        }
        let policy = match policy {
            Ok(policy) => policy,
            Err(why) => return checks.note(POLICY, Err(why)),
        };
        let settings = control.settings().await.unwrap_or_default();
        if settings.acls_externally_managed_on == Some(true) {
            return checks.note(POLICY, Err(kept_elsewhere(&settings)));
        }
        checks.note(POLICY, scope_of(credential, "policy_file"))?;
        let read = super::policy::check(&policy.text).map_err(|fault| fault.to_string());
        checks.note(POLICY_READ, read.map(|()| format!("{} bytes, read", policy.text.len())))?;
        if !policy.guarded {
            // It is so for good, and nobody can mend it: no reason to call the provider degraded.
            checks.also(GUARD, Ok(UNGUARDED.to_owned()));
        }
        Ok(())
    }

    /// Sees how it does: whether the key is taken.
    pub(super) async fn health(&self) -> Health {
        let Some(setup) = &self.setup else {
            return Health::Down { why: "it is not in the configuration".to_owned() };
        };
        let control = match self.control_of(&setup.tailnet).await {
            Ok(control) => control,
            Err(why) => return Health::Down { why },
        };
        match control.credential().await {
            Ok(credential) if credential.invalid => {
                Health::Down { why: "its key is revoked or over; give it another".to_owned() }
            }
            Ok(credential) => match credential.clock_warning() {
                Some(why) => Health::Degraded { why },
                None => Health::Healthy,
            },
            Err(why) => Health::Down { why: why.to_string() },
        }
    }
}

/// What is wrong where nothing comes of asking: the key, or the server and the way there.
const fn blamed(why: &Trouble) -> &'static str {
    match why {
        Trouble::Key { .. } | Trouble::Ability { .. } | Trouble::Tags { .. } => KEY,
        _ => SERVER,
    }
}

fn whose_key(credential: &Credential, now: Timestamp, anew: &str) -> Result<String, String> {
    if credential.invalid || credential.expires.is_some_and(|at| at <= now) {
        return Err(format!("it is revoked or over; make a new one and give it: `{anew}`"));
    }
    let kind = match credential.kind {
        CredentialKind::ApiToken => "an API access token of a person",
        CredentialKind::OAuthClient => "an OAuth client of the tailnet",
        CredentialKind::Headscale => "an API key of Headscale",
    };
    let days = credential.expires.map(|at| at.since(now).as_seconds() / DAY_SECONDS);
    Ok(match days {
        Some(0) => format!("{kind}, good for less than a day more"),
        Some(days) => format!("{kind}, good for {} more", counted(count(days), "day")),
        None => kind.to_owned(),
    })
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn scope_of(credential: &Credential, scope: &str) -> Result<String, String> {
    match credential.allows(scope) {
        Some(true) => Ok(format!("it has `{scope}`")),
        Some(false) => Err(format!("the key lacks the scope `{scope}`; give it that")),
        None => Ok("likely: the server does not say what the key may do".to_owned()),
    }
}

/// A key that may do everything does more harm than it must where it is lost.
fn too_much(credential: &Credential) -> Option<String> {
    let all = credential.scopes.iter().any(|scope| scope == "all");
    (all && credential.kind != CredentialKind::Headscale).then(|| {
        "the key may do everything; an OAuth client with `auth_keys`, `devices:core` and \
         `devices:routes` and one tag is enough"
            .to_owned()
    })
}

fn approval(settings: &Settings) -> String {
    match settings.devices_approval_on {
        Some(true) => "devices need approval; our keys are approved beforehand".to_owned(),
        Some(false) => "devices need no approval".to_owned(),
        None => "whether devices need approval is not shown; our keys are approved beforehand"
            .to_owned(),
    }
}

fn locked(devices: &[Device]) -> Option<String> {
    devices.iter().any(|device| device.lock_error.is_some()).then(|| {
        "tailnet lock is on: a router that joins with a key of the API is locked out until a \
         trusted node signs it"
            .to_owned()
    })
}

/// Where a policy file is kept that is not ours to edit.
pub(super) fn kept_elsewhere(settings: &Settings) -> String {
    let place = settings.acls_external_link.as_deref().unwrap_or("a repository");
    format!(
        "the policy file is kept in {}, and an edit here would be overwritten: write `edit-policy = \
         false`, and allow `tag:breakglass-operator` there what it needs",
        crate::domain::text::shown(place)
    )
}

const KEY: &str = "key";
const SERVER: &str = "server";
const CLOCK: &str = "clock";
const NODES: &str = "nodes";
const NODE: &str = "this side";
const TAG: &str = "tag";
const SCOPE: &str = "too much";
const POLICY: &str = "policy file";
const POLICY_READ: &str = "policy text";
const GUARD: &str = "policy guard";
const APPROVAL: &str = "approval";
const LOCK: &str = "tailnet lock";
const SCOPES: [(&str, &str); 3] =
    [("make keys", "auth_keys"), ("take nodes out", "devices:core"), ("routes", "devices:routes")];
const UNSEEN_TAG: &str = "the policy file is not shown to this key, so whether it may give this tag \
                          is seen only when a session is opened";
const UNGUARDED: &str = "the server takes a policy file over somebody else's; it is compared right \
                         before, which leaves a moment in which an edit can be lost";
const DAY_SECONDS: u64 = 86_400;
