//! `[site.launcher]`: how things are started in a site, checked and written.
//!
//! What stands here is run, so the file is code. No shell ever reads it: a command is a list of words.

use std::ops::Range;

use toml::{Spanned, Value};

use super::error::{Flaw, listed};
use super::file::{LauncherTable, Text, Texts};
use super::ssh::{self, SshKeys, path_value};
use super::value::{Line, argument, path, required, value_flaw, word};
use crate::domain::launcher::{
    CommandLauncher, ContainerEngine, ContainerLauncher, KubernetesLauncher, LauncherSettings,
    SshLauncher, SshMethod,
};
use crate::domain::ssh::{SshDestination, SshHop, SshWord};
use crate::domain::text::{must_show, shown};

/// Reads how things are started in a site.
pub(super) fn launcher(table: &Spanned<LauncherTable>) -> Result<LauncherSettings, Flaw> {
    let span = table.span();
    let table = table.get_ref();
    let kind_text = required(TABLE, "kind", &span, table.kind.as_ref(), "kind = \"docker\"")?;
    let words = KINDS.map(|(kind, _)| (kind, kind));
    let kind = word(&key("kind"), Some(kind_text), &words)?.unwrap_or_default();
    only_keys_of(kind, table)?;
    match kind {
        "ssh" => ssh_launcher(&span, table).map(LauncherSettings::Ssh),
        "docker" => container(ContainerEngine::Docker, table),
        "podman" => container(ContainerEngine::Podman, table),
        "kubernetes" => kubernetes(table).map(LauncherSettings::Kubernetes),
        _ => command(&span, table).map(LauncherSettings::Command),
    }
}

/// Every key that a launcher has, in order, as the file would say it.
pub(super) fn lines(launcher: &LauncherSettings) -> Vec<Line> {
    let mut lines = vec![Line::new("kind", launcher.kind())];
    let sudo = |sudo: bool| Line::new("sudo", sudo).default_if(!sudo);
    match launcher {
        LauncherSettings::Ssh(it) => {
            lines.extend(ssh::lines(&it.destination));
            let method = Line::new("method", it.method.as_str());
            lines.push(method.default_if(it.method == SshMethod::default()));
            lines.push(sudo(it.sudo));
        }
        LauncherSettings::Container(it) => {
            lines.extend(it.over.as_ref().map(|over| Line::new("over", over_text(over))));
            lines.push(sudo(it.sudo));
        }
        LauncherSettings::Kubernetes(it) => {
            lines.extend(it.context.as_deref().map(|text| Line::new("context", text)));
            let namespace = Line::new("namespace", it.namespace.as_str());
            lines.push(namespace.default_if(it.namespace == NAMESPACE));
            lines
                .extend(it.kubeconfig.as_deref().map(|it| Line::new("kubeconfig", path_value(it))));
        }
        LauncherSettings::Command(it) => {
            let words = |words: &Vec<String>| Value::from(words.clone());
            lines.push(Line::new("start", words(&it.start)));
            lines.push(Line::new("stop", words(&it.stop)));
            lines.push(Line::new("look", words(&it.look)));
            lines.extend(it.logs.as_ref().map(|it| Line::new("logs", words(it))));
            lines.extend(it.list.as_ref().map(|it| Line::new("list", words(it))));
        }
    }
    lines
}

fn key(key: &str) -> String {
    format!("{TABLE}.{key}")
}

/// Refuses a key that the kind does not have, with the keys that it has.
fn only_keys_of(kind: &str, table: &LauncherTable) -> Result<(), Flaw> {
    let own = KINDS.iter().find(|(word, _)| *word == kind).map_or(&[][..], |(_, keys)| keys);
    let Some((stray, span)) = given(table).into_iter().find(|(key, _)| !own.contains(key)) else {
        return Ok(());
    };
    let what = format!("`{}`: a launcher of kind `{kind}` has no such key", key(stray));
    let has = KINDS.iter().filter(|(_, keys)| keys.contains(&stray)).map(|(kind, _)| *kind);
    Err(Flaw::new(span, what).hint(format!(
        "take it out (it is one of {}), or write another kind: {}",
        listed(own.iter().copied()),
        listed(has)
    )))
}

/// The keys that are there, `kind` left out.
fn given(table: &LauncherTable) -> Vec<(&'static str, Range<usize>)> {
    let text = |key, text: &Text| text.as_ref().map(|text| (key, text.span()));
    let texts = |key, texts: &Texts| texts.as_ref().map(|texts| (key, texts.span()));
    let all = [
        text("host", &table.host),
        text("method", &table.method),
        table.sudo.as_ref().map(|sudo| ("sudo", sudo.span())),
        text("over", &table.over),
        text("context", &table.context),
        text("namespace", &table.namespace),
        text("kubeconfig", &table.kubeconfig),
        texts("start", &table.start),
        texts("stop", &table.stop),
        texts("look", &table.look),
        texts("logs", &table.logs),
        texts("list", &table.list),
    ];
    all.into_iter().flatten().chain(ssh_keys(table).given()).collect()
}

const fn ssh_keys(table: &LauncherTable) -> SshKeys<'_> {
    SshKeys {
        table: TABLE,
        user: &table.user,
        port: &table.port,
        jump: &table.jump,
        identity_file: &table.identity_file,
        known_hosts_file: &table.known_hosts_file,
    }
}

fn sudo(table: &LauncherTable) -> bool {
    table.sudo.as_ref().is_some_and(|sudo| *sudo.get_ref())
}

fn ssh_launcher(span: &Range<usize>, table: &LauncherTable) -> Result<SshLauncher, Flaw> {
    let host = required(TABLE, "host", span, table.host.as_ref(), "host = \"app1.acme.internal\"")?;
    Ok(SshLauncher {
        destination: ssh_keys(table).destination(host)?,
        method: word(&key("method"), table.method.as_ref(), &SshMethod::ALL)?.unwrap_or_default(),
        sudo: sudo(table),
    })
}

fn container(engine: ContainerEngine, table: &LauncherTable) -> Result<LauncherSettings, Flaw> {
    let over = match &table.over {
        Some(text) => Some(over(text)?),
        None => None,
    };
    Ok(LauncherSettings::Container(ContainerLauncher { engine, over, sudo: sudo(table) }))
}

/// The host of `ssh://[USER@]HOST[:PORT]`.
fn over(text: &Spanned<String>) -> Result<SshDestination, Flaw> {
    let hint =
        "write it like \"ssh://ops@docker1.acme.internal:22\", or leave the key out for here";
    let Some(place) = text.get_ref().strip_prefix("ssh://") else {
        let what = format!("`{}`: `{}` does not begin with `ssh://`", key("over"), {
            shown(text.get_ref())
        });
        return Err(Flaw::new(text.span(), what).hint(hint));
    };
    let flaw = |error| value_flaw(&key("over"), text, error).hint(hint);
    let hop: SshHop = place.trim_end_matches('/').parse().map_err(flaw)?;
    let host = SshWord::of_host(hop.host.as_str()).map_err(flaw)?;
    Ok(SshDestination { user: hop.user, port: hop.port, ..SshDestination::new(host) })
}

fn over_text(over: &SshDestination) -> String {
    let SshDestination { user, host, port, .. } = over;
    format!("ssh://{}", SshHop { user: user.clone(), host: host.clone(), port: *port })
}

fn kubernetes(table: &LauncherTable) -> Result<KubernetesLauncher, Flaw> {
    let namespace = match &table.namespace {
        Some(text) => namespace(text)?,
        None => NAMESPACE.to_owned(),
    };
    Ok(KubernetesLauncher {
        context: argument(&key("context"), table.context.as_ref())?,
        namespace,
        kubeconfig: path(&key("kubeconfig"), table.kubeconfig.as_ref())?,
    })
}

/// The name of a namespace is a label of DNS (RFC 1123).
fn namespace(text: &Spanned<String>) -> Result<String, Flaw> {
    let name = text.get_ref().as_str();
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = !name.is_empty() && name.len() <= 63 && name.chars().all(inside);
    if fits && !name.starts_with('-') && !name.ends_with('-') {
        return Ok(name.to_owned());
    }
    let what = format!("`{}`: `{}` is no namespace", key("namespace"), shown(name));
    Err(Flaw::new(text.span(), what).hint("write at most 63 of a-z, 0-9 and `-`"))
}

fn command(span: &Range<usize>, table: &LauncherTable) -> Result<CommandLauncher, Flaw> {
    let needed = |name: &str, list: &Texts| {
        let example = format!("{name} = [\"/usr/local/bin/acme-router\", \"{name}\"]");
        words(name, required(TABLE, name, span, list.as_ref(), &example)?)
    };
    let if_any = |name: &str, list: &Texts| list.as_ref().map(|list| words(name, list)).transpose();
    Ok(CommandLauncher {
        start: needed("start", &table.start)?,
        stop: needed("stop", &table.stop)?,
        look: needed("look", &table.look)?,
        logs: if_any("logs", &table.logs)?,
        list: if_any("list", &table.list)?,
    })
}

/// The words of a command. The first is the program; where it is must not depend on anything.
fn words(name: &str, list: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, Flaw> {
    let name = key(name);
    let Some(program) = list.get_ref().first() else {
        return Err(Flaw::new(list.span(), format!("`{name}` is empty")).hint(WORDS_HINT));
    };
    if list.get_ref().len() > WORDS_MAX {
        let what = format!("`{name}` has more than {WORDS_MAX} words");
        return Err(Flaw::new(list.span(), what).hint("put them into a program of your own"));
    }
    path(&name, Some(program))?;
    let word = |text: &Spanned<String>| {
        let word = text.get_ref();
        if word.chars().any(must_show) {
            let what =
                format!("`{name}` holds a control or invisible character: `{}`", shown(word));
            return Err(Flaw::new(text.span(), what).hint("write plain words"));
        }
        if word.len() > WORD_BYTES_MAX {
            let what = format!("`{name}`: a word has at most {WORD_BYTES_MAX} bytes");
            return Err(Flaw::new(text.span(), what).hint("put it into a file of your own"));
        }
        Ok(word.clone())
    };
    list.get_ref().iter().map(word).collect()
}

const TABLE: &str = "site.launcher";

/// Every kind with its keys.
const KINDS: [(&str, &[&str]); 5] = [
    (
        "ssh",
        &["host", "user", "port", "jump", "identity-file", "known-hosts-file", "method", "sudo"],
    ),
    ("docker", &["over", "sudo"]),
    ("podman", &["over", "sudo"]),
    ("kubernetes", &["context", "namespace", "kubeconfig"]),
    ("command", &["start", "stop", "look", "logs", "list"]),
];

const NAMESPACE: &str = "default";

pub(super) const WORDS_HINT: &str = "write each word by itself, such as [\"/usr/local/bin/acme-router\", \"start\"]; no shell reads it";
const WORDS_MAX: usize = 64;
const WORD_BYTES_MAX: usize = 4096;
