//! `breakglass config`: the configuration as text, checked and explained.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::Context;
use crate::error::{Kind, Report};

/// The configuration, as far as verbs speak of it.
pub trait ConfigDocs: Send + Sync {
    /// Where the configuration is read from, whether or not it is there.
    fn path(&self) -> PathBuf;

    /// The example: every key, at its default, explained.
    fn example(&self) -> &'static str;

    /// The values that hold, as TOML; with `origin`, a comment behind each says where it is from.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is wrong.
    fn show(&self, origin: bool) -> Result<String, Report>;

    /// Reads the configuration and says what it holds.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is wrong, or may be written by others.
    fn check(&self) -> Result<Checked, Report>;
}

/// What a configuration without mistakes holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// False where there is no file and the defaults hold.
    pub found: bool,
    /// How many sites.
    pub sites: usize,
    /// How many targets.
    pub targets: usize,
    /// How many providers.
    pub providers: usize,
}

/// What to do with the configuration.
///
/// The configuration is one file, `config.toml`. Flags come before it, defaults after it; the
/// environment sets nothing in it.
#[derive(Clone, Debug, Subcommand)]
#[command(about = "Explain, show or check the configuration")]
pub enum ConfigVerb {
    /// Print a configuration with every key explained
    ///
    /// Every key stands at its default, with what it means, the values it may have, and what goes
    /// wrong when it is wrong.
    #[command(after_long_help = "\
Examples:
  breakglass config example > ~/.config/breakglass/config.toml")]
    Example,
    /// Print the values that hold
    Show {
        /// Say where each value is from
        #[arg(long)]
        origin: bool,
    },
    /// Read the configuration and name each mistake
    ///
    /// Exit code 3 if it is wrong, if an unknown key stands in it, or if others may write it.
    Check,
    /// Print where the configuration is read from
    Path,
}

#[derive(Serialize)]
struct CheckDoc {
    path: String,
    #[serde(flatten)]
    checked: Checked,
}

#[derive(Serialize)]
struct FileDoc {
    path: String,
    exists: bool,
}

pub(super) fn run(verb: &ConfigVerb, context: &mut Context<'_>) -> Result<u8, Report> {
    let path = context.config.path();
    let shown = path.to_string_lossy().into_owned();
    match verb {
        ConfigVerb::Example if context.out.is_json() => {
            let example = parsed(context.config.example())?;
            context.out.document("config", &example)?;
        }
        ConfigVerb::Example => context.out.data(context.config.example())?,
        ConfigVerb::Show { .. } if context.out.is_json() => {
            let values = parsed(&context.config.show(false)?)?;
            context.out.document("config", &values)?;
        }
        ConfigVerb::Show { origin } => {
            let text = context.config.show(*origin)?;
            let terminal = context.out.terminal();
            let lines: Vec<_> = text.lines().map(|line| terminal.text(line)).collect();
            context.out.data(&lines.join("\n"))?;
        }
        ConfigVerb::Check => check(shown, context)?,
        ConfigVerb::Path if context.out.is_json() => {
            context.out.document("file", &FileDoc { exists: path.exists(), path: shown })?;
        }
        ConfigVerb::Path => {
            let line = context.out.terminal().text(&shown);
            context.out.data(&line)?;
        }
    }
    Ok(0)
}

fn check(path: String, context: &mut Context<'_>) -> Result<(), Report> {
    let checked = context.config.check()?;
    if context.out.is_json() {
        return context.out.document("config", &CheckDoc { path, checked });
    }
    let path = context.out.terminal().text(&path);
    let line = if checked.found {
        format!(
            "`{path}` is right: sites {}, targets {}, providers {}",
            checked.sites, checked.targets, checked.providers
        )
    } else {
        format!("there is no `{path}`; the defaults hold: the Direct provider, and no target")
    };
    context.out.data(&line)
}

/// Turns TOML into JSON, with the field names that JSON has here.
fn parsed(text: &str) -> Result<serde_json::Value, Report> {
    let values: serde_json::Value = toml::from_str(text).map_err(|error| {
        Report::new(Kind::Internal, "cannot read the configuration back").because(error.to_string())
    })?;
    Ok(snake_case(values))
}

fn snake_case(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| (name.replace('-', "_"), snake_case(value)))
                .collect(),
        ),
        Value::Array(values) => Value::Array(values.into_iter().map(snake_case).collect()),
        other => other,
    }
}
