//! The command that uses a local endpoint, for the kind of thing behind it.
//!
//! Names come from outside. Every word is quoted for the shell, and none can be read by its client as
//! an option, an address or a connection string.

use super::target::{Target, TargetKind};

/// The name that libpq's clients expect of a socket file, in a folder of its own.
pub const POSTGRES_SOCKET: &str = ".s.PGSQL.5432";

const LOOPBACK: &str = "127.0.0.1";

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

/// What a command run through an endpoint has in its environment, besides what it inherits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Names to take away, whatever they were: each can lead a client somewhere else.
    pub removed: Vec<&'static str>,
    /// Names and values to set after that.
    pub set: Vec<(&'static str, String)>,
}

/// Returns the environment that leads a command through the endpoint.
///
/// Credentials and preferences that the caller has (`PGPASSWORD`, `REDISCLI_AUTH`, `KUBECONFIG`)
/// are left alone: they say who asks and how, not which server.
#[must_use]
pub fn environment(target: &Target, endpoint: &EndpointAddress) -> Environment {
    let mut removed = vec!["BREAKGLASS_HOST", "BREAKGLASS_PORT", "BREAKGLASS_SOCKET"];
    let mut set = vec![("BREAKGLASS_TARGET", target.id.to_string())];
    match endpoint {
        EndpointAddress::Loopback { port } => {
            set.push(("BREAKGLASS_HOST", LOOPBACK.to_owned()));
            set.push(("BREAKGLASS_PORT", port.to_string()));
        }
        EndpointAddress::Unix { path } => set.push(("BREAKGLASS_SOCKET", path.clone())),
    }
    let user = target.user.clone();
    match target.kind {
        TargetKind::Postgres => {
            removed.extend(["PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE", "PGDATABASE"]);
            let (host, port) = postgres_address(endpoint);
            set.extend([("PGHOST", host), ("PGPORT", port)]);
            set.extend(user.map(|user| ("PGUSER", user)));
            // Some of libpq's programs would read an address in it (`vacuumdb`, `pgbench`).
            let name = target.database.clone().filter(|name| !is_connection_string(name));
            set.extend(name.map(|name| ("PGDATABASE", name)));
        }
        TargetKind::Mysql => {
            removed.extend(["MYSQL_TCP_PORT", "MYSQL_UNIX_PORT"]);
            removed.extend(["MYSQL_GROUP_SUFFIX", "MYSQL_DATABASE"]);
            set.extend(match endpoint {
                EndpointAddress::Loopback { port } => {
                    [("MYSQL_HOST", LOOPBACK.to_owned()), ("MYSQL_TCP_PORT", port.to_string())]
                }
                // For its clients `localhost` means: by the socket.
                EndpointAddress::Unix { path } => {
                    [("MYSQL_HOST", "localhost".to_owned()), ("MYSQL_UNIX_PORT", path.clone())]
                }
            });
            set.extend(user.map(|user| ("MYSQL_USER", user)));
            set.extend(target.database.clone().map(|name| ("MYSQL_DATABASE", name)));
        }
        _ => {}
    }
    Environment { removed, set }
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
        TargetKind::Postgres => psql_words(target, LOOPBACK, &port),
        TargetKind::Mysql => mysql_words(target, &["-h", LOOPBACK, "-P", &port]),
        TargetKind::Ssh => {
            // The host key is the target's, whatever port it is reached on.
            let alias = format!("HostKeyAlias={}", target.address.host());
            let mut words = words(&["ssh", "-p", &port, "-o", &alias]);
            words.extend(user.into_iter().flat_map(|user| ["-l".to_owned(), user]));
            words.push("127.0.0.1".to_owned());
            words
        }
        TargetKind::Redis => words(&["redis-cli", "-h", "127.0.0.1", "-p", &port]),
        TargetKind::Mongodb => {
            let name = uri_segment(&database.unwrap_or_default());
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
        TargetKind::Postgres => {
            let (folder, port) = postgres_socket(path);
            psql_words(target, &folder, &port)
        }
        TargetKind::Mysql => mysql_words(target, &["-h", "localhost", "-S", path]),
        TargetKind::Http => words(&["curl", "--unix-socket", path, "http://localhost/"]),
        TargetKind::Https => {
            words(&["curl", "--unix-socket", path, &format!("https://{}/", target.address)])
        }
        TargetKind::Ssh => {
            // ssh expands `%` before it gives the line to a shell.
            let proxy = format!("ProxyCommand=nc -U {}", quote(path).replace('%', "%%"));
            let mut words = words(&["ssh", "-o", &proxy]);
            words.extend(target.user.iter().flat_map(|user| ["-l".to_owned(), user.clone()]));
            words.push(target.address.host().to_owned());
            words
        }
        _ => words(&["nc", "-U", path]),
    }
}

fn psql_words(target: &Target, host: &str, port: &str) -> Vec<String> {
    let mut words = words(&["psql", "-h", host, "-p", port]);
    words.extend(target.user.iter().flat_map(|user| ["-U".to_owned(), user.clone()]));
    let database = target.database.iter();
    words.extend(database.flat_map(|name| ["-d".to_owned(), database_word(name)]));
    words
}

fn mysql_words(target: &Target, server: &[&str]) -> Vec<String> {
    let mut words = words(&["mysql"]);
    words.extend(server.iter().map(|word| (*word).to_owned()));
    words.extend(target.user.iter().flat_map(|user| ["-u".to_owned(), user.clone()]));
    words.push("-p".to_owned());
    words.extend(target.database.iter().flat_map(|name| ["-D".to_owned(), name.clone()]));
    words
}

/// Returns what libpq calls the host and the port of an endpoint.
fn postgres_address(endpoint: &EndpointAddress) -> (String, String) {
    match endpoint {
        EndpointAddress::Loopback { port } => (LOOPBACK.to_owned(), port.to_string()),
        EndpointAddress::Unix { path } => postgres_socket(path),
    }
}

/// Returns a socket's folder, and the port that the end of its file's name stands for.
fn postgres_socket(path: &str) -> (String, String) {
    let (folder, file) = path.rsplit_once('/').unwrap_or((".", path));
    let port = file.rsplit('.').next().unwrap_or_default();
    (folder.to_owned(), port.to_owned())
}

/// Returns a database name as libpq takes it for just that.
fn database_word(name: &str) -> String {
    if !is_connection_string(name) {
        return name.to_owned();
    }
    format!("dbname='{}'", name.replace('\\', r"\\").replace('\'', r"\'"))
}

/// True where libpq's clients may read a database name as settings, the address among them.
fn is_connection_string(name: &str) -> bool {
    name.contains('=') || name.contains("://")
}

/// Returns a text as one segment of a URI's path.
fn uri_segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
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
        mysql -h 127.0.0.1 -P 41000 -u ana -p -D orders
        redis-cli -h 127.0.0.1 -p 41000
        mongosh 'mongodb://127.0.0.1:41000/orders?directConnection=true'
        ssh -p 41000 -o HostKeyAlias=orders.internal -l ana 127.0.0.1
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
    fn a_name_never_becomes_an_option_or_an_address() {
        let endpoint = EndpointAddress::Loopback { port: 1 };
        let line = |kind, name: &str| {
            let mut target = target(kind, Some(name));
            target.database = Some(name.to_owned());
            command_line(&target, &endpoint)
        };
        let names = [
            "host=evil port=6666 dbname=x",
            r"it's a=\b",
            "postgresql://evil/x",
            "-oProxyCommand=evil",
            "x?proxyHost=evil&a",
            "../%2f#é",
            "ssh://evil:22/@x",
            "postgres",
        ];
        let lines = names.map(|name| {
            use TargetKind::{Mongodb, Mysql, Postgres, Ssh};
            [Postgres, Mysql, Mongodb, Ssh].map(|kind| line(kind, name)).join("\n")
        });
        insta::assert_snapshot!(lines.join("\n"), @r"
        psql -h 127.0.0.1 -p 1 -U 'host=evil port=6666 dbname=x' -d 'dbname='\''host=evil port=6666 dbname=x'\'''
        mysql -h 127.0.0.1 -P 1 -u 'host=evil port=6666 dbname=x' -p -D 'host=evil port=6666 dbname=x'
        mongosh 'mongodb://127.0.0.1:1/host%3Devil%20port%3D6666%20dbname%3Dx?directConnection=true'
        ssh -p 1 -o HostKeyAlias=orders.internal -l 'host=evil port=6666 dbname=x' 127.0.0.1
        psql -h 127.0.0.1 -p 1 -U 'it'\''s a=\b' -d 'dbname='\''it\'\''s a=\\b'\'''
        mysql -h 127.0.0.1 -P 1 -u 'it'\''s a=\b' -p -D 'it'\''s a=\b'
        mongosh 'mongodb://127.0.0.1:1/it%27s%20a%3D%5Cb?directConnection=true'
        ssh -p 1 -o HostKeyAlias=orders.internal -l 'it'\''s a=\b' 127.0.0.1
        psql -h 127.0.0.1 -p 1 -U postgresql://evil/x -d 'dbname='\''postgresql://evil/x'\'''
        mysql -h 127.0.0.1 -P 1 -u postgresql://evil/x -p -D postgresql://evil/x
        mongosh 'mongodb://127.0.0.1:1/postgresql%3A%2F%2Fevil%2Fx?directConnection=true'
        ssh -p 1 -o HostKeyAlias=orders.internal -l postgresql://evil/x 127.0.0.1
        psql -h 127.0.0.1 -p 1 -U -oProxyCommand=evil -d 'dbname='\''-oProxyCommand=evil'\'''
        mysql -h 127.0.0.1 -P 1 -u -oProxyCommand=evil -p -D -oProxyCommand=evil
        mongosh 'mongodb://127.0.0.1:1/-oProxyCommand%3Devil?directConnection=true'
        ssh -p 1 -o HostKeyAlias=orders.internal -l -oProxyCommand=evil 127.0.0.1
        psql -h 127.0.0.1 -p 1 -U 'x?proxyHost=evil&a' -d 'dbname='\''x?proxyHost=evil&a'\'''
        mysql -h 127.0.0.1 -P 1 -u 'x?proxyHost=evil&a' -p -D 'x?proxyHost=evil&a'
        mongosh 'mongodb://127.0.0.1:1/x%3FproxyHost%3Devil%26a?directConnection=true'
        ssh -p 1 -o HostKeyAlias=orders.internal -l 'x?proxyHost=evil&a' 127.0.0.1
        psql -h 127.0.0.1 -p 1 -U '../%2f#é' -d '../%2f#é'
        mysql -h 127.0.0.1 -P 1 -u '../%2f#é' -p -D '../%2f#é'
        mongosh 'mongodb://127.0.0.1:1/..%2F%252f%23%C3%A9?directConnection=true'
        ssh -p 1 -o HostKeyAlias=orders.internal -l '../%2f#é' 127.0.0.1
        psql -h 127.0.0.1 -p 1 -U ssh://evil:22/@x -d 'dbname='\''ssh://evil:22/@x'\'''
        mysql -h 127.0.0.1 -P 1 -u ssh://evil:22/@x -p -D ssh://evil:22/@x
        mongosh 'mongodb://127.0.0.1:1/ssh%3A%2F%2Fevil%3A22%2F%40x?directConnection=true'
        ssh -p 1 -o HostKeyAlias=orders.internal -l ssh://evil:22/@x 127.0.0.1
        psql -h 127.0.0.1 -p 1 -U postgres -d postgres
        mysql -h 127.0.0.1 -P 1 -u postgres -p -D postgres
        mongosh 'mongodb://127.0.0.1:1/postgres?directConnection=true'
        ssh -p 1 -o HostKeyAlias=orders.internal -l postgres 127.0.0.1
        ");
    }

    #[test]
    fn a_proxy_command_takes_the_path_as_it_is() {
        let endpoint = EndpointAddress::Unix { path: "/run/50%h/x.sock".into() };
        let line = command_line(&target(TargetKind::Ssh, Some("-ana")), &endpoint);
        let wanted = "ssh -o 'ProxyCommand=nc -U /run/50%%h/x.sock' -l -ana orders.internal";
        assert_eq!(line, wanted);
    }

    fn lines(kind: TargetKind, endpoint: &EndpointAddress) -> String {
        let Environment { removed, set } = environment(&target(kind, Some("ana")), endpoint);
        let removed = removed.into_iter().map(|name| format!("-{name}"));
        let set = set.into_iter().map(|(name, value)| format!("{name}={value}"));
        removed.chain(set).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_environment_tells_a_client_where_to_go() {
        let endpoint = EndpointAddress::Loopback { port: 41000 };
        let kinds = [TargetKind::Postgres, TargetKind::Mysql, TargetKind::Redis];
        let lines = kinds.map(|kind| lines(kind, &endpoint)).join("\n\n");
        insta::assert_snapshot!(lines, @r"
        -BREAKGLASS_HOST
        -BREAKGLASS_PORT
        -BREAKGLASS_SOCKET
        -PGHOSTADDR
        -PGSERVICE
        -PGSERVICEFILE
        -PGDATABASE
        BREAKGLASS_TARGET=orders
        BREAKGLASS_HOST=127.0.0.1
        BREAKGLASS_PORT=41000
        PGHOST=127.0.0.1
        PGPORT=41000
        PGUSER=ana
        PGDATABASE=orders

        -BREAKGLASS_HOST
        -BREAKGLASS_PORT
        -BREAKGLASS_SOCKET
        -MYSQL_TCP_PORT
        -MYSQL_UNIX_PORT
        -MYSQL_GROUP_SUFFIX
        -MYSQL_DATABASE
        BREAKGLASS_TARGET=orders
        BREAKGLASS_HOST=127.0.0.1
        BREAKGLASS_PORT=41000
        MYSQL_HOST=127.0.0.1
        MYSQL_TCP_PORT=41000
        MYSQL_USER=ana
        MYSQL_DATABASE=orders

        -BREAKGLASS_HOST
        -BREAKGLASS_PORT
        -BREAKGLASS_SOCKET
        BREAKGLASS_TARGET=orders
        BREAKGLASS_HOST=127.0.0.1
        BREAKGLASS_PORT=41000
        ");
    }

    #[test]
    fn the_environment_tells_a_client_which_socket_to_use() {
        let socket = |path: &str| EndpointAddress::Unix { path: path.into() };
        let lines = [
            lines(TargetKind::Postgres, &socket("/run/bg/7/.s.PGSQL.5432")),
            lines(TargetKind::Mysql, &socket("/run/bg/7.sock")),
            lines(TargetKind::Tcp, &socket("/run/bg/7.sock")),
        ];
        insta::assert_snapshot!(lines.join("\n\n"), @r"
        -BREAKGLASS_HOST
        -BREAKGLASS_PORT
        -BREAKGLASS_SOCKET
        -PGHOSTADDR
        -PGSERVICE
        -PGSERVICEFILE
        -PGDATABASE
        BREAKGLASS_TARGET=orders
        BREAKGLASS_SOCKET=/run/bg/7/.s.PGSQL.5432
        PGHOST=/run/bg/7
        PGPORT=5432
        PGUSER=ana
        PGDATABASE=orders

        -BREAKGLASS_HOST
        -BREAKGLASS_PORT
        -BREAKGLASS_SOCKET
        -MYSQL_TCP_PORT
        -MYSQL_UNIX_PORT
        -MYSQL_GROUP_SUFFIX
        -MYSQL_DATABASE
        BREAKGLASS_TARGET=orders
        BREAKGLASS_SOCKET=/run/bg/7.sock
        MYSQL_HOST=localhost
        MYSQL_UNIX_PORT=/run/bg/7.sock
        MYSQL_USER=ana
        MYSQL_DATABASE=orders

        -BREAKGLASS_HOST
        -BREAKGLASS_PORT
        -BREAKGLASS_SOCKET
        BREAKGLASS_TARGET=orders
        BREAKGLASS_SOCKET=/run/bg/7.sock
        ");
    }

    #[test]
    fn a_connection_string_is_never_exported_as_a_database() {
        let mut target = target(TargetKind::Postgres, None);
        for name in ["host=evil", "postgres://evil/x"] {
            target.database = Some(name.into());
            let found = environment(&target, &EndpointAddress::Loopback { port: 1 });
            assert!(found.set.iter().all(|(name, _)| *name != "PGDATABASE"), "{found:?}");
            assert!(found.removed.contains(&"PGDATABASE"));
        }
    }

    #[test]
    fn a_socket_has_its_command_for_each_kind() {
        let line = |kind| {
            let path =
                if kind == TargetKind::Postgres { "/r/7/.s.PGSQL.5432" } else { "/r/7.sock" };
            command_line(&target(kind, Some("ana")), &EndpointAddress::Unix { path: path.into() })
        };
        insta::assert_snapshot!(TargetKind::ALL.map(line).join("\n"), @r"
        nc -U /r/7.sock
        psql -h /r/7 -p 5432 -U ana -d orders
        mysql -h localhost -S /r/7.sock -u ana -p -D orders
        redis-cli -s /r/7.sock
        nc -U /r/7.sock
        ssh -o 'ProxyCommand=nc -U /r/7.sock' -l ana orders.internal
        curl --unix-socket /r/7.sock https://orders.internal:8443/
        curl --unix-socket /r/7.sock http://localhost/
        nc -U /r/7.sock
        ");
    }
}
