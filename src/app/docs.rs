//! The configuration, as far as the command line speaks of it.

use std::path::PathBuf;

use super::world::World;
use crate::cli::{Checked, ConfigDocs};
use crate::config::{self, Config};
use crate::error::Report;

/// The configuration of this process.
pub(super) struct Docs {
    path: PathBuf,
    uid: u32,
}

impl Docs {
    pub fn new(world: &World) -> Self {
        let own = Self { path: world.places.config_file.clone(), uid: world.operator.uid };
        match &world.of_host {
            // What counts is what the host's engine reads, and whether only it or root may write it.
            Some(places) if world.overrides.config_file.is_none() => {
                let owner = config::host_dir(&places.runtime_dir).unwrap_or(own.uid);
                Self { path: places.config_file.clone(), uid: owner }
            }
            _ => own,
        }
    }
}

impl ConfigDocs for Docs {
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    fn example(&self) -> &'static str {
        config::EXAMPLE
    }

    fn show(&self, origin: bool) -> Result<String, Report> {
        config::show(&self.path, self.uid, origin).map_err(|error| error.report())
    }

    fn check(&self) -> Result<Checked, Report> {
        let config = Config::load(&self.path, self.uid).map_err(|error| error.report())?;
        Ok(Checked {
            found: self.path.exists(),
            sites: config.catalogue.sites.len(),
            targets: config.catalogue.targets.len(),
            providers: config.providers.len(),
        })
    }
}
