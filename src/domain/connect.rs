//! The command that uses a local endpoint, for the kind of thing behind it.
//!
//! Names come from outside, so every word is quoted and a word with control characters is refused.

use super::target::{Target, TargetKind};

/// Where a session's local endpoint listens.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointAddress {
    /// On 127.0.0.1 at this port.
    Loopback {
        /// The port.
        port: u16,
    },
    /// On a UNIX socket at this path.
    Unix {
        /// The path.
        path: String,
    },
}

impl std::fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Loopback { port } => f.pad(&format!("127.0.0.1:{port}")),
            Self::Unix { path } => f.pad(&super::text::shown(path)),
        }
    }
}

/// Returns the line to paste into a shell, every word quoted.
///
/// A target without a client of its own, and one behind a UNIX socket that its client cannot use,
/// gets a line for `socat` or `nc`.
#[must_use]
pub fn command_line(target: &Target, endpoint: &EndpointAddress) -> String {
    let words = match endpoint {
        EndpointAddress::Loopback { port } => loopback_words(target, *port),
        EndpointAddress::Unix { path } => unix_words(target, path),
    };
    let quoted: Vec<_> = words.iter().map(|word| quote(word)).collect();
    quoted.join(" ")
}

/// Returns what a command run through the endpoint finds in its environment.
#[must_use]
pub fn environment(target: &Target, endpoint: &EndpointAddress) -> Vec<(String, String)> {
    let mut variables: Vec<(&str, String)> = vec![("BREAKGLASS_TARGET", target.id.to_string())];
    let (host, port) = match endpoint {
        EndpointAddress::Loopback { port } => ("127.0.0.1".to_owned(), port.to_string()),
        EndpointAddress::Unix { path } => (path.clone(), String::new()),
    };
    if let EndpointAddress::Unix { path } = endpoint {
        variables.push(("BREAKGLASS_SOCKET", path.clone()));
    } else {
        variables.push(("BREAKGLASS_HOST", host.clone()));
        variables.push(("BREAKGLASS_PORT", port.clone()));
        let kind = match target.kind {
            TargetKind::Postgres => Some(("PGHOST", "PGPORT", "PGUSER", "PGDATABASE")),
            TargetKind::Mysql => {
                Some(("MYSQL_HOST", "MYSQL_TCP_PORT", "MYSQL_USER", "MYSQL_DATABASE"))
            }
            _ => None,
        };
        if let Some((host_name, port_name, user_name, database_name)) = kind {
            variables.push((host_name, host));
            variables.push((port_name, port));
            variables.extend(target.user.clone().map(|user| (user_name, user)));
            variables.extend(target.database.clone().map(|name| (database_name, name)));
        }
    }
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Quotes a word for a POSIX shell; control characters become `?`, since no quoting makes them
/// safe to paste.
#[must_use]
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let safe: String =
        word.chars().map(|c| if super::text::must_show(c) { '?' } else { c }).collect();
    format!("'{}'", safe.replace('\'', r"'\''"))
}

fn loopback_words(target: &Target, port: u16) -> Vec<String> {
    let port = port.to_string();
    let user = target.user.clone();
    let database = target.database.clone();
    match target.kind {
        TargetKind::Postgres => {
            let mut words = words(&["psql", "-h", "127.0.0.1", "-p", &port]);
            words.extend(user.into_iter().flat_map(|user| ["-U".to_owned(), user]));
            words.extend(database.into_iter().flat_map(|name| ["-d".to_owned(), name]));
            words
        }
        TargetKind::Mysql => {
            let mut words = words(&["mysql", "-h", "127.0.0.1", "-P", &port]);
            words.extend(user.into_iter().flat_map(|user| ["-u".to_owned(), user]));
            words.push("-p".to_owned());
            words.extend(database);
            words
        }
        TargetKind::Ssh => {
            // The host key is the target's, whatever port it is reached on.
            let alias = format!("HostKeyAlias={}", target.address.host());
            let mut words = words(&["ssh", "-p", &port, "-o", &alias]);
            words.push(user.map_or("127.0.0.1".to_owned(), |user| format!("{user}@127.0.0.1")));
            words
        }
        TargetKind::Redis => words(&["redis-cli", "-h", "127.0.0.1", "-p", &port]),
        TargetKind::Mongodb => {
            let name = database.unwrap_or_default();
            words(&["mongosh", &format!("mongodb://127.0.0.1:{port}/{name}?directConnection=true")])
        }
        TargetKind::Kubernetes => words(&[
            "kubectl",
            &format!("--server=https://127.0.0.1:{port}"),
            &format!("--tls-server-name={}", target.address.host()),
            "get",
            "pods",
        ]),
        TargetKind::Https => {
            let host = target.address.host();
            words(&[
                "curl",
                "--connect-to",
                &format!("{}::127.0.0.1:{port}", bracketed(host)),
                &format!("https://{}/", target.address),
            ])
        }
        TargetKind::Http => words(&["curl", &format!("http://127.0.0.1:{port}/")]),
        TargetKind::Tcp => words(&["nc", "127.0.0.1", &port]),
    }
}

fn unix_words(target: &Target, path: &str) -> Vec<String> {
    match target.kind {
        TargetKind::Redis => words(&["redis-cli", "-s", path]),
        TargetKind::Mysql => words(&["mysql", "-S", path, "-p"]),
        TargetKind::Http => words(&["curl", "--unix-socket", path, "http://localhost/"]),
        TargetKind::Https => {
            words(&["curl", "--unix-socket", path, &format!("https://{}/", target.address)])
        }
        TargetKind::Ssh => {
            let proxy = format!("ProxyCommand=nc -U {}", quote(path));
            let host = target.address.host().to_owned();
            let mut words = words(&["ssh", "-o", &proxy]);
            words.push(target.user.as_ref().map_or(host.clone(), |user| format!("{user}@{host}")));
            words
        }
        _ => words(&["nc", "-U", path]),
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::target::{Listen, Reachability};

    fn target(kind: TargetKind, user: Option<&str>) -> Target {
        Target {
            id: "orders".parse().unwrap(),
            name: "orders".into(),
            site: None,
            kind,
            address: "orders.internal:8443".parse().unwrap(),
            reachability: Reachability::Auto,
            user: user.map(Into::into),
            database: Some("orders".into()),
            listen: Listen::Loopback { port: None },
            idle: None,
            duration_max: None,
        }
    }

    #[test]
    fn each_kind_has_its_command() {
        let endpoint = EndpointAddress::Loopback { port: 41000 };
        let lines: Vec<_> = TargetKind::ALL
            .into_iter()
            .map(|kind| command_line(&target(kind, Some("ana")), &endpoint))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        kubectl --server=https://127.0.0.1:41000 --tls-server-name=orders.internal get pods
        psql -h 127.0.0.1 -p 41000 -U ana -d orders
        mysql -h 127.0.0.1 -P 41000 -u ana -p orders
        redis-cli -h 127.0.0.1 -p 41000
        mongosh 'mongodb://127.0.0.1:41000/orders?directConnection=true'
        ssh -p 41000 -o HostKeyAlias=orders.internal ana@127.0.0.1
        curl --connect-to orders.internal::127.0.0.1:41000 https://orders.internal:8443/
        curl http://127.0.0.1:41000/
        nc 127.0.0.1 41000
        ");
    }

    #[test]
    fn a_hostile_name_stays_one_harmless_word() {
        let endpoint = EndpointAddress::Loopback { port: 1 };
        let line =
            command_line(&target(TargetKind::Postgres, Some("$(rm -rf ~)'\u{1b}\n")), &endpoint);
        assert_eq!(line, r"psql -h 127.0.0.1 -p 1 -U '$(rm -rf ~)'\''??' -d orders");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn the_environment_tells_a_client_where_to_go() {
        let endpoint = EndpointAddress::Loopback { port: 41000 };
        let environment = environment(&target(TargetKind::Postgres, Some("ana")), &endpoint);
        let lines: Vec<_> =
            environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        BREAKGLASS_TARGET=orders
        BREAKGLASS_HOST=127.0.0.1
        BREAKGLASS_PORT=41000
        PGHOST=127.0.0.1
        PGPORT=41000
        PGUSER=ana
        PGDATABASE=orders
        ");
    }
}
