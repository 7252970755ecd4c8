//! What a verb is given in place of the world: an engine's whereabouts, signals, a person, a place for
//! a sign-in, paper to print on, and a configuration.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use breakglass::cli::signals::Caught;
use breakglass::cli::{Checked, ConfigDocs, Echo, Engines, KeepSignIn, Person, Signals, Stop};
use breakglass::domain::secret::Secret;
use breakglass::domain::sign_in::Token;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Call, EngineHandle, Origin};

use crate::cli_support::World;

pub struct FakeEngines {
    pub calls: mpsc::Sender<Call>,
    pub runs: bool,
    pub token: Option<Token>,
    pub world: Arc<Mutex<World>>,
}

#[async_trait]
impl Engines for FakeEngines {
    async fn attach_or_start(&self) -> Result<EngineHandle, Report> {
        let handle = EngineHandle::new(self.calls.clone(), Origin::default());
        Ok(handle.signed_in(self.token.clone()))
    }

    async fn attach(&self) -> Result<Option<EngineHandle>, Report> {
        let handle = self.attach_or_start().await?;
        let stopped = self.world.lock().unwrap().stopped;
        Ok((self.runs && !stopped).then_some(handle))
    }
}

pub struct FakeSignals {
    pub received: mpsc::UnboundedReceiver<Caught>,
    pub listening: Vec<Caught>,
}

#[async_trait]
impl Signals for FakeSignals {
    fn listen(&mut self, which: &[Caught]) -> Result<(), Report> {
        self.listening.extend(which);
        Ok(())
    }

    async fn next(&mut self) -> Caught {
        if self.listening.is_empty() {
            std::future::pending::<()>().await;
        }
        let caught = self.received.recv().await.unwrap();
        assert!(self.listening.contains(&caught), "nobody listens for {caught:?}");
        caught
    }
}

pub struct FakePerson {
    pub typed: Option<VecDeque<&'static str>>,
    pub piped: Vec<u8>,
    pub screen: Arc<Mutex<Screen>>,
}

#[async_trait]
impl Person for FakePerson {
    fn is_there(&self) -> bool {
        self.typed.is_some()
    }

    async fn answer(&mut self, prompt: &str, echo: Echo) -> Result<Secret, Stop> {
        let typed = self.typed.as_mut().unwrap().pop_front();
        let typed = typed.unwrap_or_else(|| panic!("nobody answers {prompt:?}"));
        let shown = if echo == Echo::Masked { "*".repeat(typed.len()) } else { typed.to_owned() };
        self.screen.lock().unwrap().lines.push(("ask", format!("{prompt}{shown}\n")));
        if typed == "^C" { Err(Stop::Left(Caught::Interrupt)) } else { Ok(Secret::new(typed)) }
    }

    async fn piped(&mut self, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Report> {
        self.piped.truncate(bytes_max + 1);
        Ok(Zeroizing::new(self.piped.clone()))
    }
}

pub struct FakeKeeper {
    pub keeps: bool,
    pub kept: Mutex<Vec<Option<Token>>>,
}

impl KeepSignIn for FakeKeeper {
    fn keep(&self, token: &Token) -> Result<(), Report> {
        if !self.keeps {
            return Err(Report::new(Kind::Unavailable, "cannot keep the sign-in"));
        }
        self.kept.lock().unwrap().push(Some(token.clone()));
        Ok(())
    }

    fn forget(&self) {
        self.kept.lock().unwrap().push(None);
    }
}

pub struct Screen {
    pub lines: Vec<(&'static str, String)>,
    pub reflexes: Vec<(&'static str, Caught)>,
    pub sent: mpsc::UnboundedSender<Caught>,
}

pub struct Paper {
    pub name: &'static str,
    pub fault: Option<io::ErrorKind>,
    pub screen: Arc<Mutex<Screen>>,
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(kind) = self.fault {
            return Err(io::Error::from(kind));
        }
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let mut screen = self.screen.lock().unwrap();
        if let Some((on, caught)) = screen.reflexes.first().copied()
            && text.contains(on)
        {
            screen.reflexes.remove(0);
            screen.sent.send(caught).unwrap();
        }
        screen.lines.push((self.name, text));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A configuration that is what a test says.
pub struct FakeConfig {
    pub text: String,
    pub checked: Result<Checked, Report>,
}

impl Default for FakeConfig {
    fn default() -> Self {
        let checked = Checked { found: true, sites: 1, targets: 2, providers: 1 };
        Self { text: "[policy]\nduration-max = \"4h\"\n".into(), checked: Ok(checked) }
    }
}

impl ConfigDocs for FakeConfig {
    fn path(&self) -> PathBuf {
        "/home/ana/.config/breakglass/config.toml".into()
    }

    fn example(&self) -> &'static str {
        "# What is allowed.\n[policy]\nduration-max = \"4h\"\n"
    }

    fn show(&self, origin: bool) -> Result<String, Report> {
        self.checked.clone()?;
        Ok(if origin {
            self.text.replace("\"\n", "\" # config.toml:2\n")
        } else {
            self.text.clone()
        })
    }

    fn check(&self) -> Result<Checked, Report> {
        self.checked.clone()
    }
}
