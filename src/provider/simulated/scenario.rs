//! The world of `breakglass demo`: made-up customers, their targets, and what works there.
//!
//! Two customers use the same private range; one provider is down and one is switched off; and the
//! targets whose names say so have weather: a removal that gets stuck, a route that is refused, an
//! answer that never comes, a path that drops.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::flavour::Flavour;
use super::part::Part;
use super::targets::Targets;
use super::weather::{Landing, Weather};
use super::world::{Pace, World};
use super::{Services, Simulated};
use crate::domain::catalogue::Catalogue;
use crate::domain::provider::Health;
use crate::domain::site::Site;
use crate::domain::target::TargetKind::{
    self, Http, Https, Kubernetes, Mongodb, Mysql, Postgres, Redis, Ssh, Tcp,
};
use crate::domain::target::{Address, Listen, Reachability, Target};
use crate::provider::Provider;

/// The world of a drill, with everything that runs in it. Dropping it ends its targets.
pub struct Scenario {
    /// The sites and targets.
    pub catalogue: Catalogue,
    /// The providers besides Direct, in order.
    pub providers: Vec<Offer>,
    /// The remote side.
    pub world: Arc<World>,
    _targets: Targets,
}

/// A provider as the drill offers it.
pub struct Offer {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether it serves private targets that belong to no site.
    pub default: bool,
}

impl Scenario {
    /// Makes the world in a directory and starts its targets.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written, a port cannot be had, or a line of the tables below is
    /// wrong.
    pub async fn start(dir: &Path, seed: u64, pace: Pace) -> io::Result<Self> {
        let world = Arc::new(World::open(dir, seed, pace)?);
        let mut catalogue = Catalogue::default();
        for line in SITES {
            let site = line.site().map_err(io::Error::other)?;
            catalogue.sites.insert(site.id.clone(), site);
        }
        let mut targets = Targets::default();
        let mut services = Services::new();
        for line in TARGETS {
            let behind = targets.start(line.kind, line.name).await?;
            let mut target = line.target().map_err(io::Error::other)?;
            if line.address.is_empty() {
                target.address =
                    Address::new("127.0.0.1", behind.port()).map_err(io::Error::other)?;
            }
            if line.weather != Weather::Calm {
                world.set_weather(Some(&target.id), line.weather)?;
            }
            services.insert(target.id.clone(), behind);
            catalogue.targets.insert(target.id.clone(), target);
        }
        let providers = providers(&world, &Arc::new(services)).map_err(io::Error::other)?;
        Ok(Self { catalogue, providers, world, _targets: targets })
    }
}

type Mistake = Box<dyn std::error::Error + Send + Sync>;

fn providers(world: &Arc<World>, services: &Arc<Services>) -> Result<Vec<Offer>, Mistake> {
    let down = "503 from the control server: its database is locked";
    let offers = [
        ("tailnet", Flavour::Tailscale, Health::Healthy, true),
        ("twingate", Flavour::Twingate, Health::Healthy, true),
        ("headscale", Flavour::Headscale, Health::Down { why: down.to_owned() }, true),
        ("spare-tailnet", Flavour::Tailscale, Health::Healthy, false),
    ];
    let offer = |(id, flavour, standing, enabled): (&str, _, _, _)| {
        let (world, services) = (Arc::clone(world), Arc::clone(services));
        let provider = Simulated::new(id.parse()?, flavour, world, services).standing(standing);
        Ok(Offer { provider: Arc::new(provider), enabled, default: id == "tailnet" })
    };
    offers.into_iter().map(offer).collect()
}

struct SiteLine {
    id: &'static str,
    name: &'static str,
    range: &'static str,
    providers: &'static [&'static str],
}

impl SiteLine {
    fn site(&self) -> Result<Site, Mistake> {
        let providers = self.providers.iter().map(|id| id.parse()).collect::<Result<_, _>>()?;
        let (id, name) = (self.id.parse()?, self.name.to_owned());
        let private_ranges = vec![self.range.parse()?];
        Ok(Site { id, name, private_ranges, providers, launcher: None })
    }
}

const SITES: &[SiteLine] = &[
    SiteLine {
        id: "harbour",
        name: "Harbour Bank",
        range: "10.20.0.0/16",
        providers: &["tailnet", "twingate"],
    },
    SiteLine {
        id: "lumen",
        name: "Lumen Power",
        // The same as Harbour's: the two must never meet in one tailnet.
        range: "10.20.0.0/16",
        providers: &["tailnet"],
    },
    SiteLine {
        id: "northwind",
        name: "Northwind Foods",
        range: "10.40.0.0/16",
        providers: &["twingate", "tailnet"],
    },
    SiteLine {
        id: "meridian",
        name: "Meridian Health",
        range: "172.22.0.0/16",
        providers: &["headscale", "twingate"],
    },
    SiteLine {
        id: "orchard",
        name: "Orchard Robotics",
        range: "192.168.40.0/24",
        providers: &["headscale", "spare-tailnet"],
    },
];

struct TargetLine {
    id: &'static str,
    name: &'static str,
    site: &'static str,
    kind: TargetKind,
    /// Empty for one that is reached directly, wherever its service listens.
    address: &'static str,
    weather: Weather,
}

impl TargetLine {
    fn target(&self) -> Result<Target, Mistake> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let user = match self.kind {
            TargetKind::Postgres | TargetKind::Mysql => "oncall",
            TargetKind::Ssh => "ops",
            _ => "",
        };
        let database = match self.kind {
            TargetKind::Postgres | TargetKind::Mysql | TargetKind::Mongodb => "main",
            _ => "",
        };
        let address = if self.address.is_empty() { "127.0.0.1:1" } else { self.address };
        Ok(Target {
            id: self.id.parse()?,
            name: self.name.to_owned(),
            site: text(self.site).map(TryInto::try_into).transpose()?,
            kind: self.kind,
            address: address.parse()?,
            // No packet leaves this host: what has an address elsewhere is never tried directly.
            reachability: match self.address {
                "" => Reachability::Auto,
                _ => Reachability::Private,
            },
            user: text(user),
            database: text(database),
            listen: Listen::Loopback { port: None },
            idle: None,
            duration_max: None,
        })
    }
}

const fn calm(
    id: &'static str,
    name: &'static str,
    site: &'static str,
    kind: TargetKind,
    address: &'static str,
) -> TargetLine {
    TargetLine { id, name, site, kind, address, weather: Weather::Calm }
}

const fn under(weather: Weather, line: TargetLine) -> TargetLine {
    TargetLine { weather, ..line }
}

const TARGETS: &[TargetLine] = &[
    calm("harbour-ledger-db", "Ledger database", "harbour", Postgres, "10.20.0.7:5432"),
    calm("harbour-payments", "Payments status", "harbour", Http, "10.20.0.20:8080"),
    calm("harbour-sessions", "Session cache", "harbour", Redis, "10.20.0.31:6379"),
    calm("harbour-bastion", "Bastion host", "harbour", Ssh, "10.20.0.4:22"),
    calm("harbour-cluster", "Production cluster", "harbour", Kubernetes, "10.20.0.10:6443"),
    under(
        Weather::Stuck(Part::Device),
        calm("stubborn-vault", "Vault, removal sticks", "harbour", Http, "10.20.0.50:8200"),
    ),
    under(
        Weather::Flaky,
        calm("flaky-cache", "Cache, flaky API", "harbour", Redis, "10.20.0.32:6379"),
    ),
    calm("lumen-meter-db", "Meters, Harbour's address", "lumen", Postgres, "10.20.0.7:5432"),
    calm("lumen-grid-console", "Grid console", "lumen", Https, "10.20.3.15:443"),
    under(
        Weather::Refuses(Part::Route),
        calm("guarded-substation", "Substation, route refused", "lumen", Tcp, "10.20.9.2:502"),
    ),
    under(
        Weather::Slow,
        calm("slow-telemetry", "Telemetry, slow API", "lumen", Mongodb, "10.20.3.40:27017"),
    ),
    under(
        Weather::Drops(Part::Device),
        calm("restless-turbine", "Turbine, path drops", "lumen", Tcp, "10.20.3.60:502"),
    ),
    calm("northwind-orders-db", "Orders database", "northwind", Mysql, "10.40.1.5:3306"),
    calm("northwind-shop", "Shop front", "northwind", Http, "10.40.1.80:80"),
    calm("northwind-jobs", "Job queue", "northwind", Redis, "10.40.1.33:6379"),
    calm("northwind-edge", "Edge gateway", "northwind", Https, "10.40.0.2:443"),
    under(
        Weather::Silent(Part::Connector, Landing::Never),
        calm("lost-warehouse", "Warehouse, a call is lost", "northwind", Ssh, "10.40.2.22:22"),
    ),
    under(
        Weather::Silent(Part::Resource, Landing::Late),
        calm(
            "late-invoices",
            "Invoices, a call lands late",
            "northwind",
            Postgres,
            "10.40.1.9:5432",
        ),
    ),
    under(
        Weather::Silent(Part::RemoteNetwork, Landing::Lands),
        calm("silent-reports", "Reports, a call times out", "northwind", Mysql, "10.40.1.12:3306"),
    ),
    calm("meridian-records-db", "Patient records", "meridian", Postgres, "172.22.5.10:5432"),
    calm("meridian-imaging", "Imaging archive", "meridian", Tcp, "172.22.5.44:104"),
    calm("meridian-cluster", "Ward cluster", "meridian", Kubernetes, "172.22.1.10:6443"),
    calm("orchard-arm", "Arm controller", "orchard", Tcp, "192.168.40.17:4840"),
    calm("orchard-vision", "Vision dashboard", "orchard", Http, "192.168.40.30:8080"),
    calm("build-cache", "Build cache, no site", "", Redis, "10.90.0.6:6379"),
    calm("status-page", "Our own status page", "", Http, ""),
    calm("runbooks", "Runbooks", "", Http, ""),
    calm("paging-echo", "Paging gateway", "", Tcp, ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_tables_are_right_and_every_weather_is_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let scenario = Scenario::start(dir.path(), 1, Pace::LIFELIKE).await.unwrap();
        let catalogue = &scenario.catalogue;
        assert_eq!((catalogue.sites.len(), catalogue.targets.len()), (SITES.len(), TARGETS.len()));
        for line in TARGETS {
            let target = &catalogue.targets[&line.id.parse().unwrap()];
            assert_eq!(scenario.world.weather(&target.id), line.weather, "{}", line.id);
            let Some(site) = &target.site else { continue };
            let site = &catalogue.sites[site];
            let inside = target.address.ip().is_some_and(|ip| site.private_ranges[0].contains(ip));
            assert!(inside, "{}: its address belongs to its site", line.id);
        }
        for kind in TargetKind::ALL {
            assert!(TARGETS.iter().any(|line| line.kind == kind), "{kind}");
        }
        let known: Vec<_> = scenario.providers.iter().map(|it| it.provider.id().clone()).collect();
        let named = catalogue.sites.values().flat_map(|site| &site.providers);
        assert!(named.into_iter().all(|id| known.contains(id)));
    }
}
