//! All that a network is asked, word for word.
//!
//! A document holds no text from outside: names and ids are variables. Types of filters and inputs
//! have had more than one name in the vendor's schema, so none is named: what is not variable stands
//! in the document itself, and with it all that keeps a resource narrow. `page`, `one` and `done`
//! are what the answer is read by.

use super::trouble::Level;

/// What is asked of a network, and how an error names it.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    /// What it should do: `list the connectors`.
    pub words: &'static str,
    /// The permission that allows it.
    pub needs: Level,
    /// The document.
    pub document: &'static str,
}

const fn read(words: &'static str, document: &'static str) -> Deed {
    Deed { words, needs: Level::Read, document }
}

const fn write(words: &'static str, document: &'static str) -> Deed {
    Deed { words, needs: Level::Write, document }
}

/// A page of a list, by a filter on names.
macro_rules! page {
    ($operation:literal, $field:literal, $operator:literal, $node:literal) => {
        concat!(
            "query ",
            $operation,
            "($name: String!, $after: String) {\n  page: ",
            $field,
            "(first: 100, after: $after, filter: {name: {",
            $operator,
            ": $name}}) {\n    edges { node { ",
            $node,
            " } }\n    pageInfo { hasNextPage endCursor }\n  }\n}",
        )
    };
}

/// How many there are.
pub const GLANCE: Deed = read(
    "count the remote networks",
    "query Glance {
  page: remoteNetworks(first: 1) { totalCount }
}",
);

/// Groups of a name.
pub const GROUPS_NAMED: Deed = read(
    "look for a group",
    page!("GroupsNamed", "groups", "eq", "id name isActive users(first: 1) { totalCount }"),
);

/// A group by its id.
pub const GROUP: Deed = read(
    "look for a group",
    "query Group($id: ID!) {
  one: group(id: $id) { id name isActive users(first: 1) { totalCount } }
}",
);

/// Remote networks of a name.
pub const NETWORKS_NAMED: Deed =
    read("look for a remote network", page!("NetworksNamed", "remoteNetworks", "eq", "id name"));

/// Remote networks whose names begin alike.
pub const NETWORKS_STARTING: Deed = read(
    "list the remote networks",
    page!("NetworksStarting", "remoteNetworks", "startsWith", "id name"),
);

/// A remote network by its id.
pub const NETWORK: Deed = read(
    "look for a remote network",
    "query Network($id: ID!) {
  one: remoteNetwork(id: $id) { id name }
}",
);

/// Connectors of a name.
pub const CONNECTORS_NAMED: Deed = read(
    "look for a connector",
    page!("ConnectorsNamed", "connectors", "eq", "id name state lastHeartbeatAt version"),
);

/// Connectors whose names begin alike.
pub const CONNECTORS_STARTING: Deed = read(
    "list the connectors",
    page!(
        "ConnectorsStarting",
        "connectors",
        "startsWith",
        "id name state lastHeartbeatAt version"
    ),
);

/// A connector by its id.
pub const CONNECTOR: Deed = read(
    "look for a connector",
    "query Connector($id: ID!) {
  one: connector(id: $id) { id name state lastHeartbeatAt version }
}",
);

/// Resources of a name. Who may reach them is read to an end by [`RESOURCE`].
pub const RESOURCES_NAMED: Deed = read(
    "look for a resource",
    page!(
        "ResourcesNamed",
        "resources",
        "eq",
        "id name isActive access(first: 20) {
      edges { expiresAt node { ... on Group { id } ... on ServiceAccount { id } } }
      pageInfo { hasNextPage endCursor }
    }"
    ),
);

/// Resources whose names begin alike.
pub const RESOURCES_STARTING: Deed = read(
    "list the resources",
    page!(
        "ResourcesStarting",
        "resources",
        "startsWith",
        "id name isActive access(first: 20) {
      edges { expiresAt node { ... on Group { id } ... on ServiceAccount { id } } }
      pageInfo { hasNextPage endCursor }
    }"
    ),
);

/// A resource by its id, with a page of those who may reach it.
pub const RESOURCE: Deed = read(
    "look for a resource",
    "query Resource($id: ID!, $after: String) {
  one: resource(id: $id) {
    id name isActive
    access(first: 100, after: $after) {
      edges { expiresAt node { ... on Group { id } ... on ServiceAccount { id } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}",
);

/// All that carries a path.
pub const PATH: Deed = read(
    "see how the path does",
    "query Path($connector: ID!, $resource: ID!) {
  connector(id: $connector) { id name state lastHeartbeatAt version }
  resource(id: $resource) {
    id name isActive
    access(first: 20) {
      edges { expiresAt node { ... on Group { id } ... on ServiceAccount { id } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}",
);

/// To make a remote network.
pub const CREATE_NETWORK: Deed = write(
    "make a remote network",
    "mutation CreateNetwork($name: String!) {
  done: remoteNetworkCreate(name: $name) { ok error entity { id name } }
}",
);

/// To make a connector. Nobody is to be mailed when it goes away.
pub const CREATE_CONNECTOR: Deed = write(
    "make a connector",
    "mutation CreateConnector($network: ID!, $name: String!) {
  done: connectorCreate(
    remoteNetworkId: $network, name: $name, hasStatusNotificationsEnabled: false
  ) { ok error entity { id name } }
}",
);

/// To make the tokens of a connector.
pub const GENERATE_TOKENS: Deed = Deed {
    words: "make the tokens of a connector",
    needs: Level::Provision,
    document: "mutation GenerateTokens($id: ID!) {
  done: connectorGenerateTokens(connectorId: $id) {
    ok error entity: connectorTokens { accessToken refreshToken }
  }
}",
};

/// To make a resource: one address, one TCP port.
pub const CREATE_RESOURCE: Deed = write(
    "make a resource",
    "mutation CreateResource(
  $name: String!, $address: String!, $network: ID!, $port: Int!, $key: String!, $value: String!
) {
  done: resourceCreate(
    name: $name, address: $address, remoteNetworkId: $network
    isVisible: true, isBrowserShortcutEnabled: false
    protocols: {
      allowIcmp: false
      tcp: {policy: RESTRICTED, ports: [{start: $port, end: $port}]}
      udp: {policy: RESTRICTED, ports: []}
    }
    tags: [{key: $key, value: $value}]
  ) { ok error entity { id name } }
}",
);

/// To let a group reach a resource for a while.
pub const GRANT: Deed = write(
    "let a group reach a resource",
    "mutation Grant($resource: ID!, $group: ID!, $until: DateTime!) {
  done: resourceAccessAdd(
    resourceId: $resource, access: [{principalId: $group, expiresAt: $until}]
  ) { ok error }
}",
);

/// To take that back.
pub const WITHDRAW: Deed = write(
    "no longer let a group reach a resource",
    "mutation Withdraw($resource: ID!, $group: ID!) {
  done: resourceAccessRemove(resourceId: $resource, principalIds: [$group]) { ok error }
}",
);

/// To remove a remote network.
pub const DELETE_NETWORK: Deed = write(
    "remove a remote network",
    "mutation DeleteNetwork($id: ID!) {
  done: remoteNetworkDelete(id: $id) { ok error }
}",
);

/// To remove a connector.
pub const DELETE_CONNECTOR: Deed = write(
    "remove a connector",
    "mutation DeleteConnector($id: ID!) {
  done: connectorDelete(id: $id) { ok error }
}",
);

/// To remove a resource.
pub const DELETE_RESOURCE: Deed = write(
    "remove a resource",
    "mutation DeleteResource($id: ID!) {
  done: resourceDelete(id: $id) { ok error }
}",
);

/// Everything that a network can be asked.
pub const ALL: [Deed; 22] = [
    GLANCE,
    GROUPS_NAMED,
    GROUP,
    NETWORKS_NAMED,
    NETWORKS_STARTING,
    NETWORK,
    CONNECTORS_NAMED,
    CONNECTORS_STARTING,
    CONNECTOR,
    RESOURCES_NAMED,
    RESOURCES_STARTING,
    RESOURCE,
    PATH,
    CREATE_NETWORK,
    CREATE_CONNECTOR,
    GENERATE_TOKENS,
    CREATE_RESOURCE,
    GRANT,
    WITHDRAW,
    DELETE_NETWORK,
    DELETE_CONNECTOR,
    DELETE_RESOURCE,
];
