//! A session over a bastion beside `ssh -L` by hand, on loopback, through an sshd of our own.
//!
//! From the wish to the first byte of the target's answer: `ssh -N -L` is started and connected to as
//! soon as it listens; a session is requested and its endpoint connected to as soon as it is Active.
//! Both take turns, and medians are shown. Run it with `cargo bench --bench bastion`; it needs
//! OpenSSH's client and server.
#![expect(clippy::print_stdout, reason = "a figure on stdout is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command as Program, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use breakglass::domain::connect::EndpointAddress;
use breakglass::domain::request::{OpenRequest, TargetChoice};
use breakglass::domain::ssh::SshDestination;
use breakglass::domain::target::{Address, TargetKind};
use breakglass::engine::{Engine, Running};
use breakglass::protocol::{Command, Event, Reply, SessionState, SessionView, Subscription};
use breakglass::provider::key::Key;
use breakglass::provider::ssh::Bastion;
use breakglass::ssh::{Ssh, Whose};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

mod kit;

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 25;
const SSHD: &str = "/usr/sbin/sshd";

fn main() -> Outcome<()> {
    if !Path::new(SSHD).exists() {
        println!("sshd is not installed, so there is nothing to measure");
        return Ok(());
    }
    tokio::runtime::Runtime::new()?.block_on(compare())
}

async fn compare() -> Outcome<()> {
    let dir = tempfile::Builder::new().prefix("bg").tempdir_in("/tmp")?;
    let (target, _serving) = echo().await?;
    let bastion = Server::start(dir.path()).await?;
    let engine = engine(dir.path(), &bastion).await?;
    let mut faces = engine.handle.subscribe().await?;
    let (mut by_hand, mut ours, mut ends) = (vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        by_hand.push(plain(&bastion, dir.path(), target).await?);
        let start = Instant::now();
        let view = open(&engine, &mut faces, target).await?;
        let port = match view.endpoint {
            Some(EndpointAddress::Loopback { port }) => port,
            _ => return Err("no endpoint".into()),
        };
        first_byte((Ipv4Addr::LOCALHOST, port).into()).await?;
        ours.push(start.elapsed());
        let start = Instant::now();
        engine.handle.call(Command::End { session: view.id, reason: None }).await?;
        until(&mut faces, view.id, SessionState::Ended).await?;
        ends.push(start.elapsed());
    }
    let (by_hand, ours, ends) = (median(by_hand), median(ours), median(ends));
    println!("ssh -L by hand, to the first byte      {by_hand:>9.1?}");
    println!("a session over it, to the first byte   {ours:>9.1?}");
    println!(
        "  times ssh -L                         {:>9.2}",
        ours.as_secs_f64() / by_hand.as_secs_f64()
    );
    println!("its end, all seen gone                 {ends:>9.1?}");
    Ok(())
}

async fn engine(dir: &Path, bastion: &Server) -> Outcome<Running> {
    let path = std::env::var("PATH")?;
    let home = dir.to_string_lossy().into_owned();
    let variables = [("PATH".to_owned(), path), ("HOME".to_owned(), home)].into();
    let ssh = Ssh { whose: Whose::Operator { home: dir.into() }, variables, dir: dir.join("s") };
    let destination = SshDestination {
        port: Some(bastion.address.port()),
        identity_file: Some(dir.join("user")),
        known_hosts_file: Some(dir.join("known_hosts")),
        ..SshDestination::new("127.0.0.1".parse()?)
    };
    let provider = Bastion::new("bastion".parse()?, destination, Key::None, ssh);
    let parts = kit::parts(dir, vec![Arc::new(provider)]).await?;
    Ok(Engine::start(parts, BTreeMap::new()).await?)
}

async fn open(
    engine: &Running,
    faces: &mut Subscription,
    target: SocketAddr,
) -> Outcome<SessionView> {
    let address = Address::new("127.0.0.1", target.port())?;
    let target = TargetChoice::AdHoc { address, kind: TargetKind::Tcp, site: None };
    let request = OpenRequest { target, reason: "INC-1".into(), duration: None, agreed: false };
    match engine.handle.call(Command::Open(request)).await? {
        Reply::Session(view) => until(faces, view.id, SessionState::Active).await,
        other => Err(format!("{other:?}").into()),
    }
}

async fn until(
    faces: &mut Subscription,
    id: breakglass::domain::id::SessionId,
    state: SessionState,
) -> Outcome<SessionView> {
    loop {
        match faces.events.recv().await {
            Some(Event::Session(view)) if view.id == id && view.state == state => return Ok(*view),
            Some(Event::Session(view)) if view.id == id && view.state == SessionState::Ended => {
                return Err(format!("{:?}", view.end_detail).into());
            }
            Some(_) => {}
            None => return Err("the engine tells no more".into()),
        }
    }
}

async fn plain(bastion: &Server, dir: &Path, target: SocketAddr) -> Outcome<Duration> {
    let local = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
    let start = Instant::now();
    let client = quiet("ssh")
        .args(["-N", "-F", "none", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes"])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", dir.join("known_hosts").display()))
        .args(["-p", &bastion.address.port().to_string(), "-i"])
        .arg(dir.join("user"))
        .args(["-L", &format!("{local}:{target}"), "127.0.0.1"])
        .spawn()?;
    let _client = Ends(client);
    while TcpStream::connect(local).await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    first_byte(local).await?;
    Ok(start.elapsed())
}

async fn first_byte(address: SocketAddr) -> Outcome<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"x").await?;
    stream.read_exact(&mut [0]).await?;
    Ok(())
}

async fn echo() -> Outcome<(SocketAddr, JoinSet<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            clients.spawn(async move {
                let (mut reader, mut writer) = client.split();
                tokio::io::copy(&mut reader, &mut writer).await.ok();
            });
        }
    });
    Ok((address, serving))
}

/// An sshd of our own.
struct Server {
    address: SocketAddr,
    _process: Ends,
}

impl Server {
    async fn start(dir: &Path) -> Outcome<Self> {
        for key in ["host", "user"] {
            let mut made = quiet("ssh-keygen");
            made.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key)).status()?;
        }
        std::fs::copy(dir.join("user.pub"), dir.join("authorized"))?;
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd")?;
        }
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
        let host_key = std::fs::read_to_string(dir.join("host.pub"))?;
        let known = format!("[127.0.0.1]:{} {host_key}", address.port());
        std::fs::write(dir.join("known_hosts"), known)?;
        let config = format!(
            "ListenAddress {address}\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized\n\
             PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\n",
            at = dir.display()
        );
        std::fs::write(dir.join("config"), config)?;
        let process = quiet(SSHD).arg("-D").arg("-f").arg(dir.join("config")).spawn()?;
        let server = Self { address, _process: Ends(process) };
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(server)
    }
}

struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn quiet(program: &str) -> Program {
    let mut command = Program::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
