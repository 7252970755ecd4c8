//! What carries bytes: a connector in a site, and a client on the operator's host.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional,
};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinSet;

use super::Outcome;
use super::serving::ASKED_AT;

/// Asks the cloud something of the network at that host: what it says, or why not.
pub async fn ask(host: &str, question: &[&str]) -> Outcome<Result<String, String>> {
    let mut stream = TcpStream::connect((host, ASKED_AT)).await?;
    stream.write_all(format!("{host} {}\n", question.join(" ")).as_bytes()).await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    understood(&said)
}

fn understood(said: &str) -> Outcome<Result<String, String>> {
    match said.trim_end_matches('\n').split_once(' ') {
        Some(("ok", text)) => Ok(Ok(text.to_owned())),
        Some(("no", why)) => Ok(Err(why.to_owned())),
        _ => Err(format!("the cloud says `{said}`").into()),
    }
}

/// Carries until it is ended, or until the cloud hangs up. Its settings are those of the vendor's own.
pub async fn connector(setting: impl Fn(&str) -> Option<String>) -> Outcome<()> {
    let needed = |name: &str| {
        setting(name).filter(|text| !text.is_empty()).ok_or_else(|| format!("{name} is not set"))
    };
    let url = needed("TWINGATE_URL")?;
    let host = url.strip_prefix("https://").ok_or("TWINGATE_URL is no address")?.to_owned();
    let (access, refresh) = (needed("TWINGATE_ACCESS_TOKEN")?, needed("TWINGATE_REFRESH_TOKEN")?);
    let _socket = UnixListener::bind(needed("TWINGATE_API_ENDPOINT")?)?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let mut cloud = BufReader::new(TcpStream::connect((host.as_str(), ASKED_AT)).await?);
    let port = listener.local_addr()?.port();
    cloud.write_all(format!("{host} started {access} {refresh} {port}\n").as_bytes()).await?;
    let mut said = String::new();
    cloud.read_line(&mut said).await?;
    let id = understood(&said)??;
    let mut relays = JoinSet::new();
    loop {
        tokio::select! {
            taken = listener.accept() => {
                let (stream, _) = taken?;
                relays.spawn(relay(stream, host.clone(), id.clone()));
            }
            _ = cloud.read_u8() => return Err("the cloud has hung up".into()),
        }
        while relays.try_join_next().is_some() {}
    }
}

/// Relays one connection to the address in its first line, where the cloud lets it.
async fn relay(mut stream: TcpStream, host: String, id: String) -> Outcome<()> {
    let target: SocketAddr = line(&mut stream).await?.parse()?;
    let (address, port) = (target.ip().to_string(), target.port().to_string());
    let may = ask(&host, &["may", &id, &address, &port]).await?;
    may?;
    let mut there = TcpStream::connect(target).await?;
    stream.write_all(b"ok\n").await?;
    copy_bidirectional(&mut stream, &mut there).await?;
    Ok(())
}

/// Listens as the client of somebody in that group, until it is ended.
pub async fn client(host: &str, proxy_at: SocketAddr, group: &str) -> Outcome<()> {
    let listener = TcpListener::bind(proxy_at).await?;
    let mut proxied = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        proxied.spawn(proxy(stream, host.to_owned(), group.to_owned()));
        while proxied.try_join_next().is_some() {}
    }
}

async fn proxy(mut stream: TcpStream, host: String, group: String) -> Outcome<()> {
    let asked = line(&mut stream).await?;
    while !line(&mut stream).await?.is_empty() {}
    let mut words = asked.split_whitespace();
    let target = words.next().filter(|word| *word == "CONNECT").and(words.next());
    let carried = match target {
        Some(target) => carried(target, &host, &group).await,
        None => Err("only CONNECT".into()),
    };
    match carried {
        Ok(mut connector) => {
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            copy_bidirectional(&mut stream, &mut connector).await?;
        }
        Err(_) => stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await?,
    }
    Ok(())
}

/// A connection to a target, over the connector that carries it.
async fn carried(target: &str, host: &str, group: &str) -> Outcome<TcpStream> {
    let target: SocketAddr = target.parse()?;
    let (address, port) = (target.ip().to_string(), target.port().to_string());
    let place = ask(host, &["who", &address, &port, group]).await??;
    let mut connector = TcpStream::connect(place).await?;
    connector.write_all(format!("{target}\n").as_bytes()).await?;
    let said = line(&mut connector).await?;
    if said == "ok" { Ok(connector) } else { Err("the connector does not reach it".into()) }
}

/// One line without its end, and not a byte behind it.
async fn line(stream: &mut TcpStream) -> io::Result<String> {
    let mut line = vec![];
    loop {
        match stream.read_u8().await? {
            b'\n' => break,
            byte if line.len() < LINE_BYTES_MAX => line.push(byte),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    let text = String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(text.trim_end_matches('\r').to_owned())
}

const LINE_BYTES_MAX: usize = 4096;
