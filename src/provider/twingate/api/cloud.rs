//! Where networks are, and where an answer may lead.
//!
//! A network is at `https://{network}.twingate.com`. A `HEAD` of its API may be answered 308 with the
//! host of its region, `https://{network}.{region}.twingate.com`, which is throttled less
//! (<https://github.com/Twingate/terraform-provider-twingate/issues/882>). The key goes to no other
//! place.

use url::Url;

use super::trouble::Trouble;
use crate::domain::text;
use crate::domain::twingate::{DOMAIN, NetworkName};
use crate::http;

/// Where networks are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cloud {
    /// At the vendor's: `https://{network}.twingate.com`.
    #[default]
    Vendor,
    /// All at one place on this host's loopback: that of a test.
    At(Url),
}

impl Cloud {
    /// The name by which the budget and the errors of a network call it.
    pub(super) fn server(&self, network: &NetworkName) -> String {
        match self {
            Self::Vendor => network.host(),
            Self::At(url) => text::shown(&url.origin().ascii_serialization()),
        }
    }

    /// The address of a network.
    ///
    /// # Errors
    ///
    /// When it is none to which a key may be sent.
    pub(super) fn origin(&self, network: &NetworkName) -> Result<Url, Trouble> {
        let url = match self {
            Self::Vendor => Url::parse(&format!("https://{}/", network.host())).ok(),
            Self::At(url) => Some(url.clone()).filter(http::is_loopback),
        };
        let no_place = || Trouble::Unreachable {
            why: format!("`{}` is no place to which a key may be sent", self.server(network)),
            passing: false,
        };
        url.ok_or_else(no_place)
    }

    /// Where the calls go after the network's own address led to `to`: there, where that is the
    /// network in a region; else where they went before.
    ///
    /// # Errors
    ///
    /// When it leads to a stranger.
    pub(super) fn region(
        &self,
        network: &NetworkName,
        apex: &Url,
        status: u16,
        to: &Url,
    ) -> Result<Url, Trouble> {
        if same_place(apex, to) {
            return Ok(apex.clone());
        }
        if !self.owns(to) {
            let shown = text::shown(&format!("{}{}", to.origin().ascii_serialization(), to.path()));
            let why = format!(
                "`{}` leads to `{shown}`, which is no place of Twingate; the key was not sent \
                 there; see whether a proxy or a network that wants a sign-in stands between",
                text::shown(&apex.origin().ascii_serialization()),
            );
            return Err(Trouble::Unreachable { why, passing: false });
        }
        let is_its = *self != Self::Vendor
            || to.host_str().is_some_and(|host| host.starts_with(&format!("{network}.")));
        if status != PERMANENT_REDIRECT || !is_its {
            return Ok(apex.clone());
        }
        let mut origin = to.clone();
        origin.set_path("/");
        origin.set_query(None);
        origin.set_fragment(None);
        Ok(origin)
    }

    fn owns(&self, to: &Url) -> bool {
        let nobody = to.username().is_empty() && to.password().is_none();
        match self {
            Self::Vendor => {
                let host = to.host_str().unwrap_or_default();
                let below = host.strip_suffix(DOMAIN).is_some_and(|label| !label.is_empty());
                nobody && to.scheme() == "https" && to.port().is_none() && below
            }
            Self::At(_) => nobody && http::is_loopback(to),
        }
    }
}

fn same_place(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin() && other.username().is_empty() && other.password().is_none()
}

/// RFC 9110, section 15.4.9.
const PERMANENT_REDIRECT: u16 = 308;

#[cfg(test)]
mod tests {
    use super::*;

    fn led(cloud: &Cloud, status: u16, to: &str) -> String {
        let network = "acme".parse().unwrap();
        let apex = cloud.origin(&network).unwrap();
        match cloud.region(&network, &apex, status, &apex.join(to).unwrap()) {
            Ok(url) => url.to_string(),
            Err(why) => format!("no: {why}"),
        }
    }

    #[test]
    fn only_a_region_of_the_vendor_takes_the_place_of_a_network() {
        let led = |status, to| led(&Cloud::Vendor, status, to);
        let apex = "https://acme.twingate.com/";
        assert_eq!(led(308, "https://acme.us1.twingate.com"), "https://acme.us1.twingate.com/");
        let deep = "https://acme.eu2.twingate.com:443/api/graphql/?x=1#y";
        assert_eq!(led(308, deep), "https://acme.eu2.twingate.com/");
        for (status, to) in [
            (302, "/login"),
            (308, "/api/"),
            (302, "https://acme.us1.twingate.com/"),
            (301, "https://auth.twingate.com/login"),
            (308, "https://other.us1.twingate.com/"),
            (308, "https://acme2.us1.twingate.com/"),
        ] {
            assert_eq!(led(status, to), apex, "{status} {to}");
        }
        let strangers = [
            "https://acme.twingate.com.evil.example/",
            "https://eviltwingate.com/",
            "https://.twingate.com/",
            "http://acme.us1.twingate.com/",
            "https://acme.us1.twingate.com:8443/",
            "https://ana:secret@acme.us1.twingate.com/",
            "https://ana@acme.twingate.com/",
            "http://127.0.0.1/",
            "http://portal.hotel.example/login?back=1",
        ];
        for to in strangers {
            for status in [302, 308] {
                let said = led(status, to);
                assert!(said.starts_with("no: ") && !said.contains("secret"), "{to}: {said}");
            }
        }
        insta::assert_snapshot!(
            led(302, "http://portal.hotel.example/login?back=1"),
            @"no: `https://acme.twingate.com` leads to `http://portal.hotel.example/login`, which is no place of Twingate; the key was not sent there; see whether a proxy or a network that wants a sign-in stands between"
        );
    }

    #[test]
    fn a_place_of_a_test_is_on_loopback_and_leads_there_only() {
        let cloud = Cloud::At(Url::parse("http://127.0.0.1:4000").unwrap());
        assert_eq!(led(&cloud, 308, "http://localhost:4001/x"), "http://localhost:4001/");
        assert!(led(&cloud, 308, "https://acme.us1.twingate.com/").starts_with("no: "));
        let abroad = Cloud::At(Url::parse("https://example.com").unwrap());
        assert!(abroad.origin(&"acme".parse().unwrap()).is_err());
    }
}
