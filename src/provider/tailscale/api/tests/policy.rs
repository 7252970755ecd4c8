//! The policy file: never over somebody else's, never without its comments.

use super::*;
use crate::provider::tailscale::api::{Change, Verdict};

const TEXT: &str = "// ours\n{\"acls\": [], /* trailing */}\n";

#[tokio::test]
async fn a_policy_keeps_its_comments_both_ways_and_goes_over_what_was_read_only() {
    let server = Server::start().await;
    server.on(&format!("GET {ACL}"), [ok(TEXT).with("etag", "\"e1\"")]);
    server.on(&format!("POST {ACL}"), [ok("// new\n{}").with("etag", "\"e2\"")]);
    let control = tailnet(&server);
    let policy = control.policy().await.unwrap();
    assert_eq!((policy.text.as_str(), policy.etag.as_str(), policy.guarded), (TEXT, "e1", true));
    assert_eq!(server.last().header("accept"), "application/hujson");
    let Change::Made(new) = control.put_policy("// new\n{}", &policy.etag).await else { panic!() };
    assert_eq!((new.text.as_str(), new.etag.as_str()), ("// new\n{}", "e2"));
    let sent = server.last();
    let headers = ["if-match", "content-type", "accept"].map(|name| sent.header(name));
    assert_eq!(headers, ["\"e1\"", "application/hujson", "application/hujson"]);
    assert_eq!(sent.body, "// new\n{}");
}

#[tokio::test]
async fn somebody_elses_edit_is_a_conflict_and_a_lost_answer_is_not_repeated() {
    let server = Server::start().await;
    let control = tailnet(&server);
    let stale = says(412, r#"{"message":"precondition failed, invalid old hash"}"#);
    server.on(&format!("POST {ACL}"), [stale]);
    assert_eq!(control.put_policy("{}", "e1").await, Change::Refused(Trouble::Conflict));
    server.on(&format!("POST {ACL}"), [says(502, "<html>")]);
    assert!(matches!(control.put_policy("{}", "e1").await, Change::Unknown(_)));
    let invalid = r#"{"message":"test(s) failed","data":[{"user":"a@x","errors":["got: Drop"]}]}"#;
    server.on(&format!("POST {ACL}"), [says(400, invalid)]);
    let Change::Refused(why) = control.put_policy("{}", "e1").await else { panic!() };
    insta::assert_snapshot!(server.hidden(why), @"`SERVER` refused to write the policy file: test(s) failed; a@x: got: Drop");
    assert_eq!(server.lines().len(), 3);
    for blind in ["", "\"\""] {
        assert_eq!(control.put_policy("{}", blind).await, Change::Refused(Trouble::Conflict));
    }
    assert_eq!(server.lines().len(), 3, "nothing is written without a tag");
}

#[tokio::test]
async fn a_server_without_tags_is_compared_with_right_before() {
    let server = Server::start().await;
    server.on(&format!("GET {ACL}"), [ok(TEXT), ok(TEXT), ok("{\"theirs\":1}")]);
    server.on(&format!("POST {ACL}"), [ok("")]);
    let control = tailnet(&server);
    let policy = control.policy().await.unwrap();
    assert!(!policy.guarded);
    let Change::Made(read_again) = control.put_policy("{}", &policy.etag).await else { panic!() };
    assert_eq!(read_again.text, "{\"theirs\":1}", "what is in force now");
    let written = server.seen().into_iter().find(|seen| seen.line == format!("POST {ACL}"));
    assert_eq!(written.unwrap().header("if-match"), "", "a tag of our own means nothing there");
    let outcome = control.put_policy("{}", &policy.etag).await;
    assert_eq!(outcome, Change::Refused(Trouble::Conflict));
}

#[tokio::test]
async fn a_verdict_of_200_may_be_a_bad_one() {
    let server = Server::start().await;
    let control = tailnet(&server);
    let list = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (answer, errors, warnings) in [
        (ok(""), list(&[]), list(&[])),
        (ok("{}"), list(&[]), list(&[])),
        (
            ok(r#"{"message":"test(s) failed","data":[{"user":"a@x","errors":["no"]}]}"#),
            list(&["a@x: no"]),
            list(&[]),
        ),
        (
            ok(r#"{"message":"warning(s) found","data":[{"user":"group:g","warnings":["odd"]}]}"#),
            list(&[]),
            list(&["group:g: odd"]),
        ),
        (ok(r#"{"message":"tag not found","data":null}"#), list(&["tag not found"]), list(&[])),
        (ok(r#"{"message":"warning(s) found"}"#), list(&[]), list(&["warning(s) found"])),
        (says(400, r#"{"message":"line 1"}"#), list(&["line 1"]), list(&[])),
    ] {
        server.on(&format!("POST {ACL}/validate"), [answer]);
        let verdict = control.validate_policy(TEXT).await.unwrap();
        assert_eq!(verdict, Verdict { errors: errors.clone(), warnings });
        assert_eq!(verdict.is_good(), errors.is_empty());
    }
    assert_eq!(server.last().header("content-type"), "application/hujson");
    server.on(&format!("POST {ACL}/validate"), [says(404, "404 page not found")]);
    let why = control.validate_policy(TEXT).await.unwrap_err();
    assert!(matches!(why, Trouble::NotOffered { .. }), "{why}");
}

#[tokio::test]
async fn a_comment_in_the_first_line_is_blanked_where_the_server_stumbles() {
    let server = Server::start().await;
    let trap = r#"{"message":"invalid character '/' looking for beginning of value"}"#;
    server.on(&format!("POST {ACL}/validate"), [says(400, trap), ok("{}")]);
    assert!(tailnet(&server).validate_policy(TEXT).await.unwrap().is_good());
    assert_eq!(server.seen()[0].body, TEXT);
    let blanked = format!("{}\n{{\"acls\": [], {}}}\n", " ".repeat(7), " ".repeat(14));
    assert_eq!(server.last().body, blanked);
}

#[tokio::test]
async fn whether_a_tag_reaches_a_port_is_asked_of_the_policy_in_force() {
    let server = Server::start().await;
    let control = tailnet(&server);
    let (v4, v6) = ("10.0.0.5".parse().unwrap(), "fd7a:115c:a1e0:b1a:0:7:a01:105".parse().unwrap());
    let dropped = r#"{"message":"test(s) failed","data":[{"user":"tag:o","errors":["address \"10.0.0.5:22\": want: Accept, got: Drop"]}]}"#;
    let unknown_tag =
        r#"{"message":"test(s) failed","data":[{"user":"tag:o","errors":["tag not found"]}]}"#;
    for (answer, reaches) in [
        (ok("{}"), Some(true)),
        (ok(dropped), Some(false)),
        (ok(unknown_tag), None),
        (says(404, "{}"), None),
        (says(400, "{}"), None),
    ] {
        server.on(&format!("POST {ACL}/validate"), [answer.clone()]);
        assert_eq!(control.may_reach("tag:o", v4, 22).await.unwrap(), reaches, "{answer:?}");
    }
    assert_eq!(server.last().body, r#"[{"src":"tag:o","proto":"tcp","accept":["10.0.0.5:22"]}]"#);
    control.may_reach("tag:o", v6, 22).await.unwrap();
    assert!(server.last().body.contains("[fd7a:115c:a1e0:b1a:0:7:a01:105]:22"));
    server.on(&format!("POST {ACL}/validate"), [says(403, "{}")]);
    assert!(control.may_reach("tag:o", v4, 22).await.is_err(), "a lack of rights is said");
}
