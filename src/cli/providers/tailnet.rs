//! `providers add tailscale`: a tailnet of Tailscale or Headscale.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::add::{self, KeyArgs, Put};
use super::twingate::wants_key;
use crate::cli::Context;
use crate::cli::person::{Stop, Wanted};
use crate::domain::id::ProviderId;
use crate::domain::provider::{ProviderSettings, ProviderSetup};
use crate::domain::secret::Secret;
use crate::domain::tailscale::{
    DataPath, ROUTER_IMAGE, ServerUrl, Tag, Tailnet, TailnetError, TailnetName, TailscaleSetup,
};
use crate::error::{Kind, Report};
use crate::protocol::EngineHandle;

/// A tailnet.
#[derive(Clone, Debug, Args)]
pub struct TailscaleArgs {
    /// Name to give it
    #[arg(value_name = "ID")]
    pub provider: Option<ProviderId>,
    /// Server of a Headscale, such as `https://headscale.example.com`; Tailscale where absent
    #[arg(long, value_name = "URL")]
    pub server: Option<ServerUrl>,
    /// Name of the tailnet; that of the key where absent
    #[arg(long, value_name = "NAME")]
    pub tailnet: Option<TailnetName>,
    /// Number of the user that keys are made for; Headscale before 0.28 wants one
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub headscale_user: Option<u32>,
    /// File of further certificates to trust, as a whole path
    #[arg(
        long, value_name = "FILE", value_hint = clap::ValueHint::FilePath,
        value_parser = add::whole
    )]
    pub ca_file: Option<PathBuf>,
    /// Tag of the routers in sites
    #[arg(long, value_name = "TAG", default_value_t = Tag::router())]
    pub router_tag: Tag,
    /// Tag of this side's nodes
    #[arg(long, value_name = "TAG", default_value_t = Tag::operator())]
    pub operator_tag: Tag,
    /// How this host reaches the tailnet
    #[arg(long, value_enum, default_value_t)]
    pub data_path: Path,
    /// Let the policy file be edited for each session, and edited back
    #[arg(long)]
    pub edit_policy: bool,
    /// Image of a router, where a container runs it
    #[arg(long, value_name = "IMAGE", default_value = ROUTER_IMAGE)]
    pub router_image: String,
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

/// How this host reaches a tailnet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Path {
    /// By a node of the session's own, without root
    #[default]
    Node,
    /// By the node that this host is already
    Host,
}

pub(super) const AFTER: &str = "\
Examples:
  pass show tailscale-oauth | breakglass providers add tailscale acme --key-stdin
  breakglass providers add tailscale acme --server https://hs.acme.example --key-file key

Exit codes:
  0    kept; with `--save-disabled` perhaps switched off
  2    the command line, a setting or the key is wrong
  4    you may not, or a key would go to another host
  5    something is missing and it was not kept, or the engine cannot be reached
  130, 143   Ctrl-C or SIGTERM; `providers show` tells what holds";

/// Adds a tailnet, or changes one.
pub(super) async fn add(
    engine: &EngineHandle,
    args: TailscaleArgs,
    context: &mut Context<'_>,
) -> Result<u8, Stop> {
    let key = context.key(args.key.key_stdin, args.key.key_file.as_deref()).await?;
    let key = key.map(|key| api_key(&key)).transpose()?;
    let id = match args.provider {
        Some(id) => id,
        None => add::answer(context.asked("Name of the provider", "ID").await?)?,
    };
    let setup = TailscaleSetup {
        tailnet: Tailnet {
            server: args.server,
            name: args.tailnet,
            user: args.headscale_user,
            ca_file: args.ca_file,
        },
        router_tag: args.router_tag,
        operator_tag: args.operator_tag,
        data_path: match args.data_path {
            Path::Node => DataPath::Node,
            Path::Host => DataPath::Host,
        },
        edit_policy: args.edit_policy,
        router_image: args.router_image,
        has_key: false,
    };
    setup.check().map_err(|error| Report::of(Kind::Usage, &error))?;
    if let Some(key) = &key {
        check_key(&setup.tailnet, key)?;
    }
    let tailnet = setup.tailnet.clone();
    let setup = ProviderSetup::Tailscale(Box::new(setup));
    let settings = ProviderSettings { id, setup, enabled: true, default: false };
    let (save_disabled, default) = (args.save_disabled, args.default);
    let key = match key {
        None if !save_disabled && wants_key(engine, &settings, context).await? => {
            let wanted = Wanted { what: "API key", option: "--key-stdin or --key-file" };
            let key = api_key(&context.asked_secret(wanted).await?)?;
            check_key(&tailnet, &key)?;
            Some(key)
        }
        key => key,
    };
    add::put(engine, Put { settings, key, save_disabled, default }, context).await
}

/// Refuses a key that is surely for the other product, before anything is sent.
pub(super) fn check_key(tailnet: &Tailnet, key: &Secret) -> Result<(), Report> {
    tailnet.check_key(key).map_err(|error| {
        let hint = match &error {
            TailnetError::HeadscaleKey => "add --server https://HOST",
            _ => "leave --server out, or give a key that `headscale apikeys create` prints",
        };
        Report::of(Kind::Usage, &error).hint(hint)
    })
}

/// Refuses what is surely no key of an API before anybody is bothered with it. No message shows it.
pub(super) fn api_key(key: &Secret) -> Result<Secret, Report> {
    let text = key.expose().trim();
    if text.starts_with("tskey-auth-") || text.starts_with("hskey-auth-") {
        return Err(Report::new(
            Kind::Usage,
            "this is a key with which a node joins, not an API key",
        )
        .hint(
            "give an API access token (tskey-api-…) or the secret of an OAuth client \
                   (tskey-client-…); of Headscale one that `headscale apikeys create` prints",
        ));
    }
    if text.is_empty() || text.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return Err(Report::new(Kind::Usage, "this is no API key: it is one word on one line")
            .hint("give an API access token, or the secret of an OAuth client"));
    }
    Ok(Secret::new(text))
}
