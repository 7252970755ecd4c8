//! `breakglass config`, as an operator sees it.

use breakglass::cli::Checked;
use breakglass::error::{Kind, Report};

use crate::cli_fakes::FakeConfig;
use crate::cli_support::{Cli, usual};

fn broken() -> Cli {
    let report = Report::new(Kind::Config, "`duration-mx` is not a key of `[policy]`")
        .because("config.toml, line 2")
        .hint("write `duration-max`");
    usual().config(FakeConfig { checked: Err(report), ..FakeConfig::default() })
}

#[tokio::test]
async fn the_example_is_printed_as_it_is() {
    insta::assert_snapshot!(usual().run(&["config", "example"]).await, @r#"
    exit 0
    out| # What is allowed.
    out| [policy]
    out| duration-max = "4h"
    "#);
    insta::assert_snapshot!(usual().run(&["config", "example", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"config":{"policy":{"duration_max":"4h"}}}
    "#);
}

#[tokio::test]
async fn the_values_that_hold_are_shown_with_their_origin() {
    insta::assert_snapshot!(usual().run(&["config", "show"]).await, @r#"
    exit 0
    out| [policy]
    out| duration-max = "4h"
    "#);
    insta::assert_snapshot!(usual().run(&["config", "show", "--origin"]).await, @r#"
    exit 0
    out| [policy]
    out| duration-max = "4h" # config.toml:2
    "#);
    insta::assert_snapshot!(usual().run(&["config", "show", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"config":{"policy":{"duration_max":"4h"}}}
    "#);
}

#[tokio::test]
async fn check_says_what_the_file_holds() {
    insta::assert_snapshot!(usual().run(&["config", "check"]).await, @"
    exit 0
    out| `/home/ana/.config/breakglass/config.toml` is right: sites 1, targets 2, providers 1
    ");
    insta::assert_snapshot!(usual().run(&["config", "check", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"config":{"path":"/home/ana/.config/breakglass/config.toml","found":true,"sites":1,"targets":2,"providers":1}}
    "#);
    let none = FakeConfig { checked: Ok(Checked::default()), ..FakeConfig::default() };
    insta::assert_snapshot!(usual().config(none).run(&["config", "check"]).await, @"
    exit 0
    out| there is no `/home/ana/.config/breakglass/config.toml`; the defaults hold: the Direct provider, and no target
    ");
}

#[tokio::test]
async fn a_mistake_is_exit_3() {
    insta::assert_snapshot!(broken().run(&["config", "check"]).await, @"
    exit 3
    err| config: `duration-mx` is not a key of `[policy]`
    err|   because: config.toml, line 2
    err|   hint: write `duration-max`
    ");
    insta::assert_snapshot!(broken().run(&["config", "show"]).await, @"
    exit 3
    err| config: `duration-mx` is not a key of `[policy]`
    err|   because: config.toml, line 2
    err|   hint: write `duration-max`
    ");
}

#[tokio::test]
async fn the_path_is_told_whether_or_not_it_is_there() {
    insta::assert_snapshot!(usual().run(&["config", "path"]).await, @"
    exit 0
    out| /home/ana/.config/breakglass/config.toml
    ");
    insta::assert_snapshot!(usual().run(&["config", "path", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"file":{"path":"/home/ana/.config/breakglass/config.toml","exists":false}}
    "#);
    assert_eq!(broken().run(&["config", "path"]).await.code, 0);
    assert_eq!(broken().run(&["config", "example"]).await.code, 0);
}
