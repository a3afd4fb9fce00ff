//! One TLS configuration for all outgoing connections: rustls with the trust store of the system.
//!
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's store, as in OpenSSL. Loading the store takes tens
//! of milliseconds, so the store is loaded once at start. All connections share the configuration and so its
//! session cache.
//!
//! A server may present a certificate that is itself in the store. `openssl req -x509` makes such a
//! certificate: a certificate authority, often without the server's name, which rustls does not accept as the
//! certificate of a server. The holder of its key could sign a certificate for any name, so accepting the
//! certificate itself trusts nobody else. An expired certificate is not accepted.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Loads the trust store and builds the configuration.
///
/// # Errors
/// Returns an error if the system has no usable trust store.
pub fn client_config() -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    if CryptoProvider::get_default().is_none() {
        // Two threads may install the provider at the same time (in tests). Both install the same provider.
        drop(Arc::clone(&provider).as_ref().clone().install_default());
    }
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::warn!(%error, "part of the trust store cannot be read");
    }
    let verifier = Verifier::new(loaded.certs, Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Why there is no TLS connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// The certificate is not trusted, or has another name. The text says why.
    Certificate(String),
    /// There is no connection, or the other end speaks no TLS. The text says why.
    Network(String),
}

/// Opens a TLS connection to `address`, a name or an IP address with a port, and closes it.
///
/// # Errors
/// See [`Greeting`].
pub async fn greet(address: &str, tls: &Arc<ClientConfig>) -> Result<(), Greeting> {
    let network = |cause: &dyn ToString| Greeting::Network(cause.to_string());
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|error| network(&error))?;
    let tcp = TcpStream::connect(address).await.map_err(|error| network(&error))?;
    match TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.get_ref().and_then(|cause| cause.downcast_ref()) {
            Some(Error::InvalidCertificate(cause)) => Greeting::Certificate(cause.to_string()),
            _ => network(&error),
        }),
    }
}

/// Verifies the certificate of a server.
#[derive(Debug)]
struct Verifier {
    /// The usual verification: a chain to an authority of the store, the name and the dates.
    chain: Arc<WebPkiServerVerifier>,
    /// The SHA-256 digests of the certificates in the store.
    trusted: HashSet<[u8; 32]>,
}

impl Verifier {
    fn new(store: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let trusted = store.iter().map(digest).collect();
        let mut roots = RootCertStore::empty();
        let (_, ignored) = roots.add_parsable_certificates(store);
        if ignored > 0 {
            tracing::debug!(ignored, "certificates of the trust store that cannot be read");
        }
        if roots.is_empty() {
            return Err(Error::General("the trust store has no certificate".to_owned()));
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| Error::Other(OtherError(Arc::new(error))))?;
        Ok(Self { chain, trusted })
    }
}

fn digest(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// Whether a certificate of the store may be accepted in spite of this error: the certificate has another
/// name, or it is an authority (`Other`). The dates have been verified before either error is reported.
const fn is_bearable(error: &CertificateError) -> bool {
    use CertificateError::{NotValidForName, NotValidForNameContext, Other};
    matches!(error, NotValidForName | NotValidForNameContext { .. } | Other(_))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.chain.verify_server_cert(certificate, chain, name, ocsp, now) {
            Err(Error::InvalidCertificate(error))
                if is_bearable(&error) && self.trusted.contains(&digest(certificate)) =>
            {
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    /// A certificate as `openssl req -x509 -subj /CN=pbx` makes it: an authority without a server name.
    fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap()
    }

    fn judged(store: &[&Certificate], shown: &Certificate) -> Result<(), Error> {
        let store = store.iter().map(|certificate| certificate.der().clone()).collect();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new(store, provider).expect("a store");
        let (name, now) = (ServerName::try_from("localhost").unwrap(), UnixTime::since_unix_epoch(WHEN));
        verifier.verify_server_cert(shown.der(), &[], &name, &[], now).map(drop)
    }

    /// The time of the tests, 2026-11-20.
    const WHEN: Duration = Duration::from_secs(1_795_180_048);

    #[test]
    fn a_certificate_that_is_itself_trusted_is_taken_whatever_its_name() {
        let (ours, another) = (self_signed(|_| {}), self_signed(|_| {}));
        assert_eq!(judged(&[&ours], &ours), Ok(()));
        assert!(judged(&[&another], &ours).is_err(), "only the very same");
        let plain = self_signed(|params| params.is_ca = IsCa::NoCa);
        assert_eq!(judged(&[&another, &plain], &plain), Ok(()));
    }

    #[test]
    fn one_that_has_expired_is_not_taken() {
        let old = self_signed(|params| params.not_after = date_time_ymd(2025, 1, 1));
        assert!(matches!(judged(&[&old], &old), Err(Error::InvalidCertificate(_))));
    }
}
