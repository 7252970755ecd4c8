//! What `ssh` is told: a private file for `-F` with our options before anybody's, and the words of
//! its command line. Pure.
//!
//! `ssh` takes the first value that it finds (ssh_config(5)). What holds for every host on the way is
//! in the file; what holds for the last one alone (user, port, the way there) is on the command line,
//! which the hops of a `ProxyJump` never see. Our own hops are a `ProxyCommand` each, so that each
//! writes a log of its own.

use std::path::{Path, PathBuf};

use super::failure::{SshFailure, Trouble};
use super::{Ssh, Whose};
use crate::domain::connect::quote;
use crate::domain::ssh::{SshDestination, SshHop, SshWord};
use crate::domain::text;

/// What stands in front of everybody's options.
///
/// Nothing is asked, no host key is accepted or learnt, nothing of this host is lent to another, it
/// stays where its deadline finds it, and a link that is lost is seen within 12 s. `IgnoreUnknown` is
/// for an OpenSSH before 8.7, which does not know all of these; as the first value counts, it has to
/// let pass whatever the operator's own lets pass.
const OURS: &str = "\
IgnoreUnknown *
ForkAfterAuthentication no
StdinNull no
SessionType default
VerifyHostKeyDNS no
BatchMode yes
StrictHostKeyChecking yes
UpdateHostKeys no
NoHostAuthenticationForLocalhost no
ForwardAgent no
ForwardX11 no
ForwardX11Trusted no
GSSAPIDelegateCredentials no
AddKeysToAgent no
PermitLocalCommand no
LocalCommand none
RemoteCommand none
ClearAllForwardings yes
ExitOnForwardFailure no
GatewayPorts no
StreamLocalBindMask 0177
StreamLocalBindUnlink no
Tunnel no
RequestTTY no
EscapeChar none
VisualHostKey no
ControlMaster no
ControlPath none
ControlPersist no
ConnectTimeout 10
ConnectionAttempts 1
TCPKeepAlive yes
ServerAliveInterval 4
ServerAliveCountMax 2
LogLevel DEBUG1
";

/// Returns the text of the private file. `agent` is the socket of an agent of our own.
///
/// # Errors
///
/// When a path holds what the file gives a meaning.
pub fn file(
    whose: &Whose,
    to: &SshDestination,
    agent: Option<&Path>,
) -> Result<String, SshFailure> {
    let mut text = format!("Host *\n{OURS}");
    let known_hosts = match (&to.known_hosts_file, whose) {
        (Some(path), _) | (None, Whose::Engine { known_hosts: path }) => Some(path),
        (None, Whose::Operator { .. }) => None,
    };
    let mut say = |option: &str, path: &Path| {
        text.push_str(&format!("{option} {}\n", path_word(path)?));
        Ok::<_, SshFailure>(())
    };
    if let Some(path) = known_hosts {
        say("UserKnownHostsFile", path)?;
    }
    if let Some(path) = &to.identity_file {
        say("IdentityFile", path)?;
    }
    if let Some(path) = agent {
        say("IdentityAgent", path)?;
    }
    match whose {
        Whose::Operator { home } => {
            say("Include", &home.join(".ssh/config"))?;
            say("Include", Path::new("/etc/ssh/ssh_config"))?;
        }
        Whose::Engine { .. } if agent.is_some() => {}
        Whose::Engine { .. } => text.push_str("IdentitiesOnly yes\nIdentityAgent none\n"),
    }
    Ok(text)
}

/// Returns the first words of its command line, the host not among them. The hop with number `n`,
/// counted from one, writes to `log` with `.n` behind.
#[must_use]
pub fn words(config: &Path, log: &Path, to: &SshDestination) -> Vec<String> {
    let mut words = begin(config, &log.to_string_lossy(), to.user.as_ref(), to.port);
    if to.identity_file.is_some() {
        words.extend(["-o", "IdentitiesOnly=yes"].map(str::to_owned));
    }
    if let Some(line) = proxy(config, log, &to.jump) {
        words.extend(["-o".to_owned(), format!("ProxyCommand={line}")]);
    }
    words
}

/// Returns the words with a limit before them for every file that the program, and what it starts,
/// may write: a host can make `ssh` log without end. Who goes beyond it is ended.
#[must_use]
pub fn limited(words: Vec<String>) -> Vec<String> {
    let limit = format!("ulimit -f {} 2>/dev/null; exec \"$@\"", LOG_BYTES_LIMIT / ULIMIT_UNIT);
    let mut all = vec!["sh".to_owned(), "-c".to_owned(), limit, "sh".to_owned()];
    all.extend(words);
    all
}

/// Returns the file to which the hop with that number writes its log.
#[must_use]
pub fn hop_log(log: &Path, number: usize) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

impl Ssh {
    /// The file in which a host key is looked up, for people.
    #[must_use]
    pub fn known_hosts(&self, to: &SshDestination) -> PathBuf {
        match (&to.known_hosts_file, &self.whose) {
            (Some(path), _) | (None, Whose::Engine { known_hosts: path }) => path.clone(),
            (None, Whose::Operator { home }) => home.join(".ssh/known_hosts"),
        }
    }
}

fn begin(config: &Path, log: &str, user: Option<&SshWord>, port: Option<u16>) -> Vec<String> {
    let config = config.to_string_lossy();
    let mut words = ["ssh", "-F", &config, "-E", log].map(str::to_owned).to_vec();
    words.extend(user.into_iter().flat_map(|user| ["-l".to_owned(), user.to_string()]));
    words.extend(port.into_iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
    words
}

/// Returns the command that leads through the hops, as `ssh` hands it to a shell once it has
/// filled in `%h` and `%p`.
fn proxy(config: &Path, log: &Path, hops: &[SshHop]) -> Option<String> {
    let (last, before) = hops.split_last()?;
    let log_here = hop_log(log, hops.len());
    let port = last.port;
    let mut words = begin(config, &log_here.to_string_lossy(), last.user.as_ref(), port);
    if let Some(line) = proxy(config, log, before) {
        words.extend(["-o".to_owned(), format!("ProxyCommand={line}")]);
    }
    let fixed: Vec<_> = words.iter().map(|word| quote(word).replace('%', "%%")).collect();
    Some(format!("{} -W '[%h]:%p' -- {}", fixed.join(" "), quote(last.host.as_str())))
}

/// Returns a path as one word of the file.
///
/// # Errors
///
/// When it holds what the file gives a meaning.
pub(super) fn path_word(path: &Path) -> Result<String, SshFailure> {
    let fits = |c: char| !text::must_show(c) && !"\"\\%$*?[]{}~".contains(c);
    match path.to_str() {
        Some(word) if path.is_absolute() && word.chars().all(fits) => Ok(format!("\"{word}\"")),
        _ => Err(Trouble::Path { path: text::shown(&path.to_string_lossy()) }.into()),
    }
}

/// How long a log may become before the `ssh` that writes it is ended.
pub(super) const LOG_BYTES_LIMIT: u64 = 8 * 1024 * 1024;
/// What `ulimit -f` counts in (POSIX); a shell that counts in twice as much allows twice as much.
const ULIMIT_UNIT: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn operator() -> Whose {
        Whose::Operator { home: "/home/ana".into() }
    }

    fn to(host: &str) -> SshDestination {
        SshDestination::new(host.parse().unwrap())
    }

    fn far() -> SshDestination {
        SshDestination {
            user: Some(r"CORP\ops".parse().unwrap()),
            port: Some(2222),
            jump: ["edge", "ana@inner:2200"].map(|hop| hop.parse().unwrap()).to_vec(),
            identity_file: Some("/keys/bastion key".into()),
            known_hosts_file: Some("/keys/known".into()),
            ..to("bastion")
        }
    }

    #[test]
    fn our_options_come_before_the_operators() {
        let text = file(&operator(), &far(), None).unwrap();
        let (ours, rest) = text.split_at("Host *\n".len() + OURS.len());
        assert_eq!(ours, format!("Host *\n{OURS}"));
        insta::assert_snapshot!(rest, @r#"
        UserKnownHostsFile "/keys/known"
        IdentityFile "/keys/bastion key"
        Include "/home/ana/.ssh/config"
        Include "/etc/ssh/ssh_config"
        "#);
    }

    #[test]
    fn no_file_of_the_operators_takes_deadline_input_or_command_away() {
        let text = file(&operator(), &far(), None).unwrap();
        let before = text.split("Include").next().unwrap();
        let lines: Vec<_> = before.lines().collect();
        for line in [
            "ForkAfterAuthentication no",
            "StdinNull no",
            "SessionType default",
            "VerifyHostKeyDNS no",
        ] {
            assert!(lines.contains(&line), "{line}");
        }
        assert_eq!(lines[..2], ["Host *", "IgnoreUnknown *"], "before what may be unknown");
    }

    #[test]
    fn the_engine_of_a_host_includes_nobodys_file() {
        let engine = Whose::Engine { known_hosts: "/etc/breakglass/known_hosts".into() };
        let rest = |agent| {
            let text = file(&engine, &to("bastion"), agent).unwrap();
            text.split_at("Host *\n".len() + OURS.len()).1.to_owned()
        };
        insta::assert_snapshot!(rest(None), @r#"
        UserKnownHostsFile "/etc/breakglass/known_hosts"
        IdentitiesOnly yes
        IdentityAgent none
        "#);
        insta::assert_snapshot!(rest(Some(Path::new("/run/bg/1/a"))), @r#"
        UserKnownHostsFile "/etc/breakglass/known_hosts"
        IdentityAgent "/run/bg/1/a"
        "#);
    }

    #[test]
    fn each_hop_is_its_own_program_with_its_own_log() {
        let words = words(Path::new("/r/1/c f"), Path::new("/r/1/log"), &far());
        insta::assert_snapshot!(words.join("\n"), @r"
        ssh
        -F
        /r/1/c f
        -E
        /r/1/log
        -l
        CORP\ops
        -p
        2222
        -o
        IdentitiesOnly=yes
        -o
        ProxyCommand=ssh -F '/r/1/c f' -E /r/1/log.2 -l ana -p 2200 -o 'ProxyCommand=ssh -F '\''/r/1/c f'\'' -E /r/1/log.1 -W '\''[%%h]:%%p'\'' -- edge' -W '[%h]:%p' -- inner
        ");
    }

    #[test]
    fn a_path_that_the_file_would_read_otherwise_is_refused() {
        for path in ["/a\nProxyCommand x", "/a\"b", "/a%h", "/a${HOME}", "/a*", "~/x", "rel/x"] {
            let to = SshDestination { identity_file: Some(path.into()), ..to("bastion") };
            let error = file(&operator(), &to, None).unwrap_err();
            assert!(error.to_string().contains("ssh cannot be told of"), "{error}");
        }
    }
}
