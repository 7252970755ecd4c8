//! Which certificates are believed.
//!
//! Verification itself is that of rustls and webpki, untouched; all that is added is the name of
//! the authority that nobody here knows, which an operator needs and the library does not tell.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use super::certificate::issuer;
use super::{HttpError, Trust};

/// That nobody here knows the authority which issued a certificate.
#[derive(Debug, thiserror::Error)]
#[error("the certificate was issued by an authority that is not known here")]
pub(super) struct UnknownCa {
    /// The authority, as the certificate names it; clean text.
    pub(super) issuer: Option<String>,
}

/// Returns how TLS is spoken.
pub(super) fn settings(trust: &Trust) -> Result<ClientConfig, HttpError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Naming {
        inner: WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots(trust)?),
            Arc::clone(&provider),
        )
        .build()
        .map_err(|_| HttpError::Setup)?,
    };
    let mut settings = builder(provider)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(settings)
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder(provider: Arc<CryptoProvider>) -> Result<Builder, HttpError> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| HttpError::Setup)
}

fn roots(trust: &Trust) -> Result<RootCertStore, HttpError> {
    use rustls_native_certs::ErrorKind::Io;
    use std::io::ErrorKind::NotFound;

    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    // A store that cannot be read is no reason to give up: the roots above are there.
    let of_host = if trust.use_environment {
        rustls_native_certs::load_native_certs()
    } else {
        rustls_native_certs::load_certs_from_paths(host_file().as_deref(), None)
    };
    roots.add_parsable_certificates(of_host.certs);
    if let Some(file) = &trust.ca_file {
        let wrong = |why: &str| HttpError::CaFile { path: file.clone(), why: why.to_owned() };
        let further = certificates(file);
        if let Some(error) = further.errors.first() {
            let why = match &error.kind {
                Io { inner, .. } if inner.kind() == NotFound => "does not exist".to_owned(),
                Io { inner, .. } => format!("cannot be read: {}", inner.kind()),
                _ => "is not a file of certificates in PEM".to_owned(),
            };
            return Err(wrong(&why));
        }
        let (added, _) = roots.add_parsable_certificates(further.certs);
        if added == 0 {
            return Err(wrong("holds no certificate"));
        }
    }
    Ok(roots)
}

fn certificates(file: &Path) -> rustls_native_certs::CertificateResult {
    rustls_native_certs::load_certs_from_paths(Some(file), None)
}

/// Where this host keeps the authorities that it trusts, without a look at the environment.
fn host_file() -> Option<PathBuf> {
    HOST_FILES.iter().map(PathBuf::from).find(|file| file.is_file())
}

/// Debian, Red Hat, SUSE, Alpine.
const HOST_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Says which authority is unknown; decides nothing.
#[derive(Debug)]
struct Naming {
    inner: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Naming {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                let last = intermediates.last().unwrap_or(end_entity);
                let unknown = UnknownCa { issuer: issuer(last) };
                Err(CertificateError::Other(OtherError(Arc::new(unknown))).into())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
