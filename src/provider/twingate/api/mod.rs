//! The API of a network: what a session asks of it.
//!
//! One address, GraphQL over HTTP (<https://www.twingate.com/docs/api-overview>). [`mod@documents`] has
//! every word that is sent, [`wire`] every shape that is read. Rules that hold in every line below:
//!
//! 1. Every change has three outcomes. What makes something is sent once; what takes something away
//!    is repeated where nobody saw it, and looked for before it is called unknown.
//! 2. Gone is what the network says is not there. No page of the web, no error and no list that ends
//!    too early passes for it.
//! 3. All who ask one network from this process share its budget; teardown goes first.
//! 4. The key goes to the network and its region and to no other place. It is in no error, no log
//!    and no `Debug`; nor are the tokens of a connector.
mod asking;
mod budget;
mod changes;
mod cloud;
mod documents;
mod model;
mod reads;
mod said;
mod trouble;
mod turns;
mod wire;

#[cfg(test)]
mod tests;

pub use self::{asking::LIMITS, cloud::Cloud, turns::Budgets};
pub(super) use self::{
    asking::{Api, Caller},
    model::{Access, Connector, ConnectorState, Group, Named, NewResource, Resource, Tokens},
    trouble::{Change, Trouble},
    turns::Rank,
    wire::is_id,
};

/// Every document that a network is sent, in GraphQL.
#[must_use]
pub fn documents() -> Vec<&'static str> {
    documents::ALL.iter().map(|deed| deed.document).collect()
}
