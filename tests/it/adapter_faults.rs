//! Whatever a remote side does, nothing is left behind: the suite that every adapter passes, tried
//! here with a small adapter over the program's own HTTP client.

use async_trait::async_trait;
use breakglass::domain::artifact::Artifact;
use breakglass::domain::time::Span;
use breakglass::http::{Answer, Http, HttpError, Limits, Request, Trust};
use breakglass::session::{Applied, Looked, PlannedStep, Undone};
use serde_json::Value;

use crate::support::faulty_server::FaultyServer;
use crate::support::leaves_nothing::{Carries, EVERY, Fixture, assert_leaves_nothing_behind};
use crate::support::plans::{SETTLE, check, step};
use crate::support::shelf::Shelf;

/// Puts things on the shelf and takes them away.
struct Shelves {
    http: Http,
    url: String,
}

impl Shelves {
    fn new(url: &str) -> Self {
        let limits =
            Limits { total: Span::from_millis(150), bytes_max: 100_000, ..Limits::default() };
        Self { http: Http::new(Trust::default(), limits), url: url.to_owned() }
    }

    async fn send(&self, method: &str, name: &str) -> Result<Answer, HttpError> {
        let method = method.parse().unwrap();
        self.http.send(Request::new(method, format!("{}/things/{name}", self.url))).await
    }
}

#[async_trait]
impl Carries for Shelves {
    async fn apply(&self, step: &PlannedStep) -> Applied {
        let Some(name) = &step.leaves else { return Applied::Applied(None) };
        match self.send("PUT", name).await {
            Ok(answer) if answer.status == 201 && answer.json::<Value>().is_ok() => {
                Applied::Applied(Some(artifact(name)))
            }
            Ok(answer) if (400..500).contains(&answer.status) => {
                Applied::Refused(answer.refusal().to_string())
            }
            Ok(answer) => Applied::Unknown(format!("status {}", answer.status)),
            Err(error) => Applied::Unknown(error.to_string()),
        }
    }

    async fn look(&self, step: &PlannedStep, _: Option<&Artifact>) -> Looked {
        let Some(name) = &step.leaves else { return Looked::Absent };
        let listed = self.send("GET", "").await.and_then(Answer::success);
        let listed = listed.and_then(|answer| answer.json::<Value>());
        match listed {
            Ok(listed) => match listed["things"].as_array() {
                Some(things) if things.iter().any(|thing| thing == name.as_str()) => {
                    Looked::Found(artifact(name))
                }
                Some(_) => Looked::Absent,
                None => Looked::Unclear("no list".to_owned()),
            },
            Err(error) => Looked::Unclear(error.to_string()),
        }
    }

    async fn undo(&self, step: &PlannedStep, _: Option<&Artifact>) -> Undone {
        let Some(name) = &step.leaves else { return Undone::Sent };
        match self.send("DELETE", name).await {
            Ok(answer) if answer.is_success() || answer.status == 404 => Undone::Sent,
            Ok(answer) => Undone::Problem(answer.refusal().to_string()),
            Err(error) => Undone::Problem(error.to_string()),
        }
    }
}

fn artifact(name: &str) -> Artifact {
    Artifact { kind: name.to_owned(), name: name.to_owned(), details: Value::Null }
}

fn plan() -> Vec<PlannedStep> {
    let step = |what: &str, needs: &[usize]| PlannedStep { settle: SETTLE, ..step(what, needs) };
    vec![check(&[]), step("key", &[0]), step("router", &[1]), check(&[2])]
}

#[tokio::test]
async fn nothing_is_left_on_a_shelf_whatever_goes_wrong() {
    let fresh = || async {
        let server = FaultyServer::start(Box::<Shelf>::default()).await;
        let carrier = Box::new(Shelves::new(&server.url));
        Fixture { far: Box::new(server), carrier, plan: plan() }
    };
    let walks = assert_leaves_nothing_behind("shelves", fresh, EVERY).await;
    assert!(walks > 150, "only {walks} walks");
}

/// One that believes every answer: it shows that the suite sees what is left.
struct Believes(Shelves);

#[async_trait]
impl Carries for Believes {
    async fn apply(&self, step: &PlannedStep) -> Applied {
        match self.0.apply(step).await {
            Applied::Unknown(why) => Applied::Refused(why),
            known => known,
        }
    }

    async fn look(&self, step: &PlannedStep, known: Option<&Artifact>) -> Looked {
        self.0.look(step, known).await
    }

    async fn undo(&self, step: &PlannedStep, known: Option<&Artifact>) -> Undone {
        self.0.undo(step, known).await
    }
}

#[tokio::test]
#[should_panic(expected = "something is left")]
async fn an_adapter_that_takes_silence_for_a_refusal_is_found_out() {
    let fresh = || async {
        let server = FaultyServer::start(Box::<Shelf>::default()).await;
        let carrier = Box::new(Believes(Shelves::new(&server.url)));
        Fixture { far: Box::new(server), carrier, plan: plan() }
    };
    assert_leaves_nothing_behind("one that believes", fresh, EVERY).await;
}
