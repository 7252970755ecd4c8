//! Why nothing came back, in words with which an operator can do something.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use rustls::{CertificateError, InvalidMessage};
use thiserror::Error;

use super::tls::UnknownCa;
use super::{Asked, Limits, NoAddress};
use crate::domain::text;
use crate::domain::time::{Span, Timestamp};

/// Why there is no answer that can be used. Every text in it is clean, and no body is in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HttpError {
    /// Not a URL with a host.
    #[error("`{text}` is no URL; one looks like `https://idp.example.com`")]
    NoUrl {
        /// What was given.
        text: String,
    },
    /// Plain `http` to another host, or something that is not HTTP at all.
    #[error("`{address}` is not https; plain http is accepted on this host's loopback only")]
    NotHttps {
        /// Where it leads.
        address: String,
    },
    /// A URL with a name or password in it, which would end in logs.
    #[error("the URL `{address}` must not hold a user name or password")]
    Userinfo {
        /// Where it leads.
        address: String,
    },
    /// The name has no address.
    #[error("the name `{host}` does not resolve")]
    NoAddress {
        /// The name.
        host: String,
    },
    /// Nobody listens there.
    #[error("`{origin}` refuses connections")]
    Refused {
        /// Where.
        origin: String,
    },
    /// There is no connection for another reason, or it broke.
    #[error("the connection to `{origin}` failed: {why}")]
    Broken {
        /// Where.
        origin: String,
        /// What came of it.
        why: String,
    },
    /// It takes too long.
    #[error("`{origin}` {phase} within {}", Wait(*after))]
    TimedOut {
        /// Where.
        origin: String,
        /// What was waited for.
        phase: Phase,
        /// How long.
        after: Span,
    },
    /// The certificate comes from an authority that is not trusted here.
    #[error(
        "the certificate of `{origin}` was issued by {}, which this host does not trust; \
         if it is right, add that authority to the host's certificates",
        Authority(issuer)
    )]
    UnknownCa {
        /// Where.
        origin: String,
        /// The authority, as the certificate names it.
        issuer: Option<String>,
    },
    /// The certificate is no longer valid, or this host's clock is wrong.
    #[error("the certificate of `{origin}` expired{} by this host's clock", At(*at))]
    CertificateExpired {
        /// Where.
        origin: String,
        /// When.
        at: Option<Timestamp>,
    },
    /// The certificate is not valid yet, or this host's clock is wrong.
    #[error("the certificate of `{origin}` is not valid yet by this host's clock")]
    CertificateEarly {
        /// Where.
        origin: String,
    },
    /// The certificate belongs to somebody else.
    #[error("the certificate of `{origin}` is not for this name but for {}", Names(names))]
    CertificateName {
        /// Where.
        origin: String,
        /// For whom it is.
        names: Vec<String>,
    },
    /// The certificate cannot be used for another reason.
    #[error("the certificate of `{origin}` cannot be trusted: {why}")]
    Certificate {
        /// Where.
        origin: String,
        /// The reason, as the TLS library names it.
        why: String,
    },
    /// What answers there speaks no TLS.
    #[error("`{origin}` does not speak TLS; is it plain http?")]
    NoTls {
        /// Where.
        origin: String,
    },
    /// The answer leads elsewhere.
    #[error("`{address}` redirects to {}; redirects are not followed", Somewhere(to))]
    Redirected {
        /// What was asked.
        address: String,
        /// Where it leads, without a query.
        to: Option<String>,
    },
    /// The answer is too large.
    #[error("the answer of `{address}` is larger than {bytes_max} bytes")]
    TooLarge {
        /// What was asked.
        address: String,
        /// The limit.
        bytes_max: usize,
    },
    /// The answer is an error of the other side.
    #[error("`{address}` answered {status}: {}", Meaning(*status, *retry_after))]
    Status {
        /// What was asked.
        address: String,
        /// The status code.
        status: u16,
        /// How long it wants to be left alone.
        retry_after: Option<Span>,
    },
    /// The answer is not the JSON that was expected.
    #[error(
        "the answer of `{address}` is not the JSON expected of it (line {line}, column {column})"
    )]
    NotJson {
        /// What was asked.
        address: String,
        /// Where in the answer.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// What was to be sent cannot be written in HTTP.
    #[error("the request holds something that HTTP cannot carry, such as a line break in a secret")]
    Unsendable,
    /// The file of certificates cannot be used.
    #[error("the file of certificates `{}` {why}", .path.display())]
    CaFile {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The client itself cannot be made.
    #[error("the HTTP client cannot be set up on this host")]
    Setup,
}

/// What was waited for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The connection.
    Connecting,
    /// The beginning of the answer.
    Waiting,
    /// The rest of the answer.
    Reading,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "took no connection",
            Self::Waiting => "did not answer",
            Self::Reading => "did not finish its answer",
        })
    }
}

/// Says what a failure of the library means.
pub(super) fn of(failed: &reqwest::Error, asked: &Asked, limits: &Limits) -> HttpError {
    let origin = asked.origin.clone();
    if find::<NoAddress>(failed).is_some() {
        return HttpError::NoAddress { host: asked.host.clone() };
    }
    if let Some(wrong) = find::<rustls::Error>(failed) {
        // Once there was a connection, what breaks it says nothing of what was sent before.
        return match of_tls(wrong, origin.clone()) {
            HttpError::NoTls { .. } if !failed.is_connect() => {
                HttpError::Broken { origin, why: text::shown(&wrong.to_string()) }
            }
            told => told,
        };
    }
    if failed.is_timeout() {
        let (phase, after) = if failed.is_connect() {
            (Phase::Connecting, limits.connect.min(limits.total))
        } else {
            (Phase::Waiting, limits.total)
        };
        return HttpError::TimedOut { origin, phase, after };
    }
    let cut = "it sent no whole HTTP answer".to_owned();
    match find::<io::Error>(failed).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => HttpError::Refused { origin },
        Some(io::ErrorKind::UnexpectedEof) => HttpError::Broken { origin, why: cut },
        Some(kind) => HttpError::Broken { origin, why: kind.to_string() },
        None if failed.is_connect() => {
            HttpError::Broken { origin, why: "no connection, or the proxy refused it".into() }
        }
        None => HttpError::Broken { origin, why: cut },
    }
}

fn of_tls(wrong: &rustls::Error, origin: String) -> HttpError {
    use CertificateError as Bad;
    let certificate = match wrong {
        rustls::Error::InvalidCertificate(certificate) => certificate,
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            return HttpError::NoTls { origin };
        }
        other => return HttpError::Broken { origin, why: text::shown(&other.to_string()) },
    };
    let seconds = |at: u64| Timestamp::from_millis(i64::try_from(at).unwrap_or(0) * 1_000);
    match certificate {
        Bad::Expired => HttpError::CertificateExpired { origin, at: None },
        Bad::ExpiredContext { not_after, .. } => {
            HttpError::CertificateExpired { origin, at: Some(seconds(not_after.as_secs())) }
        }
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => HttpError::CertificateEarly { origin },
        Bad::NotValidForName => HttpError::CertificateName { origin, names: vec![] },
        Bad::NotValidForNameContext { presented, .. } => HttpError::CertificateName {
            origin,
            names: presented.iter().take(NAMES_MAX).map(|name| text::shown(&bare(name))).collect(),
        },
        Bad::UnknownIssuer => HttpError::UnknownCa { origin, issuer: None },
        Bad::Other(other) => match other.0.downcast_ref::<UnknownCa>() {
            Some(unknown) => HttpError::UnknownCa { origin, issuer: unknown.issuer.clone() },
            None => HttpError::Certificate { origin, why: text::shown(&other.to_string()) },
        },
        other => HttpError::Certificate { origin, why: text::shown(&other.to_string()) },
    }
}

/// Finds an error of one kind among the causes. What an [`io::Error`] wraps is no cause of it by
/// `source`, so it is looked into as well.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// The name in a certificate without the word that says of which kind it is.
fn bare(name: &str) -> String {
    let inner = name.split_once("(\"").and_then(|(_, rest)| rest.split_once("\")"));
    inner.map_or(name, |(inner, _)| inner).to_owned()
}

struct Wait(Span);

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis.is_multiple_of(1_000) {
            write!(f, "{} s", millis / 1_000)
        } else {
            write!(f, "{millis} ms")
        }
    }
}

struct Authority<'a>(&'a Option<String>);

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(issuer) => write!(f, "`{issuer}`"),
            None => f.write_str("an authority without a name"),
        }
    }
}

struct At(Option<Timestamp>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |at| write!(f, " at {}", at.to_rfc3339()))
    }
}

struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("another");
        }
        let quoted: Vec<_> = self.0.iter().map(|name| format!("`{name}`")).collect();
        f.write_str(&quoted.join(", "))
    }
}

struct Somewhere<'a>(&'a Option<String>);

impl fmt::Display for Somewhere<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(to) => write!(f, "`{to}`"),
            None => f.write_str("nowhere"),
        }
    }
}

struct Meaning(u16, Option<Span>);

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            400 | 422 => "it cannot make sense of the request",
            401 => "it does not accept the credentials",
            403 => "it does not allow this",
            404 | 410 => "there is nothing at this address",
            405 | 501 => "it cannot do this",
            407 => "a proxy wants to know who asks",
            408 | 504 => "it gave up waiting",
            409 => "it is being changed by somebody else",
            429 => "it was asked too often",
            502 | 503 => "it is not available at the moment",
            500..=599 => "it has trouble of its own",
            _ => "this is not an answer that was expected",
        })?;
        self.1.map_or(Ok(()), |wait| write!(f, "; try again in {}", Wait(wait)))
    }
}

/// How many names of a certificate are shown.
const NAMES_MAX: usize = 5;
