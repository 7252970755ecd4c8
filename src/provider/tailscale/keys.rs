//! The keys with which nodes join: made once, used once, taken back.

use super::Tailscale;
use super::api::{Change, NewKey, Trouble};
use super::steps::{Action, artifact, id_of};
use crate::domain::artifact::Artifact;
use crate::session::{Applied, Looked, Undone};

impl Tailscale {
    /// Makes a key. What joins with it is asked for once, from this process alone.
    pub(super) async fn make_key(&self, action: &Action) -> Applied {
        let control = match self.control(action).await {
            Ok(control) => control,
            Err(why) => return Applied::Refused(why),
        };
        let tags = vec![action.tag().to_string()];
        match control.create_key(&NewKey::new(tags, &action.description())).await {
            Change::Made(made) => {
                let artifact = artifact(KIND, &action.description(), &made.id);
                self.keep_key(&action.description(), made.key);
                Applied::Applied(Some(artifact))
            }
            Change::Refused(why) => Applied::Refused(why.to_string()),
            Change::Unknown(why) => Applied::Unknown(why.to_string()),
        }
    }

    /// Sees whether a key is there with which something could still join.
    pub(super) async fn look_for_key(&self, action: &Action, known: Option<&Artifact>) -> Looked {
        let control = match self.control(action).await {
            Ok(control) => control,
            Err(why) => return Looked::Unclear(why),
        };
        if let Some(id) = id_of(known) {
            return match control.key(id).await {
                Ok(Some(key)) if !key.invalid => found(action, id),
                Ok(_) => Looked::Absent,
                Err(why) => Looked::Unclear(why.to_string()),
            };
        }
        match control.keys_described(&action.description()).await {
            Ok(keys) => {
                let good = keys.iter().find(|key| !key.invalid);
                good.map_or(Looked::Absent, |key| found(action, &key.id))
            }
            // Nobody can tell, and it settles only after its end: then there is none.
            Err(Trouble::CannotList { .. }) => Looked::Absent,
            Err(why) => Looked::Unclear(why.to_string()),
        }
    }

    /// Takes a key back.
    pub(super) async fn delete_key(&self, action: &Action, known: Option<&Artifact>) -> Undone {
        self.forget_key(&action.description());
        let Some(id) = id_of(known) else { return Undone::Sent };
        let control = match self.control(action).await {
            Ok(control) => control,
            Err(why) => return Undone::Problem(why),
        };
        undone(control.delete_key(id).await)
    }
}

fn found(action: &Action, id: &str) -> Looked {
    Looked::Found(artifact(KIND, &action.description(), id))
}

/// What came of taking something back.
pub(super) fn undone<T>(change: Change<T>) -> Undone {
    match change {
        Change::Made(_) => Undone::Sent,
        Change::Refused(why) | Change::Unknown(why) => Undone::Problem(why.to_string()),
    }
}

const KIND: &str = "auth key";
