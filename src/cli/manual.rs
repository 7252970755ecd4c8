//! `breakglass man` and `breakglass completions`: made from the grammar, so they cannot be stale.

use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Context, args};
use crate::error::{Kind, Report};

/// Print the manual page
///
/// Prints the whole manual, every verb included, in the form that man(1) reads.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  breakglass man | man -l -
  breakglass man > /usr/local/share/man/man1/breakglass.1")]
pub struct ManArgs {}

/// Print a completion script for a shell
///
/// Prints a script that makes the shell complete verbs and options.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  breakglass completions bash > ~/.local/share/bash-completion/completions/breakglass
  breakglass completions zsh > ~/.zfunc/_breakglass
  breakglass completions fish > ~/.config/fish/completions/breakglass.fish")]
pub struct CompletionsArgs {
    /// Shell that reads the script
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "breakglass", &mut script);
    context.out.bytes(&script)?;
    Ok(0)
}

pub(super) fn man(context: &mut Context<'_>) -> Result<u8, Report> {
    let page = page().map_err(|error| {
        Report::new(Kind::Internal, "cannot make the manual").because(error.to_string())
    })?;
    context.out.bytes(&page)?;
    Ok(0)
}

fn page() -> std::io::Result<Vec<u8>> {
    let mut command = args::command().disable_help_subcommand(true);
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    verbs(&command, &mut page)?;
    man.render_extra_section(&mut page)?;
    let mut page = String::from_utf8_lossy(&page).replace(" EXTRA\n", " NOTES\n");
    page.push_str(TAIL);
    Ok(page.into_bytes())
}

/// Appends a section for each verb, and for each verb of a noun.
fn verbs(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        section(verb, page)?;
        verbs(verb, page)?;
    }
    Ok(())
}

fn section(verb: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let name = verb.get_bin_name().unwrap_or_else(|| verb.get_name());
    page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
    // What holds for every verb is told once, at the top.
    let own = verb.clone().mut_args(|arg| {
        let left_out = arg.is_hide_set() || arg.is_global_set() || arg.get_id() == "help";
        arg.hide(left_out)
    });
    let man = Man::new(own.clone());
    let mut body = Vec::new();
    man.render_synopsis_section(&mut body)?;
    man.render_description_section(&mut body)?;
    if own.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(&mut body)?;
    }
    if own.get_after_long_help().is_some() {
        man.render_extra_section(&mut body)?;
    }
    let body = String::from_utf8_lossy(&body).replace(".SH ", ".SS ");
    page.extend_from_slice(body.as_bytes());
    Ok(())
}

const TAIL: &str = "\
.SH FILES
.TP
.I config.toml
The configuration: sites, targets, policy, ui. `breakglass config path` says where it is looked for,
and `breakglass config example` prints one with each key explained.
.TP
.I engine.sock
The socket of the engine, in the operator's runtime directory, for the operator alone.
.TP
.I sign-in-TTY
What shows who is signed in at one terminal, beside the socket, for the operator alone. `breakglass
logout` removes it.
.SH ENVIRONMENT
HOME and the XDG directories say where files are; NO_COLOR, TERM and the locale (LC_ALL, LC_CTYPE,
LANG) set the look, TMUX and STY the way to the clipboard; `breakglass doctor` also shows proxies and
files of certificate authorities. No variable decides who acts or what is allowed, none holds a
secret, and none reaches the audit. A command that `breakglass connect` runs finds BREAKGLASS_HOST,
BREAKGLASS_PORT (or BREAKGLASS_SOCKET) and BREAKGLASS_TARGET in its environment.
.SH \"SEE ALSO\"
.BR ssh (1),
.BR psql (1)
";
