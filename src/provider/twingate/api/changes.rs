//! What a session changes in a network.

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::asking::{Caller, Repeat};
use super::documents::{self as ask, Deed};
use super::model::{Named, NewResource, Tokens};
use super::trouble::{Change, Trouble};
use super::wire::{NamedWire, TokensWire};
use crate::domain::time::Timestamp;
use crate::provider::change::Doubtful as _;

impl Caller {
    /// Makes a remote network. It is sent once.
    pub async fn create_network(&self, name: &str) -> Change<Named> {
        self.create(ask::CREATE_NETWORK, json!({"name": name})).await
    }

    /// Makes a connector in a remote network, of which nobody is mailed. It is sent once.
    pub async fn create_connector(&self, network_id: &str, name: &str) -> Change<Named> {
        let deed = ask::CREATE_CONNECTOR;
        match self.sound(deed, network_id) {
            Ok(network) => self.create(deed, json!({"network": network, "name": name})).await,
            Err(why) => Change::Refused(why),
        }
    }

    /// Makes the tokens of a connector; any made before are useless from now on. It is sent once.
    pub async fn generate_tokens(&self, connector_id: &str) -> Change<Tokens> {
        let deed = ask::GENERATE_TOKENS;
        let id = match self.sound(deed, connector_id) {
            Ok(id) => id,
            Err(why) => return Change::Refused(why),
        };
        let made = self.change::<TokensWire>(deed, json!({"id": id}), Repeat::Never).await;
        Change::of(made.and_then(|tokens| {
            let tokens = tokens.and_then(TokensWire::into_tokens);
            tokens.ok_or_else(|| self.unclear(deed, "tokens were made, but not both came"))
        }))
    }

    /// Makes a resource of one address and one TCP port. It is sent once.
    pub async fn create_resource(&self, wanted: &NewResource) -> Change<Named> {
        let deed = ask::CREATE_RESOURCE;
        let network = match self.sound(deed, &wanted.network_id) {
            Ok(network) => network,
            Err(why) => return Change::Refused(why),
        };
        let variables = json!({
            "name": wanted.name,
            "address": wanted.address.to_string(),
            "network": network,
            "port": wanted.port,
            "key": wanted.tag.0,
            "value": wanted.tag.1,
        });
        self.create(deed, variables).await
    }

    /// Lets a group reach a resource until then, by the network's clock. It is sent once.
    pub async fn grant(
        &self,
        resource_id: &str,
        group_id: &str,
        expires_at: Timestamp,
    ) -> Change<()> {
        let deed = ask::GRANT;
        let variables = self.pair(deed, resource_id, group_id).map(|mut variables| {
            if let Some(fields) = variables.as_object_mut() {
                fields.insert("until".to_owned(), expires_at.to_rfc3339().into());
            }
            variables
        });
        match variables {
            Ok(variables) => {
                let made = self.change::<IgnoredAny>(deed, variables, Repeat::Never).await;
                Change::of(made.map(|_| ()))
            }
            Err(why) => Change::Refused(why),
        }
    }

    /// No longer lets a group reach a resource. Where it is not let, or there is no such resource,
    /// that is well done.
    pub async fn withdraw(&self, resource_id: &str, group_id: &str) -> Change<()> {
        let deed = ask::WITHDRAW;
        let variables = match self.pair(deed, resource_id, group_id) {
            Ok(variables) => variables,
            Err(why) => return Change::Refused(why),
        };
        let is_gone = async || {
            let found = self.resource(resource_id).await?;
            let reaches = |access: &super::Access| access.principal == group_id;
            Ok(found.is_none_or(|resource| !resource.access.iter().any(reaches)))
        };
        self.take_away(deed, variables, is_gone).await
    }

    /// Removes a remote network. One that is gone is well removed.
    pub async fn delete_network(&self, id: &str) -> Change<()> {
        let is_gone = async || Ok(self.network(id).await?.is_none());
        self.delete(ask::DELETE_NETWORK, id, is_gone).await
    }

    /// Removes a connector. One that is gone is well removed.
    pub async fn delete_connector(&self, id: &str) -> Change<()> {
        let is_gone = async || Ok(self.connector(id).await?.is_none());
        self.delete(ask::DELETE_CONNECTOR, id, is_gone).await
    }

    /// Removes a resource, and with it who may reach it. One that is gone is well removed.
    pub async fn delete_resource(&self, id: &str) -> Change<()> {
        let is_gone = async || Ok(self.resource(id).await?.is_none());
        self.delete(ask::DELETE_RESOURCE, id, is_gone).await
    }

    /// Sees whether the key may change things, by removing a connector that cannot exist. Takes a
    /// change of the budget and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Trouble::Ability`] where the network says anything but that there is none.
    pub async fn may_write(&self) -> Result<(), Trouble> {
        self.may(ask::DELETE_CONNECTOR).await
    }

    /// Sees whether the key may make tokens, by making those of a connector that cannot exist. Takes
    /// a change of the budget and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Trouble::Ability`] where the network says anything but that there is none.
    pub async fn may_provision(&self) -> Result<(), Trouble> {
        self.may(ask::GENERATE_TOKENS).await
    }

    async fn may(&self, deed: Deed) -> Result<(), Trouble> {
        let variables = json!({"id": NO_CONNECTOR});
        match self.change::<IgnoredAny>(deed, variables, Repeat::Safe).await {
            Err(Trouble::Absent { .. }) => Ok(()),
            Err(Trouble::Refused { said, .. }) => Err(self.ability(deed, said)),
            Err(why) => Err(why),
            Ok(_) => Err(self.unclear(deed, "it says that it did so to a connector that is none")),
        }
    }

    async fn create(&self, deed: Deed, variables: Value) -> Change<Named> {
        let made = self.change::<NamedWire>(deed, variables, Repeat::Never).await;
        Change::of(made.and_then(|made| {
            let lost = || self.unclear(deed, "it was made, but it is not in the answer");
            Ok(self.seen(deed, made.ok_or_else(lost)?)?.0)
        }))
    }

    async fn delete(
        &self,
        deed: Deed,
        id: &str,
        is_gone: impl AsyncFnOnce() -> Result<bool, Trouble>,
    ) -> Change<()> {
        match self.sound(deed, id) {
            Ok(id) => self.take_away(deed, json!({"id": id}), is_gone).await,
            Err(why) => Change::Refused(why),
        }
    }

    /// Takes something away; where nobody saw the outcome, it is looked for.
    async fn take_away(
        &self,
        deed: Deed,
        variables: Value,
        is_gone: impl AsyncFnOnce() -> Result<bool, Trouble>,
    ) -> Change<()> {
        match self.change::<IgnoredAny>(deed, variables, Repeat::Safe).await {
            Ok(_) | Err(Trouble::Absent { .. }) => Change::Made(()),
            Err(why) if why.leaves_doubt() => match is_gone().await {
                Ok(true) => Change::Made(()),
                _ => Change::Unknown(why),
            },
            Err(why) => Change::Refused(why),
        }
    }

    fn pair(&self, deed: Deed, resource: &str, group: &str) -> Result<Value, Trouble> {
        let (resource, group) = (self.sound(deed, resource)?, self.sound(deed, group)?);
        Ok(json!({"resource": resource, "group": group}))
    }
}

/// `Connector:2147483647`, the last number that there can be.
const NO_CONNECTOR: &str = "Q29ubmVjdG9yOjIxNDc0ODM2NDc=";
