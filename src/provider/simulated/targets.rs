//! Small services on loopback that play the targets of a drill: each says enough, in its own
//! protocol, that an ordinary client shows something sensible.
//!
//! | Kind | What a client sees |
//! |---|---|
//! | http | a status page |
//! | https, kubernetes | a TLS alert; the status page for a client that speaks plainly |
//! | redis | PING and INFO answered, everything else refused in words |
//! | postgres, mysql, ssh | a refusal in words, as the protocol has it |
//! | tcp, mongodb | a greeting, and every line sent back |
//!
//! Each read has a limit, and so has the number of clients of a service.

mod refusals;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::domain::target::TargetKind;

/// The services that run. Dropping them ends them all.
#[derive(Debug, Default)]
pub struct Targets {
    tasks: JoinSet<()>,
}

impl Targets {
    /// Starts a service on a free port, and returns where it listens.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(&mut self, kind: TargetKind, name: &str) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        self.tasks.spawn(serve(listener, kind, name.to_owned()));
        Ok(address)
    }
}

async fn serve(listener: TcpListener, kind: TargetKind, name: String) {
    let mut clients = JoinSet::new();
    loop {
        while clients.len() >= CLIENTS_MAX {
            clients.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    let name = name.clone();
                    // A client that breaks off is served.
                    clients.spawn(async move { answer(client, kind, &name).await.ok(); });
                }
                // Too many open files, most likely: others must close first.
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn answer(client: TcpStream, kind: TargetKind, name: &str) -> io::Result<()> {
    let mut client = BufReader::new(client);
    match kind {
        TargetKind::Http => page(&mut client, name).await,
        TargetKind::Https | TargetKind::Kubernetes => {
            if client.fill_buf().await?.first() == Some(&refusals::TLS_HANDSHAKE) {
                return client.write_all(refusals::TLS_ALERT).await;
            }
            page(&mut client, name).await
        }
        TargetKind::Redis => redis(&mut client, name).await,
        TargetKind::Postgres => postgres(&mut client, name).await,
        TargetKind::Mysql => client.write_all(&refusals::mysql(name)).await,
        TargetKind::Ssh => {
            client.write_all(refusals::SSH_BANNER).await?;
            line(&mut client).await?;
            client.write_all(&refusals::ssh(name)).await
        }
        TargetKind::Tcp | TargetKind::Mongodb => echo(&mut client, name).await,
    }
}

async fn page(client: &mut BufReader<TcpStream>, name: &str) -> io::Result<()> {
    while let Some(request) = line(client).await? {
        let mut close = false;
        while let Some(header) = line(client).await?.filter(|header| !header.is_empty()) {
            close |= header.eq_ignore_ascii_case("connection: close");
        }
        let first = request.split(' ').nth(1).unwrap_or("/");
        let body = format!("DRILL {name}\nstatus: all systems normal\nyou asked for: {first}\n");
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: drill\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        client.write_all(format!("{head}{body}").as_bytes()).await?;
        if close {
            return Ok(());
        }
    }
    Ok(())
}

/// Answers inline commands and arrays of strings (Redis serialization protocol, RESP2).
async fn redis(client: &mut BufReader<TcpStream>, name: &str) -> io::Result<()> {
    while let Some(first) = line(client).await? {
        let words = match first.strip_prefix('*').map(str::parse::<usize>) {
            Some(Ok(count)) => {
                let mut words = vec![];
                for _ in 0..count.min(WORDS_MAX) {
                    line(client).await?;
                    words.extend(line(client).await?);
                }
                words
            }
            _ => first.split_whitespace().map(ToOwned::to_owned).collect(),
        };
        let answer = match words.first().map(|word| word.to_ascii_uppercase()).as_deref() {
            Some("PING") => "+PONG\r\n".to_owned(),
            Some("INFO") => {
                let info =
                    format!("# Drill\r\nname:{name}\r\nrole:master\r\nconnected_clients:1\r\n");
                format!("${}\r\n{info}\r\n", info.len())
            }
            Some("QUIT") => return client.write_all(b"+OK\r\n").await,
            Some(_) => "-ERR this is a drill: only PING and INFO are answered\r\n".to_owned(),
            None => continue,
        };
        client.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// Refuses encryption, then the start, in words (PostgreSQL protocol 3.0, message formats).
async fn postgres(client: &mut BufReader<TcpStream>, name: &str) -> io::Result<()> {
    for _ in 0..STARTS_MAX {
        let length = client.read_u32().await?;
        let rest = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(4);
        if !(4..=START_BYTES_MAX).contains(&rest) {
            return Ok(());
        }
        let mut start = vec![0; rest];
        client.read_exact(&mut start).await?;
        match start.get(..4) {
            Some(refusals::POSTGRES_SSL | refusals::POSTGRES_GSS) => client.write_all(b"N").await?,
            _ => return client.write_all(&refusals::postgres(name)).await,
        }
    }
    Ok(())
}

async fn echo(client: &mut BufReader<TcpStream>, name: &str) -> io::Result<()> {
    let greeting = format!("DRILL {name}: every line comes back\r\n");
    client.write_all(greeting.as_bytes()).await?;
    while let Some(line) = line(client).await? {
        client.write_all(format!("{line}\r\n").as_bytes()).await?;
    }
    Ok(())
}

/// Reads a line without its end; nothing at the end of all lines.
async fn line(client: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut bytes = vec![];
    let read = client.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    Ok((read > 0).then(|| text.trim_end_matches(['\r', '\n']).to_owned()))
}

const CLIENTS_MAX: usize = 256;
const LINE_BYTES_MAX: u64 = 4_096;
const START_BYTES_MAX: usize = 10_000;
const STARTS_MAX: usize = 3;
const WORDS_MAX: usize = 64;
const PAUSE: tokio::time::Duration = tokio::time::Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Sends bytes to a service and returns all that it says until it closes.
    async fn says(kind: TargetKind, sent: &[u8]) -> Vec<u8> {
        let mut targets = Targets::default();
        let address = targets.start(kind, "Ledger").await.unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        // A service that has heard enough closes, whatever else is on its way.
        client.write_all(sent).await.ok();
        client.shutdown().await.ok();
        let mut said = vec![];
        client.read_to_end(&mut said).await.ok();
        said
    }

    async fn says_text(kind: TargetKind, sent: &[u8]) -> String {
        String::from_utf8(says(kind, sent).await).unwrap().replace('\r', "")
    }

    #[tokio::test]
    async fn a_page_a_cache_and_an_echo_answer() {
        insta::assert_snapshot!(says_text(TargetKind::Http, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await, @r"
        HTTP/1.1 200 OK
        Server: drill
        Content-Type: text/plain; charset=utf-8
        Content-Length: 58

        DRILL Ledger
        status: all systems normal
        you asked for: /x
        ");
        let sent = b"PING\r\n*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\nINFO\r\n";
        insta::assert_snapshot!(says_text(TargetKind::Redis, sent).await, @r"
        +PONG
        +PONG
        -ERR this is a drill: only PING and INFO are answered
        $56
        # Drill
        name:Ledger
        role:master
        connected_clients:1
        ");
        insta::assert_snapshot!(says_text(TargetKind::Tcp, b"one\ntwo\n").await, @r"
        DRILL Ledger: every line comes back
        one
        two
        ");
    }

    #[tokio::test]
    async fn databases_and_ssh_refuse_in_words() {
        let startup = [&8u32.to_be_bytes()[..], refusals::POSTGRES_SSL].concat();
        let startup = [&startup[..], &8u32.to_be_bytes(), &196_608u32.to_be_bytes()].concat();
        let said = says(TargetKind::Postgres, &startup).await;
        assert_eq!(said[..2], *b"NE");
        assert!(String::from_utf8_lossy(&said).contains("this is a drill"), "{said:?}");
        let said = says(TargetKind::Mysql, b"").await;
        assert!(String::from_utf8_lossy(&said).ends_with("this is a drill: Ledger has no data"));
        let said = says(TargetKind::Ssh, b"SSH-2.0-x\r\n").await;
        assert!(said.starts_with(b"SSH-2.0-drill\r\n"));
        assert!(String::from_utf8_lossy(&said).contains("this is a drill"), "{said:?}");
    }

    #[tokio::test]
    async fn a_client_that_speaks_tls_gets_an_alert() {
        assert_eq!(says(TargetKind::Https, &[0x16, 3, 1]).await, refusals::TLS_ALERT);
        assert!(says_text(TargetKind::Https, b"GET / HTTP/1.1\r\n\r\n").await.contains("DRILL"));
    }

    #[tokio::test]
    async fn nonsense_harms_nobody() {
        for kind in TargetKind::ALL {
            says(kind, &[0xff; 20_000]).await;
            says(kind, b"*99999999\r\n$-1\r\n").await;
        }
    }
}
