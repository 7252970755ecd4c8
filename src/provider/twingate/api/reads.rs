//! What a session sees in a network.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::asking::Caller;
use super::documents::{self as ask, Deed};
use super::model::{Access, Connector, Group, Named, Resource};
use super::trouble::Trouble;
use super::wire::{
    ConnectorWire, Counted, Edge, GroupWire, NamedWire, NoId, One, Page, PathWire, ResourceWire,
    Thing, is_id,
};
use crate::domain::text;
use crate::domain::twingate::GroupName;

impl Caller {
    /// How many remote networks there are: proves the network, the key and that it may read.
    ///
    /// # Errors
    ///
    /// What is to be done about it, as of every read below.
    pub async fn glance(&self) -> Result<u64, Trouble> {
        let counted: Counted = self.ask(ask::GLANCE, json!({})).await?;
        Ok(counted.page.total_count)
    }

    /// The groups of exactly that name, and the one of that id where it is one.
    pub async fn groups_named(&self, name: &GroupName) -> Result<Vec<Group>, Trouble> {
        let name = name.as_str();
        let mut found: Vec<Group> = self.named::<GroupWire>(ask::GROUPS_NAMED, name).await?;
        if is_group_id(name) && !found.iter().any(|group| group.id == name) {
            found.extend(self.one::<GroupWire>(ask::GROUP, name).await?);
        }
        Ok(found)
    }

    /// The remote networks of exactly that name: names are not unique.
    pub async fn networks_named(&self, name: &str) -> Result<Vec<Named>, Trouble> {
        self.named::<NamedWire>(ask::NETWORKS_NAMED, name).await
    }

    /// The remote networks whose names begin so.
    pub async fn networks_starting(&self, prefix: &str) -> Result<Vec<Named>, Trouble> {
        self.starting::<NamedWire>(ask::NETWORKS_STARTING, prefix).await
    }

    /// The remote network of that id.
    pub async fn network(&self, id: &str) -> Result<Option<Named>, Trouble> {
        self.one::<NamedWire>(ask::NETWORK, id).await
    }

    /// The connectors of exactly that name: names are not unique.
    pub async fn connectors_named(&self, name: &str) -> Result<Vec<Connector>, Trouble> {
        self.named::<ConnectorWire>(ask::CONNECTORS_NAMED, name).await
    }

    /// The connectors whose names begin so.
    pub async fn connectors_starting(&self, prefix: &str) -> Result<Vec<Connector>, Trouble> {
        self.starting::<ConnectorWire>(ask::CONNECTORS_STARTING, prefix).await
    }

    /// The connector of that id.
    pub async fn connector(&self, id: &str) -> Result<Option<Connector>, Trouble> {
        self.one::<ConnectorWire>(ask::CONNECTOR, id).await
    }

    /// The resources of exactly that name, with all who may reach them: names are not unique.
    pub async fn resources_named(&self, name: &str) -> Result<Vec<Resource>, Trouble> {
        let fits = |found: &str| found == name;
        self.whole_resources(self.list::<ResourceWire>(ask::RESOURCES_NAMED, name, fits).await?)
            .await
    }

    /// The resources whose names begin so, with all who may reach them.
    pub async fn resources_starting(&self, prefix: &str) -> Result<Vec<Resource>, Trouble> {
        let fits = |found: &str| found.starts_with(prefix);
        self.whole_resources(
            self.list::<ResourceWire>(ask::RESOURCES_STARTING, prefix, fits).await?,
        )
        .await
    }

    /// The resource of that id, with all who may reach it.
    pub async fn resource(&self, id: &str) -> Result<Option<Resource>, Trouble> {
        let mut all: Vec<Access> = vec![];
        let mut pages = Pages::default();
        loop {
            let variables = json!({"id": self.sound(ask::RESOURCE, id)?, "after": pages.after});
            let found = self.one_of::<ResourceWire>(ask::RESOURCE, variables).await?;
            let Some((mut resource, next)) = found else { return Ok(None) };
            all.append(&mut resource.access);
            if !pages.go_on(next).map_err(|why| self.unclear(ask::RESOURCE, why))? {
                return Ok(Some(Resource { access: all, ..resource }));
            }
        }
    }

    /// A connector and a resource in one read: all that carries a path.
    pub async fn path(
        &self,
        connector: &str,
        resource: &str,
    ) -> Result<(Option<Connector>, Option<Resource>), Trouble> {
        let deed = ask::PATH;
        let variables = json!({
            "connector": self.sound(deed, connector)?, "resource": self.sound(deed, resource)?,
        });
        let path: PathWire = self.ask(deed, variables).await?;
        let connector = path.connector.map(|wire| self.seen(deed, wire)).transpose()?;
        let found = path.resource.map(|wire| self.seen(deed, wire)).transpose()?;
        let resource = match found {
            Some((_, Some(_))) => self.resource(resource).await?,
            found => found.map(|(resource, _)| resource),
        };
        Ok((connector.map(|(connector, _)| connector), resource))
    }

    /// An id as the network has them.
    pub(super) fn sound<'a>(&self, deed: Deed, id: &'a str) -> Result<&'a str, Trouble> {
        let none = || self.refused(deed, format!("`{}` is no id", text::shown(id)));
        is_id(id).then_some(id).ok_or_else(none)
    }

    /// What a thing is, and where those who may reach it go on.
    pub(super) fn seen<W: Thing>(
        &self,
        deed: Deed,
        wire: W,
    ) -> Result<(W::Seen, Option<String>), Trouble> {
        wire.seen().map_err(|NoId| self.unclear(deed, "there is a thing without an id in it"))
    }

    async fn named<W: Thing + DeserializeOwned>(
        &self,
        deed: Deed,
        name: &str,
    ) -> Result<Vec<W::Seen>, Trouble> {
        let found = self.list::<W>(deed, name, |found| found == name).await?;
        Ok(found.into_iter().map(|(thing, _)| thing).collect())
    }

    async fn starting<W: Thing + DeserializeOwned>(
        &self,
        deed: Deed,
        prefix: &str,
    ) -> Result<Vec<W::Seen>, Trouble> {
        let found = self.list::<W>(deed, prefix, |found| found.starts_with(prefix)).await?;
        Ok(found.into_iter().map(|(thing, _)| thing).collect())
    }

    /// All of a list. A network that knows nothing of a filter gives more than was asked for.
    async fn list<W: Thing + DeserializeOwned>(
        &self,
        deed: Deed,
        name: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Result<Vec<(W::Seen, Option<String>)>, Trouble> {
        let mut found = vec![];
        let mut pages = Pages::default();
        loop {
            let variables = json!({"name": name, "after": pages.after});
            let Page::<Edge<W>> { page } = self.ask(deed, variables).await?;
            let things = page.edges.into_iter().map(|edge| edge.node);
            for wire in things.filter(|wire| fits(wire.name())) {
                found.push(self.seen(deed, wire)?);
            }
            if found.len() > THINGS_MAX {
                return Err(self.unclear(deed, "it lists more than anybody could have made"));
            }
            let next = page.page_info.next();
            if !pages.go_on(next).map_err(|why| self.unclear(deed, why))? {
                return Ok(found);
            }
        }
    }

    async fn one<W: Thing + DeserializeOwned>(
        &self,
        deed: Deed,
        id: &str,
    ) -> Result<Option<W::Seen>, Trouble> {
        let variables = json!({"id": self.sound(deed, id)?});
        Ok(self.one_of::<W>(deed, variables).await?.map(|(thing, _)| thing))
    }

    async fn one_of<W: Thing + DeserializeOwned>(
        &self,
        deed: Deed,
        variables: Value,
    ) -> Result<Option<(W::Seen, Option<String>)>, Trouble> {
        let One::<W> { one } = self.ask(deed, variables).await?;
        one.map(|wire| self.seen(deed, wire)).transpose()
    }

    async fn whole_resources(
        &self,
        listed: Vec<(Resource, Option<String>)>,
    ) -> Result<Vec<Resource>, Trouble> {
        let mut whole = vec![];
        for (resource, more) in listed {
            match more {
                None => whole.push(resource),
                Some(_) => whole.extend(self.resource(&resource.id).await?),
            }
        }
        Ok(whole)
    }
}

/// How many things of a name, or of a beginning of one, are kept of a list.
const THINGS_MAX: usize = 1_000;

/// The pages of a list, as far as they were read.
#[derive(Default)]
struct Pages {
    read: usize,
    after: Option<String>,
}

impl Pages {
    /// Goes to the next page, where there is one.
    ///
    /// # Errors
    ///
    /// When the list has no end: part of it must not pass for the whole.
    fn go_on(&mut self, next: Option<String>) -> Result<bool, &'static str> {
        self.read += 1;
        match next {
            None => Ok(false),
            Some(next) if next.len() > CURSOR_BYTES_MAX => {
                Err("the place where it goes on is too long")
            }
            Some(next) if next.is_empty() || self.after.as_ref() == Some(&next) => {
                Err("the list does not go on, though it says so")
            }
            Some(_) if self.read >= PAGES_MAX => Err("the list is longer than 100 pages"),
            next => {
                self.after = next;
                Ok(true)
            }
        }
    }
}

/// True for the global id of a group: `Group:` and a number, in base64.
fn is_group_id(name: &str) -> bool {
    let told = STANDARD.decode(name).unwrap_or_default();
    let number = told.strip_prefix(b"Group:".as_slice()).unwrap_or_default();
    is_id(name) && !number.is_empty() && number.iter().all(u8::is_ascii_digit)
}

const PAGES_MAX: usize = 100;
const CURSOR_BYTES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_known_by_an_id_only_where_it_is_one_of_a_group() {
        assert!(is_group_id("R3JvdXA6MTIz"));
        for name in ["On call", "Q29ubmVjdG9yOjEyMw==", "R3JvdXA6", "R3JvdXA6eA==", "", "Group:1"] {
            assert!(!is_group_id(name), "{name}");
        }
    }

    #[test]
    fn a_list_without_an_end_is_no_list() {
        let to = |cursor: &str| Some(cursor.to_owned());
        let mut pages = Pages::default();
        assert_eq!((pages.go_on(to("a")), pages.go_on(None)), (Ok(true), Ok(false)));
        let mut pages = Pages::default();
        assert!(pages.go_on(to("")).is_err());
        assert!(pages.go_on(to("a")).is_ok() && pages.go_on(to("a")).is_err());
        let mut pages = Pages::default();
        let read = (0..).take_while(|page| pages.go_on(to(&page.to_string())).is_ok()).count();
        assert_eq!(read + 1, PAGES_MAX);
    }
}
