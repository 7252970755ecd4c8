//! `providers add` and `providers rotate-key`: settings from arguments and answers, and a key that
//! stands in neither.

use std::path::PathBuf;

use clap::Args;

use super::{RotateArgs, find, looked, tailnet, twingate};
use crate::cli::person::Stop;
use crate::cli::{Context, abilities, ask, vault};
use crate::domain::id::ProviderId;
use crate::domain::provider::{ProviderKind, ProviderSettings, ProviderSetup, SshSetup};
use crate::domain::secret::Secret;
use crate::domain::ssh::{SshDestination, SshError, SshHop, SshWord};
use crate::error::{Kind, Report};
use crate::protocol::{Command, EngineHandle, Kept, ProviderView, Save};

/// A bastion.
#[derive(Clone, Debug, Args)]
pub struct SshArgs {
    /// Name to give it
    #[arg(value_name = "ID")]
    pub provider: Option<ProviderId>,
    /// Host of the bastion, or a name that your `ssh_config` knows
    #[arg(long, value_name = "HOST", value_parser = SshWord::of_host)]
    pub host: Option<SshWord>,
    /// User there; who `ssh` takes where absent
    #[arg(long, value_name = "USER")]
    pub user: Option<SshWord>,
    /// Port there; what `ssh` takes where absent
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Host on the way, as `user@host:port`; may be given again, the first one first
    #[arg(long = "jump", value_name = "HOP")]
    pub jump: Vec<SshHop>,
    /// Private key to use where it lies, as a whole path
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, value_parser = whole)]
    pub identity_file: Option<PathBuf>,
    /// File of known host keys, as a whole path
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, value_parser = whole)]
    pub known_hosts_file: Option<PathBuf>,
    /// Let it serve private targets that belong to no site; `--default=false` ends that
    ///
    /// Without this it stays as it is: a new provider serves none of them.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub default: Option<bool>,
    /// Where the key is
    #[command(flatten)]
    pub key: KeyArgs,
    /// Keep it, switched off, even where something is missing that is needed
    #[arg(long)]
    pub save_disabled: bool,
}

/// Where a key is read from.
#[derive(Clone, Debug, Args)]
pub struct KeyArgs {
    /// Read the key from standard input, all of it
    #[arg(long, conflicts_with = "key_file")]
    pub key_stdin: bool,
    /// Read the key from a file that only you may read
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
}

pub(super) const AFTER_SSH: &str = "\
Examples:
  breakglass providers add ssh acme-bastion --host bastion.acme.example --user ops --key-file key
  breakglass providers add ssh inner --host 10.20.0.5 --jump ops@edge.acme.example:2222
  pass show bastion-key | breakglass providers add ssh acme-bastion --host bastion --key-stdin

Exit codes:
  0    kept; with `--save-disabled` perhaps switched off
  2    the command line, a setting or the key is wrong
  4    you may not, or a key would go to another host
  5    something is missing and it was not kept, or the engine cannot be reached
  130, 143   Ctrl-C or SIGTERM; `providers show` tells what holds";

/// Adds a bastion, or changes one.
pub(super) async fn ssh(
    engine: &EngineHandle,
    args: SshArgs,
    context: &mut Context<'_>,
) -> Result<u8, Stop> {
    let key = context.key(args.key.key_stdin, args.key.key_file.as_deref()).await?;
    if let Some(key) = &key {
        check_private_key(key)?;
    }
    let (save_disabled, default) = (args.save_disabled, args.default);
    let settings = settings(args, context).await?;
    put(engine, Put { settings, key, save_disabled, default }, context).await
}

/// Settings that were given, with a key that stands in none of them.
pub(super) struct Put {
    pub settings: ProviderSettings,
    pub key: Option<Secret>,
    pub save_disabled: bool,
    /// Whether it is a default; as before where nothing is said.
    pub default: Option<bool>,
}

/// Has settings tried and kept.
pub(super) async fn put(
    engine: &EngineHandle,
    put: Put,
    context: &mut Context<'_>,
) -> Result<u8, Stop> {
    let Put { mut settings, key, save_disabled, default } = put;
    let save = if save_disabled { Save::Disabled } else { Save::WhenHealthy };
    let all = ask::providers(engine, Command::Providers).await?;
    let known = all.iter().find(|view| view.id == settings.id);
    settings.enabled = known.is_none_or(|view| view.enabled);
    let before = known.and_then(|view| view.settings.as_ref());
    settings.default = default.or(before.map(|it| it.default)).unwrap_or_default();
    if let Some(before) = before.filter(|it| key.is_none() && settings.needs_key_again(it)) {
        return Err(key_again(&settings, before).into());
    }
    let stands = stands_in(&settings, before, &all);
    let (id, has_key) = (settings.id.clone(), key.is_some());
    settings.setup = settings.setup.with_key(has_key);
    let command = Command::PutProvider { settings: Box::new(settings), key, save };
    let asking = async || ask::validation(engine, command.clone()).await;
    let view = vault::with_open(engine, context, asking).await?;
    looked(engine, &id, &view, context).await?;
    let Some(kept) = view.kept else {
        let message = format!("`{id}` lacks what is needed, so it was not kept");
        let hint =
            "grant what is missing and add it again, or keep it switched off: --save-disabled";
        return Err(abilities::unhealthy(message, &view.validation.probe).hint(hint).into());
    };
    if has_key {
        context.out.talk("its key is in the vault; no file of it is needed any more");
    }
    context.out.talk(&match kept {
        Kept::Disabled => format!(
            "`{id}` is kept, switched off, since something is missing; once it is there: \
             breakglass providers enable {id}"
        ),
        Kept::AsAsked => format!("`{id}` is kept; {stands}"),
    });
    Ok(0)
}

/// Whom a provider serves as it is kept, and whether that changes.
fn stands_in(
    settings: &ProviderSettings,
    before: Option<&ProviderSettings>,
    all: &[ProviderView],
) -> String {
    let was = before.is_some_and(|before| before.default);
    let still = if was == settings.default && before.is_some() { "still " } else { "" };
    if !settings.default {
        let end = if was { "it serves private targets of no site no more; " } else { "" };
        return format!("{end}a site uses it once its `providers` name it");
    }
    let is_other = |view: &&ProviderView| {
        let is_default = view.settings.as_ref().is_some_and(|it| it.default);
        view.id != settings.id && view.enabled && is_default
    };
    let others: Vec<_> = all.iter().filter(is_other).map(|view| view.id.as_str()).collect();
    let beside = match others.as_slice() {
        [] => String::new(),
        others => {
            let others = others.join("`, `");
            format!(", as `{others}` does: the one that stands first in the configuration is taken")
        }
    };
    format!("it {still}serves private targets of no site{beside}")
}

fn key_again(settings: &ProviderSettings, before: &ProviderSettings) -> Report {
    let (id, was) = (&settings.id, before.setup.key_is_for());
    let message = format!("the key of `{id}` is bound to the host that it was given for: `{was}`");
    Report::new(Kind::Denied, message)
        .hint("give it again for the new host: --key-stdin or --key-file FILE")
}

/// Gives a provider another key.
pub(super) async fn rotate(
    engine: &EngineHandle,
    args: RotateArgs,
    context: &mut Context<'_>,
) -> Result<u8, Stop> {
    let id = args.provider;
    let Some(mut key) = context.key(args.key.key_stdin, args.key.key_file.as_deref()).await? else {
        return Err(Report::new(Kind::Usage, "there is no key to give")
            .hint(format!("breakglass providers rotate-key {id} --key-file FILE"))
            .into());
    };
    let known = find(&ask::providers(engine, Command::Providers).await?, &id)?;
    match known.kind {
        ProviderKind::Ssh => check_private_key(&key)?,
        ProviderKind::Tailscale => {
            key = tailnet::api_key(&key)?;
            if let Some(ProviderSetup::Tailscale(setup)) = known.settings.map(|it| it.setup) {
                tailnet::check_key(&setup.tailnet, &key)?;
            }
        }
        ProviderKind::Twingate => key = twingate::api_key(&key)?,
        ProviderKind::Direct | ProviderKind::Simulated => {}
    }
    let command = Command::RotateKey { provider: id.clone(), key };
    let asking = async || ask::validation(engine, command.clone()).await;
    let view = vault::with_open(engine, context, asking).await?;
    looked(engine, &id, &view, context).await?;
    if view.kept.is_none() {
        let message = format!("the new key of `{id}` does not work, so the old one stays");
        let hint = format!(
            "grant the new key what is missing, then try again; now: \
                            breakglass providers validate {id}"
        );
        return Err(abilities::unhealthy(message, &view.validation.probe).hint(hint).into());
    }
    context.out.talk(&format!("`{id}` has its new key; take the old one off at the provider"));
    Ok(0)
}

/// Settings from what was given; what is missing is asked for.
async fn settings(args: SshArgs, context: &mut Context<'_>) -> Result<ProviderSettings, Stop> {
    let id = match args.provider {
        Some(id) => id,
        None => answer(context.asked("Name of the provider", "ID").await?)?,
    };
    let mut destination = match args.host {
        Some(host) => SshDestination::new(host),
        None => asked(context).await?,
    };
    destination.user = args.user.or(destination.user);
    destination.port = args.port.or(destination.port);
    destination.jump = args.jump;
    destination.identity_file = args.identity_file;
    destination.known_hosts_file = args.known_hosts_file;
    let setup = ProviderSetup::Ssh(SshSetup { destination, has_key: false });
    Ok(ProviderSettings { id, setup, enabled: true, default: false })
}

/// Asks where the bastion is, in the form in which people say it.
async fn asked(context: &mut Context<'_>) -> Result<SshDestination, Stop> {
    let place = context.asked("Bastion, as [user@]host[:port]", "--host").await?;
    let SshHop { user, host, port } = answer(place)?;
    let host = SshWord::of_host(host.as_str()).map_err(|error| refused(&error))?;
    Ok(SshDestination { user, port, ..SshDestination::new(host) })
}

pub(super) fn answer<T>(text: String) -> Result<T, Report>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + 'static,
{
    text.parse().map_err(|error: T::Err| Report::of(Kind::Usage, &error))
}

fn refused(error: &SshError) -> Report {
    Report::of(Kind::Usage, error)
}

/// Refuses what is surely no private key before anybody is bothered with it. No message shows it.
fn check_private_key(key: &Secret) -> Result<(), Report> {
    let text = key.expose().trim_start();
    let public = ["ssh-", "ecdsa-", "sk-"].iter().any(|start| text.starts_with(start));
    let (what, hint) = if text.starts_with("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Ok(());
    } else if public {
        ("this is a public key", "give the private one: the file of the same name without `.pub`")
    } else if text.starts_with("PuTTY-") {
        ("this is a key of PuTTY", "puttygen KEY -O private-openssh -o FILE")
    } else {
        ("this is no private key of OpenSSH", "ssh-keygen -t ed25519 -f FILE makes one")
    };
    Err(Report::new(Kind::Usage, what).hint(hint))
}

/// Reads a path that does not depend on the current directory: the engine has another one.
pub(super) fn whole(text: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("write the whole path, from `/` on") }
}
