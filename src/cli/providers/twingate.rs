//! `providers add twingate`: a network of Twingate.

use clap::{Args, ValueEnum};

use super::add::{self, KeyArgs, Put};
use crate::cli::person::{Stop, Wanted};
use crate::cli::{Context, ask};
use crate::domain::id::ProviderId;
use crate::domain::provider::{ProviderSettings, ProviderSetup};
use crate::domain::secret::Secret;
use crate::domain::twingate::{
    CONNECTOR_IMAGE, ClientPath, GroupName, NetworkName, ProxyAddress, TwingateSetup,
};
use crate::error::{Kind, Report};
use crate::protocol::{Command, EngineHandle};

/// A network of Twingate.
#[derive(Clone, Debug, Args)]
pub struct TwingateArgs {
    /// Name to give it
    #[arg(value_name = "ID")]
    pub provider: Option<ProviderId>,
    /// Name of the network: what stands before `.twingate.com` in the address of the console
    #[arg(long, value_name = "NAME")]
    pub network: Option<NetworkName>,
    /// Group that may reach a session's target, by its name or its id
    #[arg(long, value_name = "NAME")]
    pub group: Option<GroupName>,
    /// How this host reaches what the group may reach
    #[arg(long, value_enum, default_value_t)]
    pub data_path: Path,
    /// Where the proxy of a client listens; with `--data-path proxy` only
    #[arg(long, value_name = "ADDRESS")]
    pub proxy: Option<ProxyAddress>,
    /// Image of a connector, where a container runs it
    #[arg(long, value_name = "IMAGE", default_value = CONNECTOR_IMAGE)]
    pub connector_image: String,
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

/// How this host reaches what a client of Twingate may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Path {
    /// By the client that this host runs, over its network device
    #[default]
    Host,
    /// By a client that runs without a network device, over its HTTP proxy
    Proxy,
}

pub(super) const AFTER: &str = "\
Examples:
  breakglass providers add twingate acme --network acme --group 'On call' --key-file key
  pass show twingate | breakglass providers add twingate acme --network acme --group sre --key-stdin
  breakglass providers add twingate acme --network acme --group sre --data-path proxy

Exit codes:
  0    kept; with `--save-disabled` perhaps switched off
  2    the command line, a setting or the key is wrong
  4    you may not, or a key would go to another network
  5    something is missing and it was not kept, or the engine cannot be reached
  130, 143   Ctrl-C or SIGTERM; `providers show` tells what holds";

/// Adds a network, or changes one.
pub(super) async fn add(
    engine: &EngineHandle,
    args: TwingateArgs,
    context: &mut Context<'_>,
) -> Result<u8, Stop> {
    let data_path = data_path(args.data_path, args.proxy)?;
    let key = context.key(args.key.key_stdin, args.key.key_file.as_deref()).await?;
    let key = key.map(|key| api_key(&key)).transpose()?;
    let id = match args.provider {
        Some(id) => id,
        None => add::answer(context.asked("Name of the provider", "ID").await?)?,
    };
    let network = match args.network {
        Some(network) => network,
        None => add::answer(context.asked("Network, as NAME.twingate.com", "--network").await?)?,
    };
    let group = match args.group {
        Some(group) => group,
        None => add::answer(context.asked("Group that may reach targets", "--group").await?)?,
    };
    let setup = ProviderSetup::Twingate(Box::new(TwingateSetup {
        network,
        group,
        data_path,
        connector_image: args.connector_image,
        has_key: false,
    }));
    let settings = ProviderSettings { id, setup, enabled: true, default: false };
    let (save_disabled, default) = (args.save_disabled, args.default);
    let key = match key {
        None if !save_disabled && wants_key(engine, &settings, context).await? => {
            let wanted = Wanted { what: "API key", option: "--key-stdin or --key-file" };
            Some(api_key(&context.asked_secret(wanted).await?)?)
        }
        key => key,
    };
    add::put(engine, Put { settings, key, save_disabled, default }, context).await
}

/// True where a key must be asked for: there is none, or somebody can give again one that is bound to
/// another network.
pub(super) async fn wants_key(
    engine: &EngineHandle,
    settings: &ProviderSettings,
    context: &Context<'_>,
) -> Result<bool, Report> {
    let all = ask::providers(engine, Command::Providers).await?;
    let known = all.iter().find(|view| view.id == settings.id);
    let before = known.and_then(|view| view.settings.as_ref());
    Ok(match before.filter(|before| before.setup.has_key()) {
        None => true,
        Some(before) => settings.needs_key_again(before) && context.person.is_there(),
    })
}

fn data_path(path: Path, proxy: Option<ProxyAddress>) -> Result<ClientPath, Report> {
    match (path, proxy) {
        (Path::Host, None) => Ok(ClientPath::Host),
        (Path::Proxy, proxy) => Ok(ClientPath::Proxy(proxy.unwrap_or_default())),
        (Path::Host, Some(_)) => {
            let message = "nothing goes over a proxy with `--data-path host`";
            Err(Report::new(Kind::Usage, message)
                .hint("leave `--proxy` out, or give `--data-path proxy`"))
        }
    }
}

/// Refuses what is surely no key of an API before anybody is bothered with it. No message shows it.
pub(super) fn api_key(key: &Secret) -> Result<Secret, Report> {
    let text = key.expose().trim();
    let is_token = text.starts_with("eyJ") && text.matches('.').count() == 2;
    if is_token || text.starts_with('{') {
        let message = "this is a token of a connector or service account, not an API key";
        return Err(Report::new(Kind::Usage, message)
            .hint(format!("make one of the level Read, Write & Provision: {WHERE}")));
    }
    if text.is_empty() || text.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return Err(Report::new(Kind::Usage, "this is no API key: it is one word on one line")
            .hint(format!("it was shown once where it was made: {WHERE}")));
    }
    Ok(Secret::new(text))
}

/// Where the console has keys (<https://www.twingate.com/docs/getting-started-with-the-api>).
const WHERE: &str = "Settings, API in the console";
