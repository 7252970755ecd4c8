//! Finds and removes what bears the mark of an installation, without any notes.

use serde_json::json;

use super::Twingate;
use super::api::Rank;
use super::objects::undone;
use super::steps::Does;
use crate::domain::artifact::{Artifact, Marked, Marker};
use crate::domain::id::InstallationId;
use crate::session::Undone;

impl Twingate {
    /// Lists what an installation has in the network: resources first, remote networks last, as none
    /// is let go before what lies in it.
    pub(super) async fn list_marked(
        &self,
        installation: &InstallationId,
    ) -> Result<Vec<Marked>, String> {
        let Some(setup) = &self.setup else { return Ok(vec![]) };
        let caller = self.any_caller(setup, Rank::Watch).await?;
        let begins = format!("bg-{installation}-");
        let told = |why: super::api::Trouble| why.to_string();
        let resources = caller.resources_starting(&begins).await.map_err(told)?;
        let connectors = caller.connectors_starting(&begins).await.map_err(told)?;
        let networks = caller.networks_starting(&begins).await.map_err(told)?;
        let resources = resources.into_iter().map(|it| (Does::Resource, it.id, it.name));
        let connectors = connectors.into_iter().map(|it| (Does::Connector, it.id, it.name));
        let networks = networks.into_iter().map(|it| (Does::Network, it.id, it.name));
        let found = resources.chain(connectors).chain(networks);
        let found = found.filter_map(|(does, id, name)| marked(installation, does, &id, &name));
        Ok(found.collect())
    }

    /// Removes what was listed.
    pub(super) async fn remove_marked(&self, found: &Marked) -> Undone {
        let Some(id) = found.artifact.details.get("id").and_then(|id| id.as_str()) else {
            return Undone::Problem("its id is not known".to_owned());
        };
        let Some(setup) = &self.setup else {
            return Undone::Problem(format!("`{}` is not in the configuration", self.id));
        };
        let caller = match self.any_caller(setup, Rank::Session).await {
            Ok(caller) => caller,
            Err(why) => return Undone::Problem(why),
        };
        let kind = found.artifact.kind.as_str();
        undone(if kind == Does::Resource.noun() {
            caller.delete_resource(id).await
        } else if kind == Does::Connector.noun() {
            caller.delete_connector(id).await
        } else {
            caller.delete_network(id).await
        })
    }
}

fn marked(installation: &InstallationId, does: Does, id: &str, name: &str) -> Option<Marked> {
    let marker: Marker = name.parse().ok()?;
    if marker.installation != *installation {
        return None;
    }
    let (kind, name) = (does.noun().to_owned(), name.to_owned());
    let artifact = Artifact { kind, name, details: json!({ "id": id }) };
    Some(Marked { marker, artifact, by_hand: vec![] })
}
