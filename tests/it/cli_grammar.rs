//! The grammar itself: help, mistakes, the manual, completions.

use breakglass::cli::args;
use breakglass::domain::role::Role;
use breakglass::protocol::SessionState;

use crate::cli_people::{identity, operator};
use crate::cli_support::{session, usual};

/// Every verb, as it is typed, with its definition.
fn verbs() -> Vec<(String, clap::Command)> {
    fn walk(command: &clap::Command, name: &str, all: &mut Vec<(String, clap::Command)>) {
        for verb in command.get_subcommands() {
            let name = format!("{name} {}", verb.get_name());
            walk(verb, &name, all);
            all.push((name, verb.clone()));
        }
    }
    let mut all = Vec::new();
    walk(&args::command(), "breakglass", &mut all);
    all
}

#[test]
fn every_first_line_of_help_is_an_imperative_without_a_period() {
    for (name, verb) in verbs() {
        let about = verb.get_about().unwrap_or_else(|| panic!("{name} has no help")).to_string();
        let first = about.chars().next().unwrap();
        assert!(first.is_ascii_uppercase() && !about.ends_with('.'), "{name}: {about}");
        let word = about.split(' ').next().unwrap();
        assert!(!word.ends_with('s') || word == "Pass", "{name}: `{word}` is no imperative");
        assert!(about.chars().count() <= 72, "{name}: {about}");
        for argument in verb.get_arguments() {
            let help = argument.get_help().unwrap_or_else(|| panic!("{name} {argument}"));
            assert!(!help.to_string().ends_with('.'), "{name} {argument}: {help}");
        }
    }
}

/// Every user of a host can read every command line.
#[test]
fn no_option_takes_a_secret() {
    let secrets =
        ["password", "passphrase", "secret", "token", "key", "credential", "code", "pin", "otp"];
    let mut flags = 0;
    for (name, verb) in verbs() {
        for argument in verb.get_arguments() {
            let id = argument.get_id().as_str().to_lowercase();
            let values = argument.get_value_names().unwrap_or_default();
            let mut words = vec![id.clone(), argument.get_long().unwrap_or_default().to_owned()];
            words.extend(values.iter().map(|value| value.to_lowercase()));
            let mut parts = words.iter().flat_map(|word| word.split(['-', '_']));
            let about_secret = parts.any(|part| secrets.contains(&part));
            // A flag has no value, and a file is named, not shown.
            let shown =
                argument.get_action().takes_values() && words.last().is_none_or(|it| it != "file");
            assert!(!(shown && about_secret), "{name}: `{id}` would stand in argv");
            assert!(argument.get_env().is_none(), "{name}: `{id}` is read from the environment");
            flags += usize::from(about_secret);
        }
    }
    assert!(flags >= 10, "only {flags} options are about a secret: is the list of words stale?");
}

#[tokio::test]
async fn no_verb_is_missing_in_the_manual() {
    let ran = usual().run(&["man"]).await;
    assert_eq!((ran.code, ran.stderr().as_str()), (0, ""));
    let manual = ran.stdout();
    for (name, verb) in verbs() {
        let heading = format!(".SH \"{}\"\n", name.to_uppercase());
        assert_eq!(manual.matches(&heading).count(), 1, "{heading}");
        for argument in verb.get_arguments().filter(|argument| !argument.is_hide_set()) {
            if let Some(long) = argument.get_long() {
                let word = format!("\\-\\-{}", long.replace('-', "\\-"));
                assert!(manual.contains(&word), "{name} {long}");
            }
        }
    }
    assert!(!manual.contains("detached\\fR"), "hidden options are hidden here too");
    assert!(manual.starts_with(".ie") || manual.starts_with(".TH"), "{}", &manual[..80]);
}

#[tokio::test]
async fn completions_know_every_verb() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = usual().run(&["completions", shell]).await;
        assert_eq!(ran.code, 0);
        for verb in
            ["open", "retry", "doctor", "break-glass-users", "change-passphrase", "login", "sweep"]
        {
            assert!(ran.stdout().contains(verb), "{shell} {verb}");
        }
    }
}

#[tokio::test]
async fn the_first_page_of_help() {
    let page = usual().run(&["--help"]).await.stdout();
    insta::assert_snapshot!(page.split_once("\n\nOptions:\n").unwrap().0, @"
    A timed, recorded, self-removing network path to one target

    Without a verb the screens open. A session is a path to one target for a limited time: it is opened
    with a reason, every step stands in the audit, and when it ends whatever was made for it is removed,
    and seen to be removed.

    Usage: breakglass [OPTIONS] [COMMAND]

    Commands:
      open               Open a session to a target
      connect            Run a command through a session, and end the session with it
      sessions           List sessions
      show               Show one session in full
      end                End a session and wait until everything is seen gone
      extend             Let a session run longer
      retry              Try at once to remove what a session owes
      targets            List what there is to reach
      sites              List the customers' environments
      providers          List, show, add, switch, validate or remove providers
      sweep              Find what no living session needs, and remove it
      init               Make the first Owner of this installation
      login              Sign in at this terminal
      logout             End the sign-in at this terminal
      whoami             Show who is signed in at this terminal
      password           Set your own password
      operators          List, invite or remove operators, or give them roles
      idp                Add, look at, enforce or remove identity providers
      break-glass-users  List, add, remove or prove who gets in when SSO fails
      vault              Unlock the vault of secrets, or move it
      audit              Read the record of who did what, or verify it
      config             Explain, show or check the configuration
      doctor             Look for everything that is known to go wrong
      completions        Print a completion script for a shell
      man                Print the manual page
      engine             Show how the engine is, or stop it
      demo               Try everything on simulated providers, with nothing at stake
      help               Print this message or the help of the given subcommand(s)
    ");
}

#[tokio::test]
async fn the_first_page_of_help_ends_with_options_first_steps_and_exit_codes() {
    let page = usual().run(&["--help"]).await.stdout();
    insta::assert_snapshot!(page.split_once("\n\nOptions:\n").unwrap().1, @"
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Global options:
          --json
              Print one JSON document, or JSON Lines where the verb goes on
              
              Documents are objects with a `version` and one named list or thing. Field names are in
              `snake_case`, times are RFC 3339 in UTC, durations are in seconds. An error is one such
              document on standard error.

          --plain
              Use one line an event, without colour, boxes or a second screen
              
              Suits screen readers and logs. It is what you get where `TERM` is `dumb` or there is no
              terminal.

          --config <FILE>
              Read this configuration file instead of the usual one

          --state-dir <DIR>
              Keep state in this directory instead of the usual one
              
              Sessions, journal and audit live there, and so does the engine's socket: another directory
              is another installation with an engine of its own.

          --personal
              Use an engine of one's own, even where the host has one
              
              Where `/run/breakglass` is there, the engine of the host is used. Sessions, accounts and
              audit of one's own engine are others than those of the host's.

    First steps:
      breakglass demo                  try everything, with nothing at stake
      breakglass config example        the configuration, each key explained
      breakglass init --email ana@example.com
                                       make the first Owner, and sign in
      breakglass targets               what there is to reach
      breakglass open orders-db --reason 'INC-42 slow queries' --for 30m
      breakglass end 5566              end it, and see that everything is gone

    Exit codes:
      0    done
      2    the command line is wrong
      3    the configuration is wrong
      4    refused by policy, or nobody is signed in; the audit has it
      5    a target, a provider, the engine or the store cannot be reached
      6    something is not proven gone; `show` tells what, and how to remove it
      70   a bug in this program
      130, 143   Ctrl-C or SIGTERM, where the verb says so
    ");
}

#[tokio::test]
async fn the_help_of_a_new_bastion_and_of_sweep_needs_no_web() {
    let page = usual().run(&["providers", "add", "ssh", "-h"]).await.stdout();
    insta::assert_snapshot!(page.split_once("\n\nGlobal options:\n").unwrap().0, @"
    Add a bastion that is reached by `ssh`

    Usage: breakglass providers add ssh [OPTIONS] [ID]

    Arguments:
      [ID]  Name to give it

    Options:
          --host <HOST>              Host of the bastion, or a name that your `ssh_config` knows
          --user <USER>              User there; who `ssh` takes where absent
          --port <PORT>              Port there; what `ssh` takes where absent
          --jump <HOP>               Host on the way, as `user@host:port`; may be given again, the first
                                     one first
          --identity-file <FILE>     Private key to use where it lies, as a whole path
          --known-hosts-file <FILE>  File of known host keys, as a whole path
          --default[=<BOOL>]         Let it serve private targets that belong to no site;
                                     `--default=false` ends that [possible values: true, false]
          --key-stdin                Read the key from standard input, all of it
          --key-file <FILE>          Read the key from a file that only you may read
          --save-disabled            Keep it, switched off, even where something is missing that is
                                     needed
      -h, --help                     Print help (see more with '--help')
    ");
    let page = usual().run(&["sweep", "--help"]).await.stdout();
    let (page, rest) = page.split_once("\n\nGlobal options:\n").unwrap();
    insta::assert_snapshot!(page, @"
    Find what no living session needs, and remove it

    Looks at every provider and launcher for what bears the mark of this installation and belongs to no
    living session. Says what it finds and removes nothing, unless `--apply` says so. What could still
    be needed is left then: where the state of this engine was copied, an engine on another host may use
    it. What another installation made is never touched, nor even shown.

    Usage: breakglass sweep [OPTIONS]

    Options:
          --apply
              Remove what is found and has had its time, and look again

          --also-unexpired
              Remove also what may still be needed, by an engine with a copy of this state

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(rest.split_once("Examples:\n").unwrap().1, @"
      breakglass sweep
      breakglass sweep --apply
      breakglass sweep --apply --also-unexpired
      breakglass sweep --json | jq -r '.sweep.orphans[].artifact'

    Exit codes:
      0    nothing is left, or, without `--apply`, everything was found that there is
      4    you may not
      5    the engine cannot be reached
      6    something is still there, or somewhere nobody could look; a launcher that has no `list`
           command is told each time, and is no failure
      130, 143   Ctrl-C or SIGTERM; the engine goes on
    ");
}

#[tokio::test]
async fn the_help_of_open_needs_no_web() {
    insta::assert_snapshot!(usual().run(&["open", "--help"]).await.stdout(), @"
    Open a session to a target

    Requests a timed, recorded path to one target, and returns once it is there. Standard output then
    has two lines: the local endpoint, and the command to paste. The steps are told on standard error as
    they are done. The session goes on in the background until you end it, its lease ends, or it is idle
    for too long.

    How the target is reached follows from the configuration; `--plan` says how and why, and what would
    exist because of the session, and does nothing.

    Ctrl-C before the session is Active ends it. With `--wait`, Ctrl-C and SIGTERM end it at any time,
    and the receipt follows; a terminal that goes away does not end it.

    Usage: breakglass open [OPTIONS] [TARGET]

    Arguments:
      [TARGET]
              Name of a target in the catalogue

    Options:
          --address <HOST:PORT>
              Address of a target that is in no catalogue, where policy allows that

          --kind <KIND>
              Kind of thing that speaks at the address
              
              [possible values: kubernetes, postgres, mysql, redis, mongodb, ssh, https, http, tcp]

          --site <SITE>
              Site that the address belongs to

          --for <DURATION>
              Length of the session, such as `30m` or `1h30m`
              
              The clock starts when the session becomes Active. Without this, the policy's default
              holds.

          --agree
              Agree to what opening changes in the policy file of a tailnet; `--plan` shows it

          --reason <TEXT>
              Reason for the session; it stands in the audit, and `--plan` needs none

          --plan
              Say what would be done, and do nothing

          --wait
              Stay until the session has ended, and end it on Ctrl-C

      -h, --help
              Print help (see a summary with '-h')

    Global options:
          --json
              Print one JSON document, or JSON Lines where the verb goes on
              
              Documents are objects with a `version` and one named list or thing. Field names are in
              `snake_case`, times are RFC 3339 in UTC, durations are in seconds. An error is one such
              document on standard error.

          --plain
              Use one line an event, without colour, boxes or a second screen
              
              Suits screen readers and logs. It is what you get where `TERM` is `dumb` or there is no
              terminal.

          --config <FILE>
              Read this configuration file instead of the usual one

          --state-dir <DIR>
              Keep state in this directory instead of the usual one
              
              Sessions, journal and audit live there, and so does the engine's socket: another directory
              is another installation with an engine of its own.

          --personal
              Use an engine of one's own, even where the host has one
              
              Where `/run/breakglass` is there, the engine of the host is used. Sessions, accounts and
              audit of one's own engine are others than those of the host's.

    Examples:
      breakglass open orders-db --reason 'INC-42 slow queries' --for 30m
      breakglass open --address 10.20.0.7:5432 --kind postgres --reason INC-42
      breakglass open orders-db --plan
      breakglass open orders-db --reason INC-42 --json | jq -r .session.command

    Exit codes:
      0  the session is Active; with --wait, it has ended and everything was seen gone
      2  the command line is wrong
      3  the configuration is wrong
      4  policy refuses the session
      5  the target, its provider or the engine cannot be reached
      6  something that the session made is not proven gone
      130, 143  Ctrl-C or SIGTERM ended the session before it was Active
    ");
}

#[tokio::test]
async fn mistakes_say_what_was_meant_and_are_exit_2() {
    insta::assert_snapshot!(usual().run(&["opne"]).await, @"
    exit 2
    err| usage: unrecognized subcommand 'opne'; some similar subcommands exist: 'connect', 'open'
    err|   hint: breakglass --help
    ");
    insta::assert_snapshot!(usual().run(&["open", "db", "--raeson", "x"]).await, @"
    exit 2
    err| usage: unexpected argument '--raeson' found; a similar argument exists: '--reason'
    err|   hint: breakglass open --help
    ");
    insta::assert_snapshot!(usual().run(&["open", "db"]).await, @"
    exit 2
    err| usage: the following required arguments were not provided: --reason <TEXT>
    err|   hint: breakglass open --help
    ");
    insta::assert_snapshot!(usual().run(&["open", "--reason", "x"]).await, @"
    exit 2
    err| usage: the following required arguments were not provided: <TARGET>
    err|   hint: breakglass open --help
    ");
    insta::assert_snapshot!(
        usual().run(&["open", "--reason", "x", "--address", "db:1", "--kind", "postgre"]).await, @"
    exit 2
    err| usage: invalid value 'postgre' for '--kind <KIND>' [possible values: kubernetes, postgres, mysql, redis, mongodb, ssh, https, http, tcp]; a similar value exists: 'postgres'
    err|   hint: breakglass open --help
    ");
    insta::assert_snapshot!(
        usual().run(&["open", "Orders\u{1b}[2J", "--reason", "x"]).await, @"
    exit 2
    err| usage: invalid value 'Orders' for '[TARGET]': a name starts with a letter or digit and holds only a-z, 0-9, `.`, `_` and `-`
    err|   hint: breakglass open --help
    ");
    insta::assert_snapshot!(usual().run(&["open", "db", "--reason", "x", "--for", "0"]).await, @"
    exit 2
    err| usage: invalid value '0' for '--for <DURATION>': `0` is not a duration; write it like `30m`, `1h30m` or `90s`
    err|   hint: breakglass open --help
    ");
    insta::assert_snapshot!(usual().run(&["sessions", "--state", "done", "--json"]).await, @r#"
    exit 2
    err| {"version":1,"error":{"kind":"usage","message":"invalid value 'done' for '--state <STATE>' [possible values: pending, activating, active, ending, ended, cleanup-owed]","causes":[],"hint":"breakglass sessions --help"}}
    "#);
    insta::assert_snapshot!(usual().run(&["--json"]).await, @r#"
    exit 2
    err| {"version":1,"error":{"kind":"usage","message":"`--json` needs a verb","causes":[],"hint":"breakglass sessions --json"}}
    "#);
}

#[tokio::test]
async fn the_version_is_the_packages() {
    let ran = usual().run(&["--version"]).await;
    assert_eq!(ran.stdout(), format!("breakglass {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn every_json_document_is_one_line_with_a_version_and_one_name() {
    for line in [
        "sessions",
        "sessions --all",
        "show 5566",
        "providers",
        "providers show direct",
        "engine",
        "whoami",
        "logout",
        "operators list",
        "idp list",
        "break-glass-users list",
        "vault status",
        "config example",
        "config show",
        "config check",
        "config path",
    ] {
        let mut arguments: Vec<_> = line.split(' ').collect();
        arguments.push("--json");
        let knows = usual().knowing([session(SessionState::Active)]).world(|world| {
            world.identity = identity();
            world.operators = vec![operator("ana", Role::Owner)];
        });
        let ran = knows.run(&arguments).await;
        assert_eq!((ran.code, ran.stderr().as_str()), (0, ""), "{line}: {ran}");
        let documents = ran.documents();
        assert_eq!(documents.len(), 1, "{line}");
        let fields: Vec<_> = documents[0].as_object().unwrap().keys().collect();
        assert!(fields.len() == 2 && documents[0]["version"] == 1, "{line}: {fields:?}");
        let mut names = Vec::new();
        field_names(&documents[0], &mut names);
        let odd = |name: &&String| !name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'));
        assert_eq!(names.iter().find(odd), None, "{line}");
    }
}

fn field_names(value: &serde_json::Value, names: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                names.push(name.clone());
                field_names(value, names);
            }
        }
        serde_json::Value::Array(values) => {
            values.iter().for_each(|value| field_names(value, names));
        }
        _ => {}
    }
}

#[tokio::test]
async fn a_noun_without_its_verb_shows_the_verbs() {
    let ran = usual().run(&["audit"]).await;
    assert_eq!((ran.code, ran.stdout().as_str()), (2, ""));
    assert!(ran.stderr().contains("verify") && ran.stderr().contains("tail"), "{ran}");
    insta::assert_snapshot!(usual().run(&["audit", "--json"]).await, @r#"
    exit 2
    err| {"version":1,"error":{"kind":"usage","message":"'breakglass audit' requires a subcommand but one was not provided [subcommands: tail, verify, help]","causes":[],"hint":"breakglass audit --help"}}
    "#);
    insta::assert_snapshot!(usual().run(&["--json", "audit"]).await, @r#"
    exit 2
    err| {"version":1,"error":{"kind":"usage","message":"a verb is missing","causes":[],"hint":"breakglass audit --help"}}
    "#);
}
