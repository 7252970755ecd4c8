//! Everything that could mislead a cut, put together at random: what is put goes without a trace, and
//! what stands around it is kept.

use std::path::Path;

use proptest::prelude::*;

use super::super::identity::lines;
use super::super::{Config, EXAMPLE};
use super::*;
use crate::domain::identity_provider::{BreakGlassMode, IdpKind, IdpSettings};
use crate::domain::provider::{ProviderSettings, ProviderSetup, SshSetup};
use crate::domain::ssh::SshDestination;

/// Parts of a file with everything that could mislead a cut.
const PARTS: [&str; 20] = [
    "[[identity-provider]]\nid = \"@@\"\nkind = \"oidc\"\nissuer = \"https://a\"\nclient-id = \"c\"\n",
    "[[identity-provider]]\r\nid = '@@'#\r\nkind='oidc'\r\nissuer='https://a'\r\nclient-id='c'\r\n",
    "# ours\n  [[identity-provider]] # x\n  id = '@@'\n  # y\n\n  kind = 'entra-id'\n  client-id = '''\nc'''\n  \
     scopes = [\n# [[site]]\n'a', 'b' ]\n  tenant = '8f1c2d3e-4b5a-4c6d-8e7f-0123456789ab'\n",
    "[[identity-provider]]\nid = \"@@\"\nkind = \"oidc\"\nissuer = \"https://a\"\nclient-id = \"c\"\n\
     client-secret = \"vault:idp-@@\"\n",
    "[[site]]\nid = \"@@\"\nproviders = [\n\"direct\",\n]\n",
    "[[target]]\nid = \"@@\"\nkind = \"tcp\"\naddress = \"a:1\"\n",
    "[[site]]\nid = '@@'\nname = \"\"\"\\\n[[identity-provider]] \\\nid = '@@' \\\n# \"\"\"\n",
    "[[site]]\nid = '@@'\nname = '''\n# x'''\n",
    "[[provider]]\nid = \"@@\"\nkind = \"ssh\"\nhost = \"h\"\njump = [\n# [[provider]]\n\"a\",\n]\n",
    "# ours\n  [[provider]]\r\n  id = '@@'#\r\n  kind = 'ssh'\r\n  enabled = false # why\r\n  host = '''\nh'''\n",
    "[[provider]]\nid = \"@@\"\nkind = \"ssh\"\nhost = \"h\"\nkey = \"vault:provider-@@\"\n#port = 22\n",
    "[[site]]\nid = \"@@\"\n[site.launcher]\nkind = \"docker\"\n",
    "[[site]]\nid = \"@@\"\nlauncher = { kind = \"podman\" }\n",
    "[ui]\n#mouse = true\n",
    "# prose\n",
    "#key = 1\n",
    "\n",
    " \t\r\n",
    "#\n",
    EXAMPLE,
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(0..PARTS.len(), 0..9).prop_map(|parts| {
        let named =
            |(number, part): (usize, &usize)| PARTS[*part].replace("@@", &format!("t{number}"));
        parts.iter().enumerate().map(named).collect()
    })
}

fn idp(id: String) -> impl Strategy<Value = IdpSettings> {
    let kind = prop_oneof![
        Just(IdpKind::Oidc { issuer: "https://login.example.com/".into() }),
        Just(IdpKind::EntraId { tenant: "11111111-2222-4333-8444-555555555555".into() }),
    ];
    let lists = (prop::collection::btree_set("[a-z.]{1,9}", 0..3), 0..3_usize);
    (kind, "[ -~]{0,9}[!-~]", any::<bool>(), lists, any::<bool>()).prop_map(
        move |(kind, client_id, has_secret, (scopes, domains), always)| IdpSettings {
            id: id.parse().unwrap(),
            kind,
            client_id: client_id.trim().to_owned(),
            has_secret,
            scopes: scopes.into_iter().filter(|scope| scope != "openid").collect(),
            domains: (0..domains).map(|number| format!("d{number}.example")).collect(),
            break_glass: if always {
                BreakGlassMode::Always
            } else {
                BreakGlassMode::OnlyWhileUnhealthy
            },
        },
    )
}

fn parse(text: &str) -> Result<Config, TestCaseError> {
    let parsed = Config::parse(Path::new("config.toml"), text);
    parsed.map_err(|error| TestCaseError::fail(error.to_string()))
}

fn provider() -> impl Strategy<Value = ProviderSettings> {
    let word = "[a-z][a-z0-9.]{0,9}";
    let optional = (prop::option::of(word), prop::option::of(1..u16::MAX), 0..3_usize);
    (word, optional, any::<[bool; 4]>()).prop_map(
        |(host, (user, port, hops), [has_key, file, enabled, default])| {
            let destination = SshDestination {
                user: user.map(|user| user.parse().unwrap()),
                port,
                jump: (0..hops).map(|hop| format!("u@h{hop}:22").parse().unwrap()).collect(),
                identity_file: file.then(|| "/a \"b\"".into()),
                ..SshDestination::new(host.parse().unwrap())
            };
            let setup = ProviderSetup::Ssh(SshSetup { destination, has_key });
            ProviderSettings { id: "new".parse().unwrap(), setup, enabled, default }
        },
    )
}

/// What stands before the header of an item, and behind the line of its last key.
fn around<'t>(text: &'t str, list: &str, id: &str) -> (&'t str, &'t str) {
    let root = DeTable::parse(text).unwrap();
    let item = item_of(&root.get_ref()[list], id).unwrap();
    let values = item.get_ref().as_table().unwrap().values();
    let end = values.map(|value| value.span().end).max().unwrap();
    (&text[..item.span().start], &text[lines_of(text, end..end).unwrap().end..])
}

proptest! {
    #[test]
    fn what_was_put_goes_without_a_trace(text in text(), idp in idp("new".into())) {
        prop_assume!(parse(&text).is_ok());
        let with = with_item(&text, IDENTITY_PROVIDER, idp.id.as_str(), &lines(&idp)).unwrap();
        prop_assert!(with.starts_with(&text));
        let read = parse(&with)?;
        prop_assert_eq!(read.identity_providers.last(), Some(&idp));
        prop_assert_eq!(without_item(&with, IDENTITY_PROVIDER, idp.id.as_str()).unwrap(), text);
    }

    #[test]
    fn a_provider_that_was_put_goes_without_a_trace(text in text(), it in provider()) {
        prop_assume!(parse(&text).is_ok());
        let with = with_item(&text, PROVIDER, "new", &lines_of_provider(&it)).unwrap();
        prop_assert!(with.starts_with(&text));
        let read = parse(&with)?;
        prop_assert_eq!(read.providers.last(), Some(&it));
        prop_assert_eq!(without_provider(&with, "new").unwrap(), text);
    }

    #[test]
    fn what_stands_around_a_provider_is_kept(
        text in text(),
        mut it in provider(),
        at in 0_usize..9,
    ) {
        let before = parse(&text);
        prop_assume!(before.as_ref().is_ok_and(|it| it.providers.len() > 1));
        let before = before?;
        let places: Vec<_> = (0..before.providers.len())
            .filter(|at| before.providers[*at].id.as_str() != DIRECT)
            .collect();
        let at = places[at % places.len()];
        it.id = before.providers[at].id.clone();
        let around_it = around(&text, PROVIDER, it.id.as_str());
        let mut wanted = before.clone();
        wanted.providers[at] = it.clone();
        let put = with_item(&text, PROVIDER, it.id.as_str(), &lines_of_provider(&it)).unwrap();
        prop_assert_eq!(parse(&put)?, wanted);
        prop_assert_eq!(around(&put, PROVIDER, it.id.as_str()), around_it);
        let mut wanted = before;
        wanted.providers.remove(at);
        prop_assert_eq!(parse(&without_provider(&text, it.id.as_str()).unwrap())?, wanted);
    }

    #[test]
    fn what_stands_around_it_is_kept(
        text in text(),
        mut idp in idp("new".into()),
        at in 0_usize..9,
    ) {
        let before = parse(&text);
        prop_assume!(before.as_ref().is_ok_and(|it| !it.identity_providers.is_empty()));
        let before = before?;
        let at = at % before.identity_providers.len();
        idp.id = before.identity_providers[at].id.clone();
        let (above, below) = around(&text, IDENTITY_PROVIDER, idp.id.as_str());

        let mut wanted = before.clone();
        wanted.identity_providers[at] = idp.clone();
        let put = with_item(&text, IDENTITY_PROVIDER, idp.id.as_str(), &lines(&idp)).unwrap();
        prop_assert_eq!(parse(&put)?, wanted);
        prop_assert_eq!(around(&put, IDENTITY_PROVIDER, idp.id.as_str()), (above, below));

        let mut wanted = before;
        wanted.identity_providers.remove(at);
        let removed = without_item(&text, IDENTITY_PROVIDER, idp.id.as_str()).unwrap();
        prop_assert_eq!(parse(&removed)?, wanted);
        let kept = removed.strip_suffix(below);
        let gone = kept.and_then(|kept| above.strip_prefix(kept));
        prop_assert!(gone.is_some_and(|gone| gone.lines().all(|it| it.trim().is_empty() || is_prose(it))));
    }
}
