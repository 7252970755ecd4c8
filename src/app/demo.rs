//! x
use super::world::World;
use crate::cli::output::Output;
use crate::error::Report;
pub(super) async fn run(_world: &World, _out: Output) -> Result<u8, Report> {
    Err(super::screens::needs_terminal())
}
