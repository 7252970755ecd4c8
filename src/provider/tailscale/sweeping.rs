//! Finds and removes what bears the mark of an installation, without any notes.

use serde_json::json;

use super::Tailscale;
use super::api::Device;
use super::by_hand::commands_of_node;
use super::keys::undone;
use super::node::Daemon;
use super::steps::mark;
use crate::domain::artifact::{Artifact, Marked, Marker};
use crate::domain::id::InstallationId;
use crate::provider::left;
use crate::session::Undone;

impl Tailscale {
    /// Lists the nodes of an installation: those that the control server knows, and those that run on
    /// this host.
    pub(super) async fn list_marked(
        &self,
        installation: &InstallationId,
    ) -> Result<Vec<Marked>, String> {
        let here = left::list(&self.around.dir, installation)
            .map_err(|error| format!("the nodes on this host cannot be listed: {error}"))?;
        // The router's node bears the same mark, and is another thing.
        let here = here.into_iter().map(|(folder, marker)| {
            let details = json!({ "folder": folder });
            let artifact =
                Artifact { kind: LOCAL.to_owned(), name: format!("{marker} here"), details };
            Marked { by_hand: commands_of_node(&folder), marker, artifact }
        });
        let mut found: Vec<Marked> = here.collect();
        let Some(setup) = &self.setup else { return Ok(found) };
        let control = self.control_of(&setup.tailnet).await?;
        let devices = control.devices().await.map_err(|why| why.to_string())?;
        let tags = [setup.router_tag.as_str(), setup.operator_tag.as_str()];
        // A name anybody may take; a tag is given by those that own it.
        let is_tagged = |device: &&Device| {
            device.tags.iter().any(|given| tags.iter().any(|tag| given.starts_with(tag)))
        };
        let ours = devices.iter().filter(|device| !device.is_external).filter(is_tagged);
        found.extend(ours.filter_map(|device| marked(installation, device)));
        Ok(found)
    }

    /// Removes what was listed.
    pub(super) async fn remove_marked(&self, found: &Marked) -> Undone {
        if found.artifact.kind == LOCAL {
            // Only what lies where we put it: the rest of a name is nothing to go by.
            let folder = self.around.dir.join(&found.marker.session);
            let daemon = Daemon::new(folder, found.marker.to_string());
            return daemon.end().await.map_or_else(Undone::Problem, |()| Undone::Sent);
        }
        let Some(id) = found.artifact.details.get("id").and_then(|id| id.as_str()) else {
            return Undone::Problem("its id is not known".to_owned());
        };
        let Some(setup) = &self.setup else {
            return Undone::Problem(format!("`{}` is not in the configuration", self.id));
        };
        match self.control_of(&setup.tailnet).await {
            Ok(control) => undone(control.delete_device(id).await),
            Err(why) => Undone::Problem(why),
        }
    }
}

fn marked(installation: &InstallationId, device: &Device) -> Option<Marked> {
    let marker: Marker = mark(&device.hostname).parse().ok()?;
    if marker.installation != *installation {
        return None;
    }
    let (kind, name) = (NODE.to_owned(), device.hostname.clone());
    let artifact = Artifact { kind, name, details: json!({ "id": device.id }) };
    Some(Marked { marker, artifact, by_hand: vec![] })
}

const LOCAL: &str = "tailscaled";
const NODE: &str = "node";
