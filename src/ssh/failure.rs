//! Why `ssh` did not do it, in words: what, why, and what to do now.

use std::fmt;

use thiserror::Error;

use crate::domain::time::Span;

/// Why something over SSH failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshFailure {
    trouble: Trouble,
    may_have_run: bool,
}

impl SshFailure {
    pub(super) const fn new(trouble: Trouble, may_have_run: bool) -> Self {
        Self { trouble, may_have_run }
    }

    /// What went wrong.
    #[must_use]
    pub const fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// True where the command had been sent: it may have run, or may run still.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        self.may_have_run
    }
}

impl From<Trouble> for SshFailure {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, may_have_run: false }
    }
}

impl fmt::Display for SshFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.trouble)
    }
}

impl std::error::Error for SshFailure {}

/// What goes wrong with SSH. Every text in it is clean.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the message of each says what its fields are")]
pub enum Trouble {
    #[error("cannot run `ssh`: {why}; install the OpenSSH client")]
    NoProgram { why: String },
    #[error(
        "ssh cannot be told of `{path}`: use an absolute path without any of \" \\ % $ * ? [ ] {{ }} ~"
    )]
    Path { path: String },
    #[error(
        "the folder `{folder}` has too long a name for a socket in it (at most {most} bytes): set \
         XDG_RUNTIME_DIR to a short one"
    )]
    TooLong { folder: String, most: usize },
    #[error("the provider's key: {why}")]
    Key { why: String },
    #[error("cannot prepare ssh: {what}: {why}")]
    Prepare { what: String, why: String },
    #[error(
        "ssh does not accept its configuration: {what}; correct it, and see with `ssh -G {host}`"
    )]
    Configuration { what: String, host: String },
    #[error("`{host}` cannot be resolved: {why}; check the name, or this host's DNS")]
    Unresolved { host: String, why: String },
    #[error("`{place}` refuses the connection: no SSH server listens there; check host and port")]
    Refused { place: String },
    #[error(
        "`{place}` does not answer: it is down, or a firewall drops us; check host, port and firewall"
    )]
    TimedOut { place: String },
    #[error("`{place}` cannot be reached: {why}; check this host's network")]
    Unreachable { place: String, why: String },
    #[error(
        "the host key of `{place}` ({key}) is not known here, and none is accepted unseen: connect once \
         by hand, `{command}`, and say yes only to the fingerprint that its owner tells you over \
         another way; it must then stand in `{file}`, readable for the user of this engine"
    )]
    HostKeyUnknown { place: String, key: String, command: String, file: String },
    #[error(
        "`{place}` has ANOTHER host key than {known}: somebody may be in between, or it was set up anew; \
         ask its owner for the new fingerprint over another way, and only then run `{command}`"
    )]
    HostKeyChanged { place: String, known: String, command: String },
    #[error("the host key of `{place}` is revoked ({known}); do not connect; ask its owner")]
    HostKeyRevoked { place: String, known: String },
    #[error(
        "`{place}` wrote into the log of `ssh` before its host key was taken: somebody may be in between, \
         and no fingerprint in that log is to be believed; do not connect; ask its owner"
    )]
    HostKeyForged { place: String },
    #[error(
        "`{place}` and this host have no {what} in common; it offers {offer}; update the older one"
    )]
    NothingInCommon { place: String, what: String, offer: String },
    #[error(
        "no key to offer to `{place}` for the user `{user}`: load one (`ssh-add`), or name an identity file"
    )]
    NoKey { place: String, user: String },
    #[error(
        "`{place}` accepts none of {offered} offered for the user `{user}`: the user is wrong, or the \
         key is not in that user's authorized_keys"
    )]
    NotAccepted { place: String, user: String, offered: String },
    #[error(
        "`{place}` ended the sign-in after {offered} for `{user}`: name the right identity file, so that it is the first one tried"
    )]
    TooManyKeys { place: String, user: String, offered: String },
    #[error(
        "`{place}` wants more of `{user}` than a key, and nobody is there to type it: let this user \
         sign in by key alone (AuthenticationMethods in sshd_config)"
    )]
    SecondFactor { place: String, user: String },
    #[error("the key file `{path}` cannot be used: {why}; {remedy}")]
    KeyFile { path: String, why: String, remedy: String },
    #[error(
        "`{place}` takes no more sign-ins at the moment (MaxStartups there, or no SSH server): try again shortly"
    )]
    TooManyStarts { place: String },
    #[error("on the way, at `{hop}`: {why}")]
    Hop { hop: String, why: Box<Self> },
    #[error("the way to `{place}` broke off ({way}); try `ssh {host}` by hand to see why")]
    Way { place: String, way: String, host: String },
    #[error("`{place}` stopped answering (2 keep-alives in 8 s): its network or host went away")]
    Silent { place: String },
    #[error("`{place}` closed the connection: {why}; its SSH server was stopped, or ended it")]
    Closed { place: String, why: String },
    #[error("its `ssh` was ended on this host: {why}")]
    Killed { why: String },
    #[error(
        "`{place}` did not finish within {limit}; it hangs, or is slow: look at it with `ssh` by hand"
    )]
    TooLate { place: String, limit: Span },
    #[error("{0}")]
    Channel(ChannelTrouble),
    #[error("ssh to `{place}` failed: {why}")]
    Other { place: String, why: String },
}

impl Trouble {
    /// True where the host, or one on the way, may take a sign-in a moment later.
    #[must_use]
    pub fn is_too_many_starts(&self) -> bool {
        match self {
            Self::TooManyStarts { .. } => true,
            Self::Hop { why, .. } => why.is_too_many_starts(),
            _ => false,
        }
    }
}

/// Why a host does not pass a connection on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the message of each says what its fields are")]
pub enum ChannelTrouble {
    #[error(
        "`{host}` may not pass connections on to `{target}`: it is forbidden there; its owner can allow \
         it (AllowTcpForwarding and PermitOpen in sshd_config, permitopen in authorized_keys)"
    )]
    Prohibited { host: String, target: String },
    #[error(
        "`{target}` refuses the connection from `{host}`: nothing listens on that port, or a firewall says no"
    )]
    Refused { host: String, target: String },
    #[error(
        "`{target}` does not answer `{host}`: it is down, or a firewall between them drops packets"
    )]
    TimedOut { host: String, target: String },
    #[error("`{host}` has no way to `{target}`: {why}; check the address and the network there")]
    Unreachable { host: String, target: String, why: String },
    #[error(
        "`{host}` cannot resolve the name of `{target}`: {why}; use an address that is known there"
    )]
    Unresolved { host: String, target: String, why: String },
    #[error("`{host}` does not open a connection to `{target}`: {why}")]
    Other { host: String, target: String, why: String },
}
