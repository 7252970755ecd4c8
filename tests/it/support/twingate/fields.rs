//! The fields at the root: what is read, and what is changed.

use breakglass::domain::time::{Span, Timestamp};
use serde_json::{Value, json};

use super::graph::{Root, connection};
use super::objects::{Connector, Edge, Network, Resource, Runs, global_id, parsed_id};
use super::{Level, Twingate};

impl Root for Twingate {
    fn field(&mut self, name: &str, args: &Value) -> Result<Value, String> {
        for key in ["id", "remoteNetworkId", "connectorId", "resourceId"] {
            let id = args[key].as_str();
            if id.is_some_and(|id| parsed_id(id).is_none()) {
                return Err(format!("{{'{key}': ['Unable to parse global ID']}}"));
            }
        }
        let needs = match name {
            "connectorGenerateTokens" => Level::Provision,
            name if MUTATIONS.iter().any(|end| name.ends_with(end)) => Level::Write,
            _ => Level::Read,
        };
        if self.caller < needs {
            let said = "You do not have permission to perform this action";
            return if self.switches.forbids_in_payload && needs > Level::Read {
                Ok(json!({ "__typename": payload_of(name), "ok": false, "error": said,
                    "entity": null, "connectorTokens": null }))
            } else {
                Err(said.to_owned())
            };
        }
        if needs == Level::Read { Ok(self.read(name, args)) } else { Ok(self.change(name, args)) }
    }
}

impl Twingate {
    fn read(&mut self, name: &str, args: &Value) -> Value {
        let id = args["id"].as_str().unwrap_or_default();
        let now = self.now;
        match name {
            "remoteNetwork" => self.network(id).map_or(Value::Null, Network::whole),
            "connector" => {
                let found = self.connectors.iter_mut().find(|connector| connector.id == id);
                found.map_or(Value::Null, |connector| {
                    connector.looked_at();
                    connector.whole(now)
                })
            }
            "resource" => self.resource(id).map_or(Value::Null, Resource::whole),
            "group" => {
                let found = self.groups.iter().find(|group| group.id == id);
                found.map_or(Value::Null, super::objects::Group::whole)
            }
            "remoteNetworks" => {
                let listed = self.networks.iter().filter(|network| network.listed_at <= now);
                listing("RemoteNetwork", listed.map(Network::whole), args)
            }
            "connectors" => {
                let listed = self.connectors.iter().filter(|connector| connector.listed_at <= now);
                listing("Connector", listed.map(|connector| connector.whole(now)), args)
            }
            "resources" => {
                let listed = self.resources.iter().filter(|resource| resource.listed_at <= now);
                listing("Resource", listed.map(Resource::whole), args)
            }
            _ => listing("Group", self.groups.iter().map(super::objects::Group::whole), args),
        }
    }

    fn change(&mut self, name: &str, args: &Value) -> Value {
        let text = |key: &str| args[key].as_str().unwrap_or_default().to_owned();
        let done = match name {
            "remoteNetworkCreate" => self.create_network(&text("name")),
            "remoteNetworkDelete" => self.delete_network(&text("id")),
            "connectorCreate" => self.create_connector(args),
            "connectorDelete" => self.delete_connector(&text("id")),
            "connectorGenerateTokens" => self.generate_tokens(&text("connectorId")),
            "resourceCreate" => self.create_resource(args),
            "resourceDelete" => self.delete_resource(&text("id")),
            "resourceAccessAdd" => self.add_access(&text("resourceId"), &args["access"]),
            _ => self.remove_access(&text("resourceId"), &args["principalIds"]),
        };
        let mut payload = json!({
            "__typename": payload_of(name), "ok": done.is_ok(), "error": done.as_ref().err(),
            "entity": null, "connectorTokens": null,
        });
        if let Ok(made) = done {
            let key = if made["accessToken"].is_string() { "connectorTokens" } else { "entity" };
            payload[key] = made;
        }
        payload
    }

    fn create_network(&mut self, name: &str) -> Result<Value, String> {
        let id = self.new_id("RemoteNetwork");
        let network = Network { id, name: name.to_owned(), listed_at: self.next.1 };
        self.networks.push(network.clone());
        Ok(network.whole())
    }

    fn delete_network(&mut self, id: &str) -> Result<Value, String> {
        let network = self.network(id).ok_or_else(|| absent("RemoteNetwork", id))?;
        let used = self.connectors.iter().any(|connector| connector.network == id)
            || self.resources.iter().any(|resource| resource.network == id);
        if used {
            return Err(format!(
                "Remote network '{}' is in use and cannot be deleted",
                network.name
            ));
        }
        self.networks.retain(|network| network.id != id);
        Ok(Value::Null)
    }

    fn create_connector(&mut self, args: &Value) -> Result<Value, String> {
        let network = args["remoteNetworkId"].as_str().unwrap_or_default().to_owned();
        self.network(&network).ok_or_else(|| absent("RemoteNetwork", &network))?;
        let id = self.new_id("Connector");
        let name = args["name"].as_str().map_or_else(|| format!("lively-{id}"), str::to_owned);
        if name.chars().count() > CONNECTOR_CHARS_MAX {
            return Err("{'name': ['Ensure this value has at most 30 characters']}".to_owned());
        }
        let connector = Connector {
            id,
            name,
            network,
            mails: args["hasStatusNotificationsEnabled"] != false,
            tokens: None,
            pairs: 0,
            runs: Runs::Never,
            listed_at: self.next.1,
        };
        self.connectors.push(connector.clone());
        Ok(connector.whole(self.now))
    }

    fn delete_connector(&mut self, id: &str) -> Result<Value, String> {
        let before = self.connectors.len();
        self.connectors.retain(|connector| connector.id != id);
        let gone = self.connectors.len() < before;
        gone.then_some(Value::Null).ok_or_else(|| absent("Connector", id))
    }

    fn generate_tokens(&mut self, id: &str) -> Result<Value, String> {
        let serial = self.serial();
        let found = self.connectors.iter_mut().find(|connector| connector.id == id);
        let connector = found.ok_or_else(|| absent("Connector", id))?;
        let (access, refresh) = (format!("eyJ.access.{serial}"), format!("eyJ.refresh.{serial}"));
        let made = json!({
            "__typename": "ConnectorTokens", "accessToken": access, "refreshToken": refresh,
        });
        connector.tokens = Some((access, refresh));
        connector.pairs += 1;
        Ok(made)
    }

    fn create_resource(&mut self, args: &Value) -> Result<Value, String> {
        let network = args["remoteNetworkId"].as_str().unwrap_or_default().to_owned();
        self.network(&network).ok_or_else(|| absent("RemoteNetwork", &network))?;
        let resource = Resource {
            id: self.new_id("Resource"),
            name: args["name"].as_str().unwrap_or_default().to_owned(),
            network,
            address: args["address"].as_str().unwrap_or_default().to_owned(),
            is_active: true,
            protocols: args["protocols"].clone(),
            tags: args["tags"].clone(),
            access: vec![],
            listed_at: self.next.1,
        };
        self.resources.push(resource.clone());
        Ok(resource.whole())
    }

    fn delete_resource(&mut self, id: &str) -> Result<Value, String> {
        let before = self.resources.len();
        self.resources.retain(|resource| resource.id != id);
        let gone = self.resources.len() < before;
        gone.then_some(Value::Null).ok_or_else(|| absent("Resource", id))
    }

    fn add_access(&mut self, id: &str, access: &Value) -> Result<Value, String> {
        let (now, least) = (self.now, self.switches.access_at_least);
        let forgets = self.switches.forgets_ends;
        let mut edges = vec![];
        for wanted in access.as_array().into_iter().flatten() {
            let principal = wanted["principalId"].as_str().unwrap_or_default().to_owned();
            if !self.groups.iter().any(|group| group.id == principal) {
                return Err(absent("Group", &principal));
            }
            let expires_at = match wanted["expiresAt"].as_str() {
                None => None,
                Some(text) => Some(expiry(text, now, least)?),
            };
            let expires_at = expires_at.filter(|_| !forgets);
            edges.push(Edge { principal, expires_at });
        }
        let found = self.resources.iter_mut().find(|resource| resource.id == id);
        let resource = found.ok_or_else(|| absent("Resource", id))?;
        for edge in edges {
            resource.access.retain(|there| there.principal != edge.principal);
            resource.access.push(edge);
        }
        Ok(Value::Null)
    }

    fn remove_access(&mut self, id: &str, principals: &Value) -> Result<Value, String> {
        let found = self.resources.iter_mut().find(|resource| resource.id == id);
        let resource = found.ok_or_else(|| absent("Resource", id))?;
        let named = |edge: &Edge| {
            principals.as_array().into_iter().flatten().any(|id| *id == edge.principal.as_str())
        };
        resource.access.retain(|edge| !named(edge));
        Ok(Value::Null)
    }

    fn new_id(&mut self, kind: &str) -> String {
        global_id(kind, self.serial())
    }
}

fn listing(kind: &str, things: impl Iterator<Item = Value>, args: &Value) -> Value {
    let filter = &args["filter"]["name"];
    let fits = |thing: &Value| {
        let name = thing["name"].as_str().unwrap_or_default();
        filter["eq"].as_str().is_none_or(|eq| name == eq)
            && filter["startsWith"].as_str().is_none_or(|start| name.starts_with(start))
    };
    connection(kind, things.filter(fits).map(|node| json!({ "node": node })).collect())
}

fn expiry(text: &str, now: Timestamp, least: Span) -> Result<Timestamp, String> {
    let at: jiff::Timestamp = text.parse().map_err(|_| "expiresAt is no time".to_owned())?;
    let at = Timestamp::from_millis(at.as_millisecond());
    (at > now && at.since(now) >= least)
        .then_some(at)
        .ok_or_else(|| "expiresAt is too soon".to_owned())
}

fn absent(kind: &str, id: &str) -> String {
    format!("Field 'id' {kind} with id '{id}' does not exist")
}

fn payload_of(field: &str) -> String {
    let mut letters = field.chars();
    let first = letters.next().unwrap().to_ascii_uppercase();
    format!("{first}{}Mutation", letters.as_str())
}

const MUTATIONS: &[&str] = &["Create", "Delete", "Add", "Remove"];

const CONNECTOR_CHARS_MAX: usize = 30;
