//! One TLS configuration for everything the daemon connects to: rustls, the system's trust store.
//!
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's store, as in OpenSSL. Loading it takes tens of
//! milliseconds, so it is done once, at start; sharing it shares its session cache too.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt as _;

/// Loads the trust store.
///
/// # Errors
/// When the system has no usable trust store.
pub fn client_config() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Two threads may try at once (tests); either provider is the same.
        drop(Arc::clone(&provider).as_ref().clone().install_default());
    }
    Ok(Arc::new(ClientConfig::with_platform_verifier()?))
}
