//! Who issued a certificate, for an error that names the authority.
//!
//! Reads the one field that is wanted out of the DER (X.690) of a certificate (RFC 5280, section
//! 4.1). Whether the certificate is to be believed is decided elsewhere, without this.

use crate::domain::text;

/// Returns the name of the authority: its common name, else its organisation; clean text.
pub(super) fn issuer(certificate: &[u8]) -> Option<String> {
    let mut whole = Der(certificate);
    let mut certificate = Der(whole.take(SEQUENCE)?);
    let mut body = Der(certificate.take(SEQUENCE)?);
    if body.peek() == Some(VERSION) {
        body.take(VERSION)?;
    }
    body.take(INTEGER)?;
    body.take(SEQUENCE)?;
    let name = body.take(SEQUENCE)?;
    let named = attribute(name, COMMON_NAME).or_else(|| attribute(name, ORGANISATION))?;
    Some(text::shown(&String::from_utf8_lossy(named)))
}

/// The value of the first attribute of that kind in a name.
fn attribute<'a>(name: &'a [u8], kind: &[u8]) -> Option<&'a [u8]> {
    let mut name = Der(name);
    while let Some(set) = name.take(SET) {
        let mut pair = Der(Der(set).take(SEQUENCE)?);
        let found = pair.take(OBJECT_ID)? == kind;
        if found {
            return pair.any().map(|(_, value)| value);
        }
    }
    None
}

/// What is left to read.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.peek()? != tag {
            return None;
        }
        self.any().map(|(_, value)| value)
    }

    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            let digits = usize::from(first & 0x7f);
            if digits > 4 {
                return None;
            }
            let (digits, rest) = rest.split_at_checked(digits)?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, value))
    }
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OBJECT_ID: u8 = 0x06;
const VERSION: u8 = 0xa0;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.4.10
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn certificate(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["idp.example.com".into()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn an_authority_is_called_by_its_common_name_or_its_organisation() {
        use DnType::{CommonName, CountryName, OrganizationName};
        let both = [(CountryName, "CH"), (OrganizationName, "Corp"), (CommonName, "Corp Root 1")];
        assert_eq!(issuer(&certificate(&both)).as_deref(), Some("Corp Root 1"));
        assert_eq!(issuer(&certificate(&both[..2])).as_deref(), Some("Corp"));
        assert_eq!(issuer(&certificate(&both[..1])), None);
        let hostile = [(CommonName, "Corp\u{1b}[2J")];
        assert_eq!(issuer(&certificate(&hostile)).as_deref(), Some("Corp<1B>[2J"));
    }

    proptest! {
        #[test]
        fn what_is_broken_has_no_authority_and_does_no_harm(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..400,
        ) {
            issuer(&bytes);
            let whole = certificate(&[(DnType::CommonName, "Corp")]);
            issuer(whole.get(..cut.min(whole.len())).unwrap_or_default());
        }
    }
}
