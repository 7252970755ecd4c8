//! What `ssh` complains of, read from its log. Pure but for the reading of the files.
//!
//! The log is at `DEBUG1`, so that it also says what went well: how many keys were offered, whether a
//! command was sent, how it ended. What a host says in it is foreign text, and is shown as such: a host
//! can write whole lines into it before its key was looked at. So about a host key only a log is
//! believed into which no host wrote, and no word of a log gets into a command that we offer.

use std::path::Path;

use super::config::hop_log;
use super::failure::{ChannelTrouble, SshFailure, Trouble};
use super::run::tail;
use crate::domain::connect::quote;
use crate::domain::ssh::{SshDestination, SshHop, SshWord};
use crate::domain::text::{counted, shown};

/// What `ssh` and the hops on the way wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logs {
    /// That of the connection itself.
    pub main: String,
    /// Those of the hops, the first one first.
    pub hops: Vec<String>,
}

impl Logs {
    /// Reads the end of each; one that is not there is empty.
    #[must_use]
    pub fn read(log: &Path, hops: usize) -> Self {
        let hops = (1..=hops).map(|number| tail(&hop_log(log, number))).collect();
        Self { main: tail(log), hops }
    }

    /// How the command ended, where its end was seen: true by itself, false by a signal.
    #[must_use]
    pub fn command_end(&self) -> Option<bool> {
        let mut lines = self.main.lines().rev();
        lines.find_map(|line| {
            let kind = line.strip_prefix("debug1: client_input_channel_req: channel 0 rtype ")?;
            if kind.starts_with("exit-status ") {
                Some(true)
            } else {
                kind.starts_with("exit-signal ").then_some(false)
            }
        })
    }

    /// True where the command was sent, or nobody can tell any more.
    #[must_use]
    pub fn command_was_sent(&self) -> bool {
        let is_flooded = self.main == FLOODED || self.hops.iter().any(|log| log == FLOODED);
        is_flooded || self.main.lines().any(|line| line.starts_with("debug1: Sending command: "))
    }
}

/// Returns why a connection failed, or ended. `known_hosts` is where host keys are looked up.
#[must_use]
pub fn failure(logs: &Logs, to: &SshDestination, known_hosts: &Path) -> SshFailure {
    let known_hosts = known_hosts.to_string_lossy();
    for (number, (hop, log)) in to.jump.iter().zip(&logs.hops).enumerate() {
        let mut log = Log::new(log, hop.host.as_str(), hop.port, &known_hosts);
        let way = to.jump.get(..number).unwrap_or_default();
        log.is_through_hop = !way.is_empty();
        let at = (hop.user.as_ref(), hop.host.as_str(), hop.port);
        log.by_hand = by_hand(at, way, &known_hosts);
        let next = to.jump.get(number + 1).map_or_else(|| place(to), to_string);
        let is_in = log.signed_in() && log.refused_key().is_none();
        let why = if is_in { log.passed_on(&next) } else { log.said_something() };
        if let Some(why) = why {
            let why = Trouble::Hop { hop: hop.to_string(), why: Box::new(why) };
            return SshFailure::new(why, logs.command_was_sent());
        }
    }
    let mut log = Log::new(&logs.main, to.host.as_str(), to.port, &known_hosts);
    log.is_through_hop = !to.jump.is_empty();
    let at = (to.user.as_ref(), to.host.as_str(), to.port);
    log.by_hand = by_hand(at, &to.jump, &known_hosts);
    SshFailure::new(log.trouble(), logs.command_was_sent())
}

/// Returns why a connection that stood has ended.
#[must_use]
pub fn ending(logs: &Logs, to: &SshDestination) -> SshFailure {
    for (hop, log) in to.jump.iter().zip(&logs.hops) {
        let log = Log::new(log, hop.host.as_str(), hop.port, "");
        if let Some(why) = log.silent().or_else(|| log.killed()).or_else(|| log.closed()) {
            return Trouble::Hop { hop: hop.to_string(), why: Box::new(why) }.into();
        }
    }
    let log = Log::new(&logs.main, to.host.as_str(), to.port, "");
    let why = log.silent().or_else(|| log.killed()).or_else(|| log.closed());
    let why = why.or_else(|| log.hung_up());
    let nothing = || Trouble::Killed { why: "it said nothing, so it was killed".to_owned() };
    why.unwrap_or_else(nothing).into()
}

/// Returns why a host did not pass a connection on, where a line of the log says so.
#[must_use]
pub fn channel(line: &str, host: &str, target: &str) -> Option<ChannelTrouble> {
    let (head, said) = line.split_once(": open failed: ")?;
    head.strip_prefix("channel ")?;
    let (host, target) = (host.to_owned(), target.to_owned());
    let why = shown(said.strip_prefix("connect failed: ").unwrap_or(said));
    let has = |text: &str| said.contains(text);
    Some(if said.starts_with("administratively prohibited") {
        ChannelTrouble::Prohibited { host, target }
    } else if has("Connection refused") {
        ChannelTrouble::Refused { host, target }
    } else if has("timed out") {
        ChannelTrouble::TimedOut { host, target }
    } else if has("No route to host") || has("unreachable") {
        ChannelTrouble::Unreachable { host, target, why }
    } else if has("not known") || has("name resolution") || has("No address associated") {
        ChannelTrouble::Unresolved { host, target, why }
    } else {
        ChannelTrouble::Other { host, target, why }
    })
}

/// Returns where a destination is, without the way there.
#[must_use]
pub fn place(to: &SshDestination) -> String {
    match to.port {
        Some(port) if to.host.as_str().contains(':') => format!("[{}]:{port}", to.host),
        Some(port) => format!("{}:{port}", to.host),
        None => to.host.to_string(),
    }
}

fn to_string(it: &impl ToString) -> String {
    it.to_string()
}

/// Returns the command with which a person connects once, sees the host key, and has it kept.
fn by_hand(
    (user, host, port): (Option<&SshWord>, &str, Option<u16>),
    way: &[SshHop],
    known_hosts: &str,
) -> String {
    let mut words = vec!["ssh".to_owned()];
    // The file that `ssh` takes by itself need not be named.
    if !known_hosts.ends_with("/.ssh/known_hosts") {
        let option = format!("UserKnownHostsFile=\"{known_hosts}\"");
        words.extend(["-o".to_owned(), quote(&option)]);
    }
    if !way.is_empty() {
        let hops: Vec<_> = way.iter().map(ToString::to_string).collect();
        words.extend(["-J".to_owned(), quote(&hops.join(","))]);
    }
    words.extend(port.into_iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    words.push(quote(&format!("{user}{host}")));
    words.join(" ")
}

/// What kind of host key is not known, where a line says so.
fn unknown_kind<'a>(line: &&'a str) -> Option<&'a str> {
    line.strip_prefix("No ")?.split_once(" host key is known for ").map(|(kind, _)| kind)
}

/// One log with what is known besides.
struct Log<'a> {
    lines: Vec<&'a str>,
    host: &'a str,
    port: Option<u16>,
    place: String,
    known_hosts: &'a str,
    /// True where the connection is not from here.
    is_through_hop: bool,
    /// What a person types to connect by hand.
    by_hand: String,
}

impl<'a> Log<'a> {
    fn new(text: &'a str, host: &'a str, port: Option<u16>, known_hosts: &'a str) -> Self {
        let place = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Self {
            lines: text.lines().map(str::trim_end).collect(),
            host,
            port,
            place,
            known_hosts,
            is_through_hop: false,
            by_hand: String::new(),
        }
    }

    fn has(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }

    /// What stands behind `start` in the first line that begins so.
    fn after(&self, start: &str) -> Option<&'a str> {
        self.lines.iter().find_map(|line| line.strip_prefix(start))
    }

    fn signed_in(&self) -> bool {
        self.after("Authenticated to ").is_some() || self.has("debug1: Authentication succeeded")
    }

    fn said_something(&self) -> Option<Trouble> {
        (!self.lines.is_empty()).then(|| self.trouble())
    }

    /// Why a hop that was reached did not lead on.
    fn passed_on(&self, next: &str) -> Option<Trouble> {
        let line = self.lines.iter().find_map(|line| channel(line, &self.place, next));
        line.map(Trouble::Channel).or_else(|| self.silent())
    }

    fn trouble(&self) -> Trouble {
        self.configuration()
            .or_else(|| self.connecting())
            .or_else(|| self.host_key())
            .or_else(|| self.negotiating())
            .or_else(|| self.signing_in())
            .or_else(|| self.silent())
            .or_else(|| self.killed())
            .or_else(|| self.closed())
            .unwrap_or_else(|| self.other())
    }

    fn configuration(&self) -> Option<Trouble> {
        if self.has("debug1: Connecting to ") || self.has("debug1: Executing proxy command: ") {
            return None;
        }
        let is_note = |line: &str| line.starts_with("debug") || line.contains("Unsupported option");
        let speaks = |line: &str| {
            line.contains(": line ")
                || line.contains(" line ")
                || line.starts_with("Bad owner or permissions on ")
                || line.starts_with("Can't open user config file ")
        };
        let what = self.lines.iter().find(|line| !is_note(line) && speaks(line))?;
        Some(Trouble::Configuration { what: shown(what), host: self.host.to_owned() })
    }

    fn connecting(&self) -> Option<Trouble> {
        if let Some(rest) = self.after("ssh: Could not resolve hostname ") {
            let (host, why) = rest.split_once(": ").unwrap_or((rest, "unknown"));
            return Some(Trouble::Unresolved { host: shown(host), why: shown(why) });
        }
        if self.has("Connection timed out during banner exchange") {
            return Some(Trouble::TimedOut { place: self.place.clone() });
        }
        // Of several addresses the last one's reason counts.
        let last = self.lines.iter().rev();
        let rest = last.filter_map(|line| line.strip_prefix("ssh: connect to host ")).next()?;
        let (at, why) = rest.split_once(": ")?;
        let (host, port) = at.split_once(" port ")?;
        let place = shown(&format!("{host}:{port}"));
        Some(match why {
            "Connection refused" => Trouble::Refused { place },
            "Connection timed out" | "Operation timed out" => Trouble::TimedOut { place },
            why => Trouble::Unreachable { place, why: shown(why) },
        })
    }

    fn host_key(&self) -> Option<Trouble> {
        let lines = self.refused_key()?;
        let place = self.known_name();
        if self.is_forged() {
            return Some(Trouble::HostKeyForged { place });
        }
        if self.after(CERTIFICATE).is_some() {
            // Its name is whatever the host wrote into it, with line breaks and all.
            let why = "its host key was not taken, nor its certificate: its authority is not known \
                       here; see with `ssh` by hand";
            return Some(Trouble::Other { place, why: why.to_owned() });
        }
        let is_known = |line: &&&str| {
            line.starts_with("Offending ")
                && line.contains(" key in ")
                && !line.contains(" for IP in ")
        };
        let offending = lines.iter().find(is_known).and_then(|line| line.split_once(" key in "));
        let known = shown(offending.map_or(self.known_hosts, |(_, place)| place));
        let has = |text: &str| lines.iter().any(|line| line.contains(text));
        if has("WARNING: REVOKED HOST KEY DETECTED!") {
            return Some(Trouble::HostKeyRevoked { place, known });
        }
        if has("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!") {
            let (name, file) = (quote(&place), quote(self.known_hosts));
            let command = format!("ssh-keygen -R {name} -f {file}");
            return Some(Trouble::HostKeyChanged { place, known, command });
        }
        let kind = lines.iter().find_map(unknown_kind).filter(|kind| KEY_KINDS.contains(kind))?;
        let fingerprint = lines.first().and_then(|line| line.strip_prefix(SERVER_KEY));
        let fingerprint = fingerprint.and_then(|rest| rest.split(' ').nth(1)).unwrap_or_default();
        let key = shown(format!("{kind} {fingerprint}").trim());
        let (command, file) = (self.by_hand.clone(), shown(self.known_hosts));
        Some(Trouble::HostKeyUnknown { place, key, command, file })
    }

    /// What `ssh` says of a host key that it did not take, where it then ended.
    fn refused_key(&self) -> Option<&[&'a str]> {
        let last = self.lines.iter().rev().find(|line| !line.is_empty())?;
        let key = self.lines.iter().rposition(|line| line.starts_with(SERVER_KEY));
        (*last == KEY_REFUSED).then_some(self.lines.get(key.unwrap_or(0)..)?)
    }

    /// True where a host that has shown no key yet may have written some of the lines: messages
    /// and offers are logged with their line breaks. The key is shown once, and no server has anything
    /// to say before.
    fn is_forged(&self) -> bool {
        let is_foreign = |line: &&str| FOREIGN.iter().any(|start| line.starts_with(start));
        let keys = self.lines.iter().filter(|line| line.starts_with(SERVER_KEY)).count();
        keys > 1 || self.lines.iter().any(is_foreign)
    }

    /// The name of the host in a file of known host keys.
    fn known_name(&self) -> String {
        match self.port {
            Some(port) if port != 22 => format!("[{}]:{port}", self.host),
            _ => self.host.to_owned(),
        }
    }

    fn negotiating(&self) -> Option<Trouble> {
        let rest = self.after("Unable to negotiate with ")?;
        let (_, rest) = rest.split_once(": no matching ")?;
        let (what, offer) = rest.split_once(" found. Their offer: ").unwrap_or((rest, "others"));
        let place = self.place.clone();
        Some(Trouble::NothingInCommon { place, what: shown(what), offer: shown(offer) })
    }

    fn signing_in(&self) -> Option<Trouble> {
        let too_many = self.has("Too many authentication failures");
        let is_denied = |line: &&str| Some(line.split_once(": Permission denied (")?.0.to_owned());
        let denied = self.lines.iter().find_map(is_denied);
        if denied.is_none() && !too_many {
            return None;
        }
        let who = denied.as_deref().and_then(|who| who.rsplit_once('@')).map(|(user, _)| user);
        let authenticating = || {
            let rest = self.lines.iter().find_map(|line| line.split_once(" as '"))?.1;
            rest.strip_suffix('\'')
        };
        let user = shown(who.or_else(authenticating).unwrap_or("?"));
        let place = self.place.clone();
        let offers =
            self.lines.iter().filter(|line| line.starts_with("debug1: Offering public key: "));
        let count = offers.count();
        let offered = counted(count, "key");
        if too_many {
            return Some(Trouble::TooManyKeys { place, user, offered });
        }
        if self.has("\" with partial success") {
            return Some(Trouble::SecondFactor { place, user });
        }
        if let Some(trouble) = self.key_file() {
            return Some(trouble);
        }
        Some(if count == 0 {
            Trouble::NoKey { place, user }
        } else {
            Trouble::NotAccepted { place, user, offered }
        })
    }

    fn key_file(&self) -> Option<Trouble> {
        let trouble = |path: &str, why: &str, remedy: String| {
            let (path, why) = (shown(path), shown(why));
            Some(Trouble::KeyFile { path, why, remedy })
        };
        for line in &self.lines {
            if let Some(rest) = line.strip_prefix("no such identity: ") {
                let (path, why) = rest.rsplit_once(": ")?;
                return trouble(path, why, "correct the path".to_owned());
            }
            if let Some(rest) = line.strip_prefix("Load key \"") {
                let (path, why) = rest.rsplit_once("\": ")?;
                let remedy = match why {
                    "bad permissions" => "let only its owner read it (`chmod 600`)".to_owned(),
                    "Permission denied" => "this user may not read it".to_owned(),
                    _ if why.contains("passphrase") => {
                        "it has a passphrase: load it with `ssh-add`".to_owned()
                    }
                    _ => "see with `ssh-keygen -yf`".to_owned(),
                };
                return trouble(path, why, remedy);
            }
            if line.starts_with("sign_and_send_pubkey: signing failed for ") {
                let (what, why) = line.split_once(" from agent: ")?;
                let path = what.split('"').nth(1).unwrap_or("of the agent");
                return trouble(
                    path,
                    why,
                    "the agent does not sign: unlock or confirm it".to_owned(),
                );
            }
        }
        self.locked_key()
    }

    /// A key that is accepted there and still does not sign in has a passphrase that nobody types:
    /// `PATH TYPE SHA256:...`.
    fn locked_key(&self) -> Option<Trouble> {
        let key = self.after("debug1: Server accepts key: ")?;
        let path = key.split_once(" SHA256:").and_then(|(name, _)| name.rsplit_once(' '))?.0;
        let why = "it is accepted there, and has a passphrase that nobody types".to_owned();
        let remedy = "load it with `ssh-add`".to_owned();
        Some(Trouble::KeyFile { path: shown(path), why, remedy })
    }

    fn silent(&self) -> Option<Trouble> {
        let silent = self.lines.iter().any(|line| line.starts_with("Timeout, server "));
        silent.then(|| Trouble::Silent { place: self.place.clone() })
    }

    fn killed(&self) -> Option<Trouble> {
        if self.lines == [FLOODED] {
            return Some(Trouble::Killed { why: FLOODED.to_owned() });
        }
        let line = self.lines.iter().find(|line| line.starts_with("Killed by signal "))?;
        Some(Trouble::Killed { why: shown(line.trim_end_matches('.')) })
    }

    fn closed(&self) -> Option<Trouble> {
        let place = self.place.clone();
        let starting = self.lines.iter().find(|line| {
            line.starts_with("kex_exchange_identification: ")
                || line.starts_with("ssh_exchange_identification: ")
        });
        let starting = starting.filter(|line| {
            ["closed", "reset", "Not allowed at this time"].iter().any(|word| line.contains(word))
        });
        if starting.is_some() {
            let way = self.after("debug1: Executing proxy command: ");
            return Some(match way {
                Some(_) if !self.is_through_hop => {
                    let host = self.host.to_owned();
                    let way = "ProxyJump or ProxyCommand of your ssh_config".to_owned();
                    Trouble::Way { place, way, host }
                }
                _ => Trouble::TooManyStarts { place },
            });
        }
        let said = self.lines.iter().find_map(|line| {
            let disconnect = line.strip_prefix("Received disconnect from ");
            disconnect.map(|rest| rest.split_once(": ").map_or(rest, |(_, why)| why))
        });
        let ended = |line: &&&str| {
            line.contains("closed by remote host")
                || line.starts_with("Connection closed by ")
                || line.starts_with("Connection reset by ")
                || line.starts_with("client_loop: send disconnect: ")
                || line.starts_with("Read from remote host ")
                || line.starts_with("Disconnected from ")
        };
        let why = said.or_else(|| self.lines.iter().find(ended).copied())?;
        Some(Trouble::Closed { place, why: shown(why.trim_end_matches('.')) })
    }

    /// That the other side hung up it says where we do not read; that it came to an end by itself, it
    /// says here. One that was killed says neither.
    fn hung_up(&self) -> Option<Trouble> {
        self.after("Transferred: ")?;
        Some(Trouble::Closed { place: self.place.clone(), why: "it hung up".to_owned() })
    }

    fn other(&self) -> Trouble {
        let told = self.lines.iter().rev().filter(|line| !line.is_empty());
        let note = |line: &&&str| {
            line.starts_with("debug1: ")
                || line.starts_with("Transferred: ")
                || line.starts_with("Bytes per second: ")
                || line.starts_with("Authenticated to ")
        };
        let line = told.clone().find(|line| !note(line)).or_else(|| told.clone().next());
        let why = line.map_or_else(|| "it ended and said nothing".to_owned(), |line| shown(line));
        Trouble::Other { place: self.place.clone(), why }
    }
}

/// What stands for a log that has reached its limit: nothing in it is to be believed.
pub(super) const FLOODED: &str = "a host made it write 8 MiB of log, and no more is kept";
const SERVER_KEY: &str = "debug1: Server host key: ";
/// The last line of an `ssh` that did not take a host key.
const KEY_REFUSED: &str = "Host key verification failed.";
/// How lines begin behind which a host writes what it likes.
const FOREIGN: [&str; 3] =
    ["debug1: Remote: ", "Received disconnect from ", "Unable to negotiate with "];
const CERTIFICATE: &str = "debug1: Server host certificate: ";
const KEY_KINDS: [&str; 6] = ["ED25519", "ECDSA", "RSA", "DSA", "ED25519-SK", "ECDSA-SK"];

#[cfg(test)]
mod tests;
