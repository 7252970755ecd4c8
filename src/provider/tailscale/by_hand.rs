//! How what a session made on a tailnet is removed by hand: commands, and words. Pure.

use std::path::Path;

use super::steps::{Action, Does};

/// How it is removed by hand. A key is named by what the environment of whoever does it holds.
pub(super) fn commands(action: &Action) -> Vec<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    // The id is the server's word, so it is no part of what a shell reads; and the key is in no
    // argument, which others could read.
    let ask = |method: &str, before: &str, after: &str, body: &str| -> Vec<String> {
        let line = format!(
            "printf 'Authorization: Bearer %s\\n' \"$TS_API_KEY\" | \
             curl -fsS -X {method} -H @- {body}'{}/api/v2/{before}'\"$1\"'{after}'",
            action.tailnet.api()
        );
        ["sh", "-c", &line, "sh", "{id}"].map(ToOwned::to_owned).into()
    };
    let is_headscale = action.tailnet.server.is_some();
    match action.does {
        Does::RouterKey | Does::OperatorKey if is_headscale => {
            vec![words(&["headscale", "preauthkeys", "delete", "--id", "{id}"])]
        }
        Does::RouterKey | Does::OperatorKey => {
            let tailnet = action.tailnet.name.as_ref().map_or("-", |name| name.as_str());
            vec![ask("DELETE", &format!("tailnet/{tailnet}/keys/"), "", "")]
        }
        Does::AwaitRouter | Does::Join if is_headscale => {
            vec![words(&["headscale", "nodes", "delete", "--identifier", "{id}"])]
        }
        Does::AwaitRouter | Does::Join => vec![ask("DELETE", "device/", "", "")],
        Does::ApproveRoute if is_headscale => {
            vec![words(&[
                "headscale",
                "nodes",
                "approve-routes",
                "--identifier",
                "{id}",
                "--routes",
                "",
            ])]
        }
        Does::ApproveRoute => {
            let body = "-H 'Content-Type: application/json' -d '{\"routes\":[]}' ";
            vec![ask("POST", "device/", "/routes", body)]
        }
        Does::StartNode => commands_of_node(&action.folder),
        Does::ChooseRoute | Does::EditPolicy | Does::SeeRoute | Does::Check => vec![],
    }
}

/// What is to be known for the commands, or done where there is none.
pub(super) fn in_words(action: &Action, backups: &Path) -> Option<String> {
    let (name, own) = (&action.name, action.own_name());
    let is_headscale = action.tailnet.server.is_some();
    match action.does {
        Does::EditPolicy => Some(format!(
            "remove the lines with `{}` and `{}` from the policy file; a copy from before lies in `{}`",
            action.operator_tag,
            action.router_tag,
            backups.display()
        )),
        Does::ChooseRoute if is_headscale => Some(format!(
            "on the host of Headscale: `headscale nodes list`, then `headscale nodes delete \
             --identifier ID` for those called `{name}` and `{own}`"
        )),
        Does::ChooseRoute => Some(format!(
            "in the console, under Machines, remove those called `{name}` and `{own}`"
        )),
        Does::StartNode | Does::SeeRoute | Does::Check => None,
        _ if is_headscale => Some("on the host of Headscale".to_owned()),
        _ => Some("with a key of the API in `TS_API_KEY`".to_owned()),
    }
}

/// How a node of this side is removed by hand.
pub(super) fn commands_of_node(folder: &Path) -> Vec<Vec<String>> {
    let folder = folder.to_string_lossy();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    vec![words(&["pkill", "-f", "--", &folder]), words(&["rm", "-rf", "--", &folder])]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::tailscale::{DataPath, Tag, Tailnet};
    use crate::domain::time::Timestamp;

    pub(in super::super) fn action(does: Does, server: Option<&str>) -> Action {
        Action {
            does,
            tailnet: Tailnet {
                server: server.map(|url| url.parse().unwrap()),
                ..Tailnet::default()
            },
            data_path: DataPath::Node,
            address: "10.1.1.16".parse().unwrap(),
            port: 5432,
            is_shared: false,
            router_tag: Tag::router(),
            operator_tag: Tag::operator(),
            name: "bg-abc567-09090909-691f3d58".to_owned(),
            folder: "/run/bg/ts/09090909".into(),
            needed_until: Timestamp::from_millis(1_763_655_000_000),
        }
    }

    #[test]
    fn no_word_of_a_server_is_read_by_a_shell() {
        let all =
            [Does::RouterKey, Does::OperatorKey, Does::AwaitRouter, Does::Join, Does::ApproveRoute];
        for does in all {
            for server in [None, Some("https://hs.example.com")] {
                for words in commands(&action(does, server)) {
                    let ids: Vec<_> = words.iter().filter(|word| word.contains("{id}")).collect();
                    assert_eq!(ids, ["{id}"], "{words:?}");
                }
            }
        }
        insta::assert_snapshot!(commands(&action(Does::ApproveRoute, None))[0].join(" "), @r#"sh -c printf 'Authorization: Bearer %s\n' "$TS_API_KEY" | curl -fsS -X POST -H @- -H 'Content-Type: application/json' -d '{"routes":[]}' 'https://api.tailscale.com/api/v2/device/'"$1"'/routes' sh {id}"#);
    }

    #[test]
    fn what_no_command_removes_is_said_in_words() {
        let all = [
            Does::EditPolicy,
            Does::ChooseRoute,
            Does::RouterKey,
            Does::AwaitRouter,
            Does::ApproveRoute,
            Does::StartNode,
        ];
        let said = [None, Some("https://hs.example.com")].map(|server| {
            let say = |does| {
                let action = action(does, server);
                let words = in_words(&action, Path::new("/state/policy-files/acme-tailnet"));
                assert!(words.is_some() || !commands(&action).is_empty(), "{does:?}");
                words.unwrap_or_else(|| "-".to_owned())
            };
            all.map(say).join("\n")
        });
        insta::assert_snapshot!(said.join("\n\n"), @r"
        remove the lines with `tag:breakglass-operator` and `tag:breakglass-router` from the policy file; a copy from before lies in `/state/policy-files/acme-tailnet`
        in the console, under Machines, remove those called `bg-abc567-09090909-691f3d58` and `bg-abc567-09090909-691f3d58-op`
        with a key of the API in `TS_API_KEY`
        with a key of the API in `TS_API_KEY`
        with a key of the API in `TS_API_KEY`
        -

        remove the lines with `tag:breakglass-operator` and `tag:breakglass-router` from the policy file; a copy from before lies in `/state/policy-files/acme-tailnet`
        on the host of Headscale: `headscale nodes list`, then `headscale nodes delete --identifier ID` for those called `bg-abc567-09090909-691f3d58` and `bg-abc567-09090909-691f3d58-op`
        on the host of Headscale
        on the host of Headscale
        on the host of Headscale
        -
        ");
    }
}
