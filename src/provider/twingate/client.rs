//! This side: the client of Twingate that runs on this host, by its network device or its proxy.
//!
//! A connection leaves by the client or not at all. Over the device it is bound to that device
//! (`SO_BINDTODEVICE`, socket(7)), so that no other route of this host ever carries it; the proxy is
//! asked to connect (RFC 9110, section 9.3.6), and knows nothing but the network.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::Twingate;
use super::steps::{Action, Does, made};
use crate::domain::text;
use crate::domain::time::Span;
use crate::domain::twingate::{ClientPath, ProxyAddress};
use crate::process::{Program, run};
use crate::provider::{DialError, Dialed, Made, Says};
use crate::session::Applied;

impl Twingate {
    /// Connects to the target of a session.
    pub(super) async fn dial_over(&self, steps: &[Made]) -> Result<Dialed, DialError> {
        let Some((_, action)) = made(steps, Does::Check) else {
            let why = "the session's steps are damaged".to_owned();
            return Err(DialError::Other { address: "the target".to_owned(), why });
        };
        self.connect(&action).await.map(Dialed::Tcp)
    }

    /// Sees whether the target answers. The client learns of a new resource some time after the network
    /// does, so it is tried for a while.
    pub(super) async fn check_target(&self, action: &Action, says: &Says) -> Applied {
        if let Err(why) = self.client(action.data_path).await {
            return Applied::Refused(why);
        }
        let pace = &self.around.pace;
        let began = pace.now();
        loop {
            let why = match self.connect(action).await {
                Ok(_) => return Applied::Applied(None),
                Err(why) => why,
            };
            if pace.now().since(began) >= CHECKED_FOR {
                return Applied::Refused(format!(
                    "{why}; the connector is alive, so look at the target, at what the site's host may \
                     reach, and whether this host's client belongs to a member of the group `{}`",
                    action.group
                ));
            }
            says.say(format!("{why}; the client may not know the resource yet"));
            pace.pause(CHECKED_EVERY).await;
        }
    }

    /// True where the target of a session answers over the client.
    pub(super) async fn carries(&self, action: &Action) -> bool {
        self.connect(action).await.is_ok()
    }

    async fn connect(&self, action: &Action) -> Result<TcpStream, DialError> {
        let target = action.target();
        let opened = async {
            match action.data_path {
                ClientPath::Host => over_device(target, &self.around.device).await,
                ClientPath::Proxy(proxy) => over_proxy(target, proxy).await,
            }
        };
        timeout(CONNECTS_WITHIN, opened).await.unwrap_or_else(|_| {
            let seconds = CONNECTS_WITHIN.as_secs();
            Err(DialError::TimedOut { address: target.to_string(), seconds })
        })
    }

    /// Sees how the client of this host does.
    ///
    /// # Errors
    ///
    /// Why nothing goes over it, and what to do, in words.
    pub(super) async fn client(&self, path: ClientPath) -> Result<String, String> {
        match path {
            ClientPath::Host => self.host_client().await,
            ClientPath::Proxy(proxy) if listens(proxy).await => {
                Ok(format!("the client's proxy listens at {proxy}"))
            }
            ClientPath::Proxy(proxy) => Err(format!(
                "nothing listens at {proxy}; start the client with `twingated --http-proxy {proxy} --tun off`"
            )),
        }
    }

    async fn host_client(&self) -> Result<String, String> {
        let asked =
            Program::new(["twingate", "status"]).with(&self.around.variables).within(STATUS_WITHIN);
        let ran = run(asked).await.map_err(|error| {
            format!("{error}; the client of Twingate must run on this host, or write `data-path = \"proxy\"`")
        })?;
        judge(&ran.stdout, &ran.stderr)?;
        let device = &self.around.device;
        if is_there(device) {
            Ok(format!("this host's client is online, over `{device}`"))
        } else {
            Err(no_device(device))
        }
    }

    /// True where what leads into the network is there; cheaply.
    pub(super) async fn is_way_there(&self, path: ClientPath) -> bool {
        match path {
            ClientPath::Host => is_there(&self.around.device),
            ClientPath::Proxy(proxy) => listens(proxy).await,
        }
    }
}

/// True where something takes connections there.
async fn listens(proxy: ProxyAddress) -> bool {
    let connected = timeout(LISTENS_WITHIN, TcpStream::connect(proxy.address())).await;
    matches!(connected, Ok(Ok(_)))
}

/// Reads what `twingate status` says: one word, or more with `-v`.
fn judge(said: &str, complaint: &str) -> Result<(), String> {
    let word = said.lines().chain(complaint.lines()).map(str::trim).find(|line| !line.is_empty());
    match word.unwrap_or_default().to_ascii_lowercase().as_str() {
        "online" => Ok(()),
        "not-running" | "not running" => {
            Err("the client on this host does not run; start it: `twingate start`".to_owned())
        }
        "authenticating" => {
            Err("the client on this host waits for somebody to sign in: `twingate \
                                 auth`, or its notifier"
                .to_owned())
        }
        "" => Err("`twingate status` says nothing; see `twingate report`".to_owned()),
        other => Err(format!(
            "the client on this host is `{}`, not online; see `twingate status` and `twingate start`",
            text::shown(other)
        )),
    }
}

/// A connection that leaves by the device, or not at all.
async fn over_device(target: SocketAddr, device: &str) -> Result<TcpStream, DialError> {
    let other = |error: io::Error| DialError::Other {
        address: target.to_string(),
        why: match error.raw_os_error() {
            Some(NO_DEVICE) => no_device(device),
            _ => text::shown(&error.to_string()),
        },
    };
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(other)?;
    socket.bind_device(Some(device.as_bytes())).map_err(other)?;
    socket.connect(target).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => DialError::Refused { address: target.to_string() },
        _ => other(error),
    })
}

/// A connection that the proxy has opened.
async fn over_proxy(target: SocketAddr, proxy: ProxyAddress) -> Result<TcpStream, DialError> {
    let other = |why: String| DialError::Other { address: target.to_string(), why };
    let mut stream = TcpStream::connect(proxy.address()).await.map_err(|error| {
        other(format!("the client's proxy at {proxy} does not answer: {}", error.kind()))
    })?;
    let asked = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    let lost = |error: io::Error| other(format!("the client's proxy: {}", error.kind()));
    stream.write_all(asked.as_bytes()).await.map_err(lost)?;
    let head = head(&mut stream).await.map_err(lost)?;
    match status(&head) {
        Some(200..=299) => Ok(stream),
        Some(code) => Err(other(format!(
            "the client's proxy does not connect (status {code}): it knows no such resource, or the \
             target does not answer"
        ))),
        None => Err(other(format!("what listens at {proxy} is no HTTP proxy"))),
    }
}

/// The head of an answer, and not a byte behind it: a target may speak first.
async fn head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// The status in the head of an answer.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let rest = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    rest.get(2..5)?.parse().ok()
}

fn is_there(device: &str) -> bool {
    Path::new("/sys/class/net").join(device).exists()
}

fn no_device(device: &str) -> String {
    format!(
        "there is no network device `{device}` here: the client does not run, or runs without one; \
         `twingate start`, or write `data-path = \"proxy\"`"
    )
}

const LISTENS_WITHIN: Duration = Duration::from_secs(2);
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
const CHECKED_FOR: Span = Span::from_seconds(60);
const CHECKED_EVERY: Span = Span::from_seconds(2);
const STATUS_WITHIN: Span = Span::from_seconds(5);
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// `ENODEV` of Linux.
const NO_DEVICE: i32 = rustix::io::Errno::NODEV.raw_os_error();

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn only_online_is_online() {
        assert_eq!(judge("online\n", ""), Ok(()));
        assert_eq!(judge("\n Online\n", ""), Ok(()));
        for said in ["offline", "not-running", "authenticating", "", "online-ish", "\u{1b}[31m"] {
            let why = judge(said, "").unwrap_err();
            assert!(!why.contains('\u{1b}'), "{why:?}");
        }
    }

    /// A proxy that answers once with that, and echoes what comes behind the request.
    async fn proxy(answer: &'static [u8]) -> ProxyAddress {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a server of the test")]
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = head(&mut stream).await.unwrap();
            assert_eq!(asked, b"CONNECT 10.1.1.16:5432 HTTP/1.1\r\nHost: 10.1.1.16:5432\r\n\r\n");
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.ok();
            let mut rest = vec![];
            stream.read_to_end(&mut rest).await.ok();
        });
        address
    }

    #[tokio::test]
    async fn what_a_target_says_first_is_not_lost_in_the_head() {
        let proxy = proxy(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\nhello").await;
        let target = "10.1.1.16:5432".parse().unwrap();
        let mut stream = over_proxy(target, proxy).await.unwrap();
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"hello");
    }

    #[tokio::test]
    async fn a_proxy_that_will_not_says_so() {
        let target = "10.1.1.16:5432".parse().unwrap();
        for (answer, wanted) in [
            (&b"HTTP/1.1 502 Bad Gateway\r\n\r\n"[..], "status 502"),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no HTTP proxy"),
            (b"HTTP/1.1 200", "unexpected end of file"),
        ] {
            let why = over_proxy(target, proxy(answer).await).await.unwrap_err().to_string();
            assert!(why.contains(wanted), "{why}");
        }
    }

    #[tokio::test]
    async fn without_the_device_nothing_leaves() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let why = over_device(target, "bg-none0").await.unwrap_err().to_string();
        assert!(why.contains("there is no network device `bg-none0`"), "{why}");
        assert!(over_device(target, "lo").await.is_ok());
    }
}
