//! What the cloud knows of a network and is asked: the simulator of the tests, where its connectors
//! are, and how often it was asked to change something. Pure: the time comes in as an argument.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use breakglass::domain::time::{Span, Timestamp};

use super::Outcome;
use super::support::faulty_server::{HttpAnswer, HttpCall, Model as _};
use super::support::model_server::Held as _;
use super::support::twingate::objects::{Connector, Resource, Runs};
use super::support::twingate::{Level, Twingate};

/// All networks, by the hosts of their APIs.
pub type Clouds = BTreeMap<String, Cloud>;

/// A network, and what is around it.
pub struct Cloud {
    network: Twingate,
    groups: BTreeMap<String, String>,
    /// Where connectors are reached, by their ids.
    places: BTreeMap<String, SocketAddr>,
    /// When it was asked to change something, and whether it was asked too often.
    changes: Vec<(Timestamp, bool)>,
}

/// What a question came to: what is said, or why not.
pub type Said = Outcome<String>;

impl Cloud {
    /// One with nothing in it.
    pub fn new(now: Timestamp) -> Self {
        let mut network = Twingate::new(now);
        // A look later than it starts, as a heartbeat takes a while to be told.
        network.switches.alive_after_looks = 1;
        let (groups, places, changes) = Default::default();
        Self { network, groups, places, changes }
    }

    /// Answers a call of the API.
    pub fn answer(&mut self, call: &HttpCall, now: Timestamp) -> HttpAnswer {
        self.network.advance(now);
        let answer = self.network.answer(call);
        if call.body.contains("\"mutation") {
            self.changes.push((now, answer.status == 429));
        }
        answer
    }

    /// A connector has started with its tokens, and is reached there. Gives back its id.
    pub fn started(&mut self, access: &str, refresh: &str, at: SocketAddr) -> Said {
        let id = self.network.connector_started(access).map_err(|why| format!("{why:?}"))?;
        let pair = Some((access.to_owned(), refresh.to_owned()));
        if !self.network.connectors().iter().any(|it| it.id == id && it.tokens == pair) {
            self.network.connector_stopped(access);
            return Err("the refresh token is another's".into());
        }
        self.places.insert(id.clone(), at);
        Ok(id)
    }

    /// It is heard of no more.
    pub fn stopped(&mut self, access: &str, id: &str, now: Timestamp) {
        self.network.advance(now);
        self.network.connector_stopped(access);
        self.places.remove(id);
    }

    /// Answers a question of the walk, of a client or of a connector.
    pub fn ask(&mut self, question: &[&str], now: Timestamp) -> Said {
        self.network.advance(now);
        match question {
            ["key", level] => Ok(self.network.key(level_of(level)?)),
            ["revoke", key] => {
                self.network.revoke(key);
                Ok(String::new())
            }
            ["group", members, name @ ..] => {
                let name = name.join(" ");
                let id = self.network.group(&name, members.parse()?);
                self.groups.insert(name, id);
                Ok(String::new())
            }
            ["left"] => Ok(self.network.left().join("\n")),
            ["delete", kind, part] => self.delete(kind, part),
            ["dead", part] => self.dead(part),
            ["limits", word] => {
                self.network.switches.limits = *word == "on";
                Ok(String::new())
            }
            ["busiest"] => Ok(self.busiest().to_string()),
            ["refused"] => Ok(self.changes.iter().filter(|(_, often)| *often).count().to_string()),
            ["misfits"] => Ok(self.network.take_violations().join("\n")),
            ["who", address, port, group @ ..] => {
                self.who(&group.join(" "), address, port.parse()?)
            }
            ["may", id, address, port] => self.may(id, address, port.parse()?),
            _ => Err(format!("nobody here knows `{}`", question.join(" ")).into()),
        }
    }

    /// Somebody deletes in the console the one thing of that kind that has this part in its name.
    fn delete(&mut self, kind: &str, part: &str) -> Said {
        let network = &self.network;
        let named: Vec<(&String, &String)> = match kind {
            "connector" => network.connectors().iter().map(|it| (&it.id, &it.name)).collect(),
            "resource" => network.resources().iter().map(|it| (&it.id, &it.name)).collect(),
            _ => network.networks().iter().map(|it| (&it.id, &it.name)).collect(),
        };
        let mut fits = named.into_iter().filter(|(_, name)| name.contains(part));
        let (Some((id, _)), None) = (fits.next(), fits.next()) else {
            return Err(format!("not one {kind} has `{part}` in its name").into());
        };
        let id = id.clone();
        self.network.remove(&id);
        Ok(String::new())
    }

    /// The network hears no more of the connector that has this part in its name.
    fn dead(&mut self, part: &str) -> Said {
        let connector = self.network.connectors().iter().find(|it| it.name.contains(part));
        let tokens = connector.and_then(|it| it.tokens.clone());
        let (access, _) = tokens.ok_or_else(|| format!("no connector of `{part}` has tokens"))?;
        self.network.connector_loses_relays(&access).map_err(|why| format!("{why:?}"))?;
        Ok(String::new())
    }

    /// The most changes that it was asked for and took in any one minute.
    fn busiest(&self) -> usize {
        let taken: Vec<_> = self.changes.iter().filter(|(_, often)| !often).collect();
        let since = |begin: Timestamp| {
            let end = begin + Span::from_minutes(1);
            taken.iter().filter(|(at, _)| *at >= begin && *at < end).count()
        };
        taken.iter().map(|(begin, _)| since(*begin)).max().unwrap_or_default()
    }

    /// Where the connector is that carries an address for a member of a group.
    fn who(&self, group: &str, address: &str, port: u16) -> Said {
        let group = self.groups.get(group).ok_or("nobody is in that group")?;
        if !self.network.reaches(group, address, port) {
            return Err("no resource for a member of that group".into());
        }
        let opens = |it: &&Resource| {
            it.address == address && it.access.iter().any(|edge| edge.principal == *group)
        };
        let resources: Vec<_> = self.network.resources().iter().filter(opens).collect();
        let carries = |it: &&Connector| {
            it.runs == Runs::Alive
                && resources.iter().any(|resource| resource.network == it.network)
        };
        let mut connectors = self.network.connectors().iter().filter(carries);
        let place = connectors.find_map(|it| self.places.get(&it.id));
        Ok(place.ok_or("no connector carries it")?.to_string())
    }

    /// Whether a connector relays to an address: for somebody it must be the one that carries it.
    fn may(&self, id: &str, address: &str, port: u16) -> Said {
        let connector = self.network.connectors().iter().find(|it| it.id == id);
        let network = &connector.ok_or("it is gone")?.network;
        let is_its = |it: &Resource| it.network == *network && it.address == address;
        let known = self.network.resources().iter().any(is_its);
        let opens = |group: &String| self.network.reaches(group, address, port);
        (known && self.groups.values().any(opens))
            .then(String::new)
            .ok_or_else(|| "no resource of its network".into())
    }
}

fn level_of(word: &str) -> Outcome<Level> {
    match word {
        "read" => Ok(Level::Read),
        "write" => Ok(Level::Write),
        "provision" => Ok(Level::Provision),
        _ => Err(format!("`{word}` is no level").into()),
    }
}
