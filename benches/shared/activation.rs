//! How long a session takes to open beside the longest chain of calls that depend on each other.

use std::sync::Arc;

use breakglass::domain::artifact::Artifact;
use breakglass::session::{Applied, PlannedStep};
use tokio::task::JoinSet;

use super::support::leaves_nothing::Carries;

/// A session of a test, step by step.
pub trait Opens: Carries + 'static {
    fn plan(&self) -> Vec<PlannedStep>;
    fn note(&self, number: usize, artifact: Option<Artifact>);
}

/// Makes the steps as a session does: each as soon as all that it needs are made.
pub async fn open(played: &Arc<impl Opens>) -> Result<(), String> {
    let plan = played.plan();
    let mut begun = vec![false; plan.len()];
    let mut made = vec![false; plan.len()];
    let mut under_way = JoinSet::new();
    loop {
        for (number, step) in plan.iter().enumerate() {
            let is_made = |needed: &usize| made.get(*needed) == Some(&true);
            let Some(begun) = begun.get_mut(number) else { continue };
            if !*begun && step.needs.iter().all(is_made) {
                *begun = true;
                let (played, step) = (Arc::clone(played), step.clone());
                under_way.spawn(async move { (number, make(&*played, number, &step).await) });
            }
        }
        let Some(done) = under_way.join_next().await else { return Ok(()) };
        let (number, outcome) = done.map_err(|error| error.to_string())?;
        outcome?;
        if let Some(made) = made.get_mut(number) {
            *made = true;
        }
    }
}

/// How many calls the longest chain has, counted as the steps are made one after another.
pub async fn longest(played: &impl Opens, calls: impl Fn() -> usize) -> Result<usize, String> {
    let mut chains: Vec<usize> = vec![];
    for (number, step) in played.plan().iter().enumerate() {
        let before = calls();
        make(played, number, step).await?;
        let needed = step.needs.iter().filter_map(|needed| chains.get(*needed));
        chains.push(needed.max().unwrap_or(&0) + calls() - before);
    }
    Ok(chains.into_iter().max().unwrap_or_default())
}

async fn make(played: &impl Opens, number: usize, step: &PlannedStep) -> Result<(), String> {
    match played.apply(step).await {
        Applied::Applied(artifact) => {
            played.note(number, artifact);
            Ok(())
        }
        other => Err(format!("`{}`: {other:?}", step.label)),
    }
}
