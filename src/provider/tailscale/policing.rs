//! The tailnet's policy file, where it is edited for a session.
//!
//! Every edit is made on the text that is there at that moment, with the mark of the server against
//! somebody else's edit; the inverse edit likewise. The text before the edit is kept as a file.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::Deserialize as _;
use serde_json::json;

use super::Tailscale;
use super::api::{Change, Control, PolicyText, Trouble};
use super::nodes::Pauses;
use super::policy::{self, Added, Presence, Reverted, Wanted, edit, presence, revert};
use super::seeing::kept_elsewhere;
use super::steps::{self, Action};
use crate::clock;
use crate::domain::artifact::Artifact;
use crate::domain::text::shown;
use crate::provider::pace::Pace;
use crate::provider::{Order, StepCall};
use crate::session::{Applied, Looked, Undone};

impl Tailscale {
    /// Says what an edit for an order would change, as the lines of a diff.
    pub(super) async fn changes_in_policy(&self, order: &Order) -> Result<Vec<String>, String> {
        let Some(setup) = self.setup.as_ref().filter(|setup| setup.edit_policy) else {
            return Ok(vec![]);
        };
        let action = steps::action(setup, &self.around.dir, order)?;
        let control = self.control(&action).await?;
        let route = self.route_for(&action, order.session, &order.marker.session).await?;
        let wanted = self.wanted(&*control, &action, route.address()).await?;
        let policy = control.policy().await.map_err(|why| why.to_string())?;
        let edited = edit(&policy.text, &wanted).map_err(|fault| fault.to_string())?;
        Ok(policy::diff(&policy.text, &edited.text).lines().map(ToOwned::to_owned).collect())
    }

    /// Lets the session's node reach the target, and nothing else.
    pub(super) async fn edit_policy(&self, action: &Action, call: StepCall<'_>) -> Applied {
        let control = match self.control(action).await {
            Ok(control) => control,
            Err(why) => return Applied::Refused(why),
        };
        let route = steps::route(call.steps);
        let wanted = match route {
            Ok(route) => self.wanted(&*control, action, route.address()).await,
            Err(why) => Err(why),
        };
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(why) => return Applied::Refused(why),
        };
        let added = match self.write_edit(&*control, action, &wanted).await {
            Ok(added) => added,
            Err(outcome) => return outcome,
        };
        let tag = action.operator_tag.as_str();
        let route = wanted.target.ip();
        if let Ok(Some(false)) = control.may_reach(tag, route, action.port).await {
            let why = format!("the server says that `{tag}` may not reach `{route}` even so");
            return match take_back(&*control, &*self.around.pace, &added).await {
                Ok(()) => Applied::Refused(why),
                Err(left) => Applied::Unknown(format!("{why}; and the edit is left: {left}")),
            };
        }
        Applied::Applied(Some(rule(action, &added)))
    }

    /// What is to be added, by the route that was chosen and by who may give tags.
    async fn wanted(
        &self,
        control: &dyn Control,
        action: &Action,
        address: IpAddr,
    ) -> Result<Wanted, String> {
        let settings = control.settings().await.unwrap_or_default();
        if settings.acls_externally_managed_on == Some(true) {
            return Err(kept_elsewhere(&settings));
        }
        let credential = control.credential().await.map_err(|why| why.to_string())?;
        Ok(wanted(action, address, credential.tags))
    }

    /// Writes the edit, again where somebody else was faster.
    async fn write_edit(
        &self,
        control: &dyn Control,
        action: &Action,
        wanted: &Wanted,
    ) -> Result<Added, Applied> {
        let refused = |why: String| Applied::Refused(why);
        let _turn = self.editing.lock().await;
        let mut pauses = Pauses::default();
        for _ in 0..TRIES {
            let policy = control.policy().await.map_err(|why| refused(why.to_string()))?;
            let edited = edit(&policy.text, wanted).map_err(|fault| refused(fault.to_string()))?;
            approved(control, &edited.text).await.map_err(refused)?;
            keep_copy(&self.around.backups.join(self.id.as_str()), action, &policy)
                .map_err(|error| refused(format!("no copy of it can be kept: {error}")))?;
            match control.put_policy(&edited.text, &policy.etag).await {
                Change::Made(_) => return Ok(edited.added),
                Change::Refused(Trouble::Conflict) => {
                    self.around.pace.pause(pauses.next()).await;
                }
                Change::Refused(why) => return Err(refused(why.to_string())),
                Change::Unknown(why) => {
                    let seen = control.policy().await.ok();
                    let seen = seen.and_then(|policy| presence(&policy.text, &edited.added).ok());
                    return match seen {
                        Some(Presence::All) => Ok(edited.added),
                        _ => Err(Applied::Unknown(why.to_string())),
                    };
                }
            }
        }
        Err(refused(MOVED.to_owned()))
    }

    /// Sees whether anything of the edit is in the policy file.
    pub(super) async fn look_at_policy(&self, action: &Action, call: StepCall<'_>) -> Looked {
        let control = match self.control(action).await {
            Ok(control) => control,
            Err(why) => return Looked::Unclear(why),
        };
        let (policy, added) = match self.edited(&*control, action, call).await {
            Ok(found) => found,
            Err(why) => return Looked::Unclear(why),
        };
        match presence(&policy.text, &added) {
            Ok(Presence::None) => Looked::Absent,
            Ok(Presence::All | Presence::Part) => Looked::Found(rule(action, &added)),
            Err(fault) => Looked::Unclear(fault.to_string()),
        }
    }

    /// Takes the edit back out of the text that is there now.
    pub(super) async fn revert_policy(&self, action: &Action, call: StepCall<'_>) -> Undone {
        let control = match self.control(action).await {
            Ok(control) => control,
            Err(why) => return Undone::Problem(why),
        };
        let taken = match self.edited(&*control, action, call).await {
            Ok((_, added)) => {
                let _turn = self.editing.lock().await;
                take_back(&*control, &*self.around.pace, &added).await
            }
            Err(why) => Err(why),
        };
        taken.map_or_else(Undone::Problem, |()| Undone::Sent)
    }

    /// The policy file, and what was added to it: as it was written down, else as it must have been.
    async fn edited(
        &self,
        control: &dyn Control,
        action: &Action,
        call: StepCall<'_>,
    ) -> Result<(PolicyText, Added), String> {
        let policy = control.policy().await.map_err(|why| why.to_string())?;
        let noted = call.artifact.and_then(|known| known.details.get("added"));
        if let Some(added) = noted.and_then(|added| Added::deserialize(added).ok()) {
            return Ok((policy, added));
        }
        let credential = control.credential().await.map_err(|why| why.to_string())?;
        let address = steps::route(call.steps).map_or(action.address, |route| route.address());
        let added = policy::whatever(&wanted(action, address, credential.tags));
        Ok((policy, added))
    }
}

/// Takes an edit back, again where somebody else was faster.
async fn take_back(control: &dyn Control, pace: &dyn Pace, added: &Added) -> Result<(), String> {
    let mut pauses = Pauses::default();
    for _ in 0..TRIES {
        let policy = control.policy().await.map_err(|why| why.to_string())?;
        let text = match revert(&policy.text, added).map_err(|fault| fault.to_string())? {
            Reverted::NothingLeft { .. } => return Ok(()),
            Reverted::Text { text, .. } => text,
        };
        match control.put_policy(&text, &policy.etag).await {
            Change::Made(_) => return Ok(()),
            Change::Refused(Trouble::Conflict) => pace.pause(pauses.next()).await,
            Change::Refused(why) | Change::Unknown(why) => return Err(why.to_string()),
        }
    }
    Err(MOVED.to_owned())
}

/// Asks the server what it thinks of a text, where it has an opinion.
async fn approved(control: &dyn Control, text: &str) -> Result<(), String> {
    match control.validate_policy(text).await {
        Ok(verdict) if verdict.is_good() => Ok(()),
        Ok(verdict) => Err(format!(
            "the control server would not take the edited policy file: {}",
            verdict.errors.join("; ")
        )),
        Err(Trouble::NotOffered { .. }) => Ok(()),
        Err(why) => Err(why.to_string()),
    }
}

/// What is to be added for a session. Its tags are its own, so that nobody else's rule is meant.
fn wanted(action: &Action, address: IpAddr, owners: Vec<String>) -> Wanted {
    Wanted {
        operator_tag: action.operator_tag.to_string(),
        router_tag: action.router_tag.to_string(),
        owners,
        target: SocketAddr::new(address, action.port),
        route: None,
    }
}

fn rule(action: &Action, added: &Added) -> Artifact {
    Artifact {
        kind: "policy rule".to_owned(),
        name: format!("of {}", action.operator_tag),
        details: json!({ "added": added }),
    }
}

/// Keeps the text as it was before an edit, for this user alone.
fn keep_copy(dir: &Path, action: &Action, policy: &PolicyText) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let stamp = clock::wall().to_rfc3339().replace(':', "");
    let path = dir.join(format!("{stamp}-{}.hujson", action.name));
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match file {
        // A copy of this very moment is there.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        file => file?,
    };
    file.write_all(policy.text.as_bytes())?;
    file.sync_all()?;
    thin_out(dir)
}

/// Keeps the latest copies of a provider and no more.
fn thin_out(dir: &Path) -> io::Result<()> {
    let mut names: Vec<_> = std::fs::read_dir(dir)?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name.ends_with(".hujson"))
        .collect();
    names.sort_unstable();
    let old = names.len().saturating_sub(COPIES_MAX);
    for name in names.iter().take(old) {
        std::fs::remove_file(dir.join(name))?;
    }
    Ok(())
}

/// Whether a key with these tags of its own may give a tag, by the policy file; nothing where that
/// cannot be seen.
pub(super) fn may_give(
    tag: &str,
    own: &[String],
    policy: Option<&str>,
) -> Option<Result<String, String>> {
    let owners = policy::owners(policy?, tag);
    Some(match owners {
        Err(fault) => Err(fault.to_string()),
        Ok(None) => Err(format!(
            "the policy file does not know it: add it under `tagOwners`, owned by the tag of the \
             key where that is an OAuth client: \"tagOwners\": {{\"{}\": [{}]}}",
            shown(tag),
            own.first().map(|own| format!("\"{}\"", shown(own))).unwrap_or_default()
        )),
        Ok(Some(owners)) => {
            let is_exact = own.len() == 1 && own.iter().any(|own| own == tag);
            let is_owned = own.is_empty() || own.iter().any(|own| owners.contains(own));
            if is_exact || is_owned {
                Ok("the key may give it".to_owned())
            } else {
                Err(format!(
                    "the key's own tags ({}) do not own it: a key of an OAuth client gives just the \
                     tags that it has itself, all of them, or tags that those own under `tagOwners`",
                    own.join(", ")
                ))
            }
        }
    })
}

const TRIES: usize = 8;
const MOVED: &str = "somebody else changes the policy file all the time; try again in a moment";
const COPIES_MAX: usize = 50;
