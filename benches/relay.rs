//! The local endpoint beside what people use today, on loopback, all in one run.
//!
//! Rows: a raw connection, `socat`, `ssh -L` through an sshd of our own, the endpoint over that same
//! SSH connection (what a bastion costs), and the endpoint. Columns:
//! throughput of one stream, round trip of 64 bytes, connect plus two bytes. Below: the memory of a
//! thousand idle connections and the time to close them. In each round the rows take turns, and medians
//! are shown, so that a busy machine hurts all rows alike. Throughput comes last: the scheduler
//! remembers which threads have just worked hard and lets them wait. Run it with `cargo bench --bench relay`.
#![expect(clippy::print_stdout, reason = "a table on stdout is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use breakglass::domain::connect::EndpointAddress;
use breakglass::forward::{Conduit, Dial, DialError, EVENTS_MAX, Endpoint, Listen, Room, Settings};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

type Outcome<T> = Result<T, Box<dyn Error>>;

const FORWARD: &str = "forward";
const ROUNDS: usize = 5;
const STREAM_BYTES: u64 = 1 << 30;
const PINGS: usize = 3000;
const CONNECTS: usize = 200;
const IDLE: usize = 1000;

fn main() -> Outcome<()> {
    let runtime = Runtime::new()?;
    let target = serve_target()?;
    let scratch = tempfile::tempdir()?;
    let (endpoint, port) = start_endpoint(&runtime, Arc::new(To(target)))?;

    let mut rows = vec![Row::new("raw", target, None)];
    rows.extend(socat(target)?);
    let mut over_ssh = None;
    if let Some(row) = ssh(target, scratch.path())? {
        rows.push(row);
        let behind = Arc::new(Through(scratch.path().join(FORWARD)));
        let (over, port) = start_endpoint(&runtime, behind)?;
        rows.push(Row::new("over ssh", (Ipv4Addr::LOCALHOST, port).into(), None));
        over_ssh = Some(over);
    }
    rows.push(Row::new("endpoint", (Ipv4Addr::LOCALHOST, port).into(), None));
    for row in &rows {
        wait_until_served(row.address)?;
    }
    for _ in 0..ROUNDS {
        for row in &mut rows {
            let (p50, p99) = round_trip(row.address)?;
            row.trip_p50.push(p50);
            row.trip_p99.push(p99);
            row.connect.push(connect_and_two_bytes(row.address)?);
        }
    }
    for _ in 0..ROUNDS {
        for row in &mut rows {
            row.gbits.push(throughput(row.address)?);
        }
    }
    print_table(&mut rows);
    drop(over_ssh);
    idle_connections(&runtime, endpoint)
}

/// One way to the target, and what was measured on it.
struct Row {
    name: &'static str,
    address: SocketAddr,
    /// Killed at the end.
    _processes: Option<Processes>,
    gbits: Vec<f64>,
    trip_p50: Vec<f64>,
    trip_p99: Vec<f64>,
    connect: Vec<f64>,
}

impl Row {
    fn new(name: &'static str, address: SocketAddr, processes: Option<Processes>) -> Self {
        let (gbits, trip_p50, trip_p99, connect) = Default::default();
        Self { name, address, _processes: processes, gbits, trip_p50, trip_p99, connect }
    }
}

struct Processes(Vec<Child>);

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A target that counts (`S`) or echoes (`E`), as the first byte of a connection says.
fn serve_target() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::listen(&listener, 4096)?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Small stacks: a thousand idle connections wait here too.
            thread::Builder::new().stack_size(64 * 1024).spawn(move || serve_one(stream)).ok();
        }
    });
    Ok(address)
}

fn serve_one(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut mode = [0];
    stream.read_exact(&mut mode)?;
    if mode == *b"E" {
        let mut bytes = [0; 4096];
        loop {
            match stream.read(&mut bytes)? {
                0 => return Ok(()),
                length => stream.write_all(bytes.get(..length).unwrap_or_default())?,
            }
        }
    }
    let mut bytes = vec![0; 256 * 1024];
    let mut count = 0_u64;
    loop {
        match stream.read(&mut bytes)? {
            0 => return stream.write_all(&count.to_le_bytes()),
            length => count += length as u64,
        }
    }
}

struct To(SocketAddr);

#[async_trait]
impl Dial for To {
    async fn dial(&self) -> Result<Conduit, DialError> {
        match tokio::net::TcpStream::connect(self.0).await {
            Ok(stream) => Ok(Conduit::Tcp(stream)),
            Err(source) => Err(DialError::Unreachable { target: self.0.to_string(), source }),
        }
    }
}

/// A UNIX socket that `ssh` forwards, as a bastion's sessions have one.
struct Through(PathBuf);

#[async_trait]
impl Dial for Through {
    async fn dial(&self) -> Result<Conduit, DialError> {
        match tokio::net::UnixStream::connect(&self.0).await {
            Ok(stream) => Ok(Conduit::Unix(stream)),
            Err(source) => {
                Err(DialError::Unreachable { target: self.0.display().to_string(), source })
            }
        }
    }
}

fn start_endpoint(runtime: &Runtime, dial: Arc<dyn Dial>) -> Outcome<(Endpoint, u16)> {
    let _inside = runtime.enter();
    let bound = Listen::Loopback { port: None }.bind()?;
    let EndpointAddress::Loopback { port } = *bound.address() else { return Err("no port".into()) };
    let settings = Settings::new(rustix::process::geteuid().as_raw(), Room::new(4_096));
    let (events, mut heard) = mpsc::channel(EVENTS_MAX);
    thread::spawn(move || while heard.blocking_recv().is_some() {});
    Ok((Endpoint::start(bound, dial, settings, events)?, port))
}

fn installed(program: &str) -> bool {
    Command::new("which").arg(program).stdout(Stdio::null()).status().is_ok_and(|s| s.success())
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn socat(target: SocketAddr) -> Outcome<Option<Row>> {
    if !installed("socat") {
        println!("socat: not installed, row skipped");
        return Ok(None);
    }
    let address = free_address()?;
    let listen =
        format!("TCP-LISTEN:{},bind=127.0.0.1,reuseaddr,fork,nodelay,backlog=1024", address.port());
    let child = quiet("socat").args([listen, format!("TCP:{target},nodelay")]).spawn()?;
    Ok(Some(Row::new("socat", address, Some(Processes(vec![child])))))
}

/// `ssh -L` with its defaults, through an sshd that runs only for this.
fn ssh(target: SocketAddr, folder: &Path) -> Outcome<Option<Row>> {
    const SSHD: &str = "/usr/sbin/sshd";
    if !Path::new(SSHD).exists() || !installed("ssh") {
        println!("ssh -L: sshd is not installed, row skipped");
        return Ok(None);
    }
    for key in ["host", "user"] {
        let mut made = quiet("ssh-keygen");
        made.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
        made.arg(folder.join(key)).status()?;
    }
    std::fs::copy(folder.join("user.pub"), folder.join("authorized"))?;
    std::fs::set_permissions(folder.join("authorized"), PermissionsExt::from_mode(0o600))?;
    if rustix::process::geteuid().is_root() {
        std::fs::create_dir_all("/run/sshd")?;
    }
    let (daemon, local) = (free_address()?, free_address()?);
    let config = format!(
        "ListenAddress {daemon}\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized\n\
         PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\n",
        at = folder.display()
    );
    std::fs::write(folder.join("config"), config)?;
    let sshd = quiet(SSHD).arg("-D").arg("-f").arg(folder.join("config")).spawn()?;
    let mut processes = Processes(vec![sshd]);
    wait_until_served(daemon)?;
    let client = quiet("ssh")
        .args(["-N", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "ExitOnForwardFailure=yes"])
        .args(["-p", &daemon.port().to_string(), "-i"])
        .arg(folder.join("user"))
        .args(["-L", &format!("{local}:{target}")])
        .args(["-L", &format!("{}:{target}", folder.join(FORWARD).display()), "127.0.0.1"])
        .spawn()?;
    processes.0.push(client);
    wait_until_served(local)?;
    Ok(Some(Row::new("ssh -L", local, Some(processes))))
}

fn wait_until_served(address: SocketAddr) -> Outcome<()> {
    for _ in 0..200 {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(format!("nothing listens on {address}").into())
}

/// Gbit/s of one stream, counted at the target.
fn throughput(address: SocketAddr) -> Outcome<f64> {
    let chunk = vec![7_u8; 256 * 1024];
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"S")?;
    let started = Instant::now();
    let mut left = STREAM_BYTES;
    while left > 0 {
        stream.write_all(&chunk)?;
        left = left.saturating_sub(chunk.len() as u64);
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut count = [0; 8];
    stream.read_exact(&mut count)?;
    let seconds = started.elapsed().as_secs_f64();
    match u64::from_le_bytes(count) {
        STREAM_BYTES => Ok(STREAM_BYTES as f64 * 8.0 / seconds / 1e9),
        other => Err(format!("{other} bytes came of {STREAM_BYTES}").into()),
    }
}

/// p50 and p99 in microseconds.
fn round_trip(address: SocketAddr) -> Outcome<(f64, f64)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(b"E")?;
    let mut bytes = [1; 64];
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let started = Instant::now();
        stream.write_all(&bytes)?;
        stream.read_exact(&mut bytes)?;
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    Ok((quantile(&mut times, 0.5), quantile(&mut times, 0.99)))
}

/// p50 in milliseconds from before the connect until the echo of one byte.
fn connect_and_two_bytes(address: SocketAddr) -> Outcome<f64> {
    let mut times = Vec::with_capacity(CONNECTS);
    for _ in 0..CONNECTS {
        let started = Instant::now();
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.write_all(b"Ex")?;
        stream.read_exact(&mut [0])?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(quantile(&mut times, 0.5))
}

fn quantile(values: &mut [f64], at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len().saturating_sub(1) as f64 * at).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

fn print_table(rows: &mut [Row]) {
    println!(
        "{:<10}{:>9}{:>14}{:>14}{:>13}   medians of {ROUNDS} rounds",
        "", "Gbit/s", "RTT p50 us", "RTT p99 us", "connect ms"
    );
    let mut medians = Vec::new();
    for row in rows.iter_mut() {
        let gbits = quantile(&mut row.gbits, 0.5);
        let (p50, p99) = (quantile(&mut row.trip_p50, 0.5), quantile(&mut row.trip_p99, 0.5));
        let connect = quantile(&mut row.connect, 0.5);
        println!("{:<10}{gbits:>9.1}{p50:>14.1}{p99:>14.1}{connect:>13.3}", row.name);
        medians.push((row.name, gbits, p50, connect));
    }
    let found = |name| medians.iter().find(|(other, ..)| *other == name);
    if let (Some(plain), Some(ours)) = (found("ssh -L"), found("over ssh")) {
        println!("over ssh against ssh -L: throughput {:.2} times", ours.1 / plain.1);
    }
    let Some(&(_, gbits, p50, connect)) = medians.last() else { return };
    for (name, other_gbits, other_p50, other_connect) in medians.iter().rev().skip(1).rev() {
        println!(
            "endpoint against {name}: throughput {:.2} times, RTT p50 {:.2} times, connect {:+.3} ms",
            gbits / other_gbits,
            p50 / other_p50,
            connect - other_connect
        );
    }
}

/// Resident memory of this process in KiB.
fn resident_kib() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn idle_connections(runtime: &Runtime, old: Endpoint) -> Outcome<()> {
    runtime.block_on(old.close());
    // A target without threads, so that only the endpoint's memory grows.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::listen(&silent, 4096)?;
    let (endpoint, port) = start_endpoint(runtime, Arc::new(To(silent.local_addr()?)))?;
    let mut sockets = Vec::with_capacity(2 * IDLE);
    let before = resident_kib()?;
    for _ in 0..IDLE {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        let (mut far, _) = silent.accept()?;
        // Each has carried something in both directions before it is idle.
        client.write_all(&[1; 1000])?;
        far.read_exact(&mut [0; 1000])?;
        far.write_all(&[2; 1000])?;
        client.read_exact(&mut [0; 1000])?;
        sockets.extend([client, far]);
    }
    let grown = resident_kib()?.saturating_sub(before);
    println!("{IDLE} idle connections: {:.1} MB resident", grown as f64 / 1024.0);
    let started = Instant::now();
    let totals = runtime.block_on(endpoint.close());
    let took = started.elapsed();
    println!("{IDLE} connections closed in {:.1} ms", took.as_secs_f64() * 1e3);
    for mut socket in sockets {
        if socket.read(&mut [0]).is_ok_and(|length| length > 0) {
            return Err("a connection outlived the close".into());
        }
    }
    match totals.connections_total {
        total if total == IDLE as u64 => Ok(()),
        total => Err(format!("{total} connections were counted").into()),
    }
}
