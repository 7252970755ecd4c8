//! A control socket behind which nothing is, for tests.

use std::io;
use std::os::unix::net::UnixListener as Listening;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// What it does with a connection to the target.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Opens,
    /// It refuses, and writes why into a log.
    Refuses(PathBuf, &'static str),
    Hangs,
}

/// Serves a control socket, as soon as its folder is there, until this is dropped.
pub(crate) async fn serve(control: PathBuf, target: Target) {
    let listener = loop {
        match UnixListener::bind(&control) {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
        }
    };
    let listening = Arc::new(Mutex::new(vec![]));
    let mut conversations = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (target, listening) = (target.clone(), Arc::clone(&listening));
        conversations.spawn(async move { converse(stream, &target, &listening).await.ok() });
    }
}

async fn converse(
    mut stream: UnixStream,
    target: &Target,
    listening: &Mutex<Vec<Listening>>,
) -> io::Result<()> {
    stream.write_all(&super::wire::hello()).await?;
    loop {
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(head)).unwrap()];
        stream.read_exact(&mut frame).await?;
        let number = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
        let answer = match number(0) {
            0x1000_0004 => reply(0x8000_0005, number(4), &7_u32.to_be_bytes()),
            0x1000_0005 => {
                stream.write_all(&reply(0x8000_0001, number(4), &[])).await?;
                return Ok(());
            }
            0x1000_0006 => {
                let length = usize::try_from(number(12)).unwrap();
                let path = String::from_utf8_lossy(&frame[16..16 + length]).into_owned();
                listening.lock().unwrap().push(Listening::bind(path)?);
                reply(0x8000_0001, number(4), &[])
            }
            0x1000_0008 => {
                // The two descriptors, a byte each. The kernel does not join them, and a read that
                // comes back short makes the runtime wait for more that is there already.
                stream.read_exact(&mut [0; 1]).await?;
                stream.read_exact(&mut [0; 1]).await?;
                match target {
                    Target::Opens => reply(0x8000_0006, number(4), &1_u32.to_be_bytes()),
                    Target::Hangs => std::future::pending().await,
                    Target::Refuses(log, line) => {
                        let mut file =
                            std::fs::File::options().append(true).create(true).open(log)?;
                        io::Write::write_all(&mut file, format!("{line}\n").as_bytes())?;
                        reply(0x8000_0003, number(4), b"\0\0\0\x02no")
                    }
                }
            }
            _ => continue,
        };
        stream.write_all(&answer).await?;
    }
}

fn reply(kind: u32, to: u32, rest: &[u8]) -> Vec<u8> {
    let body = [&kind.to_be_bytes()[..], &to.to_be_bytes(), rest].concat();
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
}
