//! A `tailscaled` of a session as a tailnet of our own has it: its local API, answered in this
//! process.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::devices::{Carrier, Device};
use super::{SharedTailnet, Tailnet};

/// The node; when it is dropped its process is gone, without a word to the control server.
pub struct Node {
    inner: Arc<Inner>,
    _tasks: JoinSet<()>,
}

struct Inner {
    tailnet: SharedTailnet,
    /// The key and the name with which it will join.
    ready: Mutex<Option<(String, String)>>,
    joined: Mutex<Option<String>>,
}

impl Node {
    /// It listens where the daemon with that folder would.
    pub fn at(folder: &Path, tailnet: &SharedTailnet) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let listener = UnixListener::bind(folder.join("s")).unwrap();
        let tailnet = Arc::clone(tailnet);
        let inner = Arc::new(Inner { tailnet, ready: Mutex::default(), joined: Mutex::default() });
        let (mut tasks, served) = (JoinSet::new(), Arc::clone(&inner));
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, Arc::clone(&served)));
            }
        });
        Self { inner, _tasks: tasks }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let Some(node) = self.inner.joined.lock().unwrap().take() else { return };
        let mut tailnet = self.inner.tailnet.lock().unwrap();
        if tailnet.device(&node).is_some() {
            tailnet.go_offline(&node);
        }
    }
}

async fn serve(mut stream: UnixStream, inner: Arc<Inner>) {
    let Some((head, body)) = request(&mut stream).await else { return };
    let answer = inner.answer(&head, &body);
    stream.write_all(answer.as_bytes()).await.ok();
    stream.shutdown().await.ok();
}

async fn request(stream: &mut UnixStream) -> Option<(String, String)> {
    let mut bytes = vec![];
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}

impl Inner {
    fn answer(&self, head: &str, body: &str) -> String {
        let target = head.split_whitespace().nth(1).unwrap_or_default();
        let path = target.trim_start_matches("/localapi/v0/").split('?').next().unwrap_or_default();
        match path {
            "status" => answered(200, "", &self.status().to_string()),
            "start" => {
                let told: Value = serde_json::from_str(body).unwrap();
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let ready = (text(&told["AuthKey"]), text(&told["UpdatePrefs"]["Hostname"]));
                *self.ready.lock().unwrap() = Some(ready);
                answered(204, "", "")
            }
            "login-interactive" => {
                if let Some((key, name)) = self.ready.lock().unwrap().take() {
                    let joined = self.tailnet.lock().unwrap().join(&key, &name, &[]);
                    *self.joined.lock().unwrap() = joined.ok();
                }
                answered(204, "", "")
            }
            "logout" => {
                let node = self.joined.lock().unwrap().take();
                let mut tailnet = self.tailnet.lock().unwrap();
                if let Some(node) = node.filter(|node| tailnet.device(node).is_some()) {
                    tailnet.leave(&node);
                }
                answered(204, "", "")
            }
            "dial" => self.dial(head),
            _ => answered(404, "", "404 page not found"),
        }
    }

    fn dial(&self, head: &str) -> String {
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let to: IpAddr = header("Dial-Host: ").unwrap().parse().unwrap();
        let tailnet = self.tailnet.lock().unwrap();
        match tailnet.carrier(to) {
            Carrier::Device(_) => answered(101, "Connection: upgrade\r\nUpgrade: ts-dial\r\n", ""),
            _ => answered(200, "Dial-Self: true\r\n", ""),
        }
    }

    fn status(&self) -> Value {
        let tailnet = self.tailnet.lock().unwrap();
        let joined = self.joined.lock().unwrap();
        let Some(this) = joined.as_ref().and_then(|node| tailnet.device(node)) else {
            return json!({ "Version": "1.102.5", "BackendState": "NeedsLogin" });
        };
        let hidden = tailnet.switches.hides_routers;
        let peers = tailnet.nodes().into_iter().filter(|node| !hidden && *node != this.node_id);
        let peers = peers.filter_map(|node| Some((node.clone(), seen(&tailnet, &node)?)));
        json!({
            "Version": "1.102.5",
            "BackendState": "Running",
            "Self": seen(&tailnet, &this.node_id),
            "Peer": peers.collect::<serde_json::Map<_, _>>(),
        })
    }
}

/// A node as another one sees it.
fn seen(tailnet: &Tailnet, node: &str) -> Option<Value> {
    let device: &Device = tailnet.device(node)?;
    let routes: Vec<_> =
        device.advertised.iter().filter(|route| device.enabled.contains(route)).collect();
    Some(json!({
        "ID": device.node_id,
        "HostName": device.hostname,
        "TailscaleIPs": device.addresses(),
        "AllowedIPs": routes,
        "PrimaryRoutes": routes,
        "Online": device.online,
    }))
}

fn answered(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nTailscale-Cap: 142\r\nTailscale-Version: 1.102.5\r\n{headers}\
         Content-Length: {length}\r\n\r\n{body}"
    )
}
