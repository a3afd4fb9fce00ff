//! Adds TLS to the fake Realtime server, which has none, so that the program uses `wss://` as with the real
//! server.
//!
//! The `openssl` command of the machine creates the certificate for this run.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The host for which the certificate is valid, as it stands in the URL.
const HOST: &str = "127.0.0.1";

/// The TLS endpoint, which is open until it is dropped.
#[derive(Debug)]
pub(super) struct Door {
    port: u16,
    certificate: PathBuf,
    _guests: JoinSet<()>,
}

impl Door {
    /// Opens a TLS endpoint on a free port, with a certificate in `folder`.
    ///
    /// # Errors
    /// Returns an error if the `openssl` command is missing.
    pub(super) async fn before(server: SocketAddr, folder: &Path) -> anyhow::Result<Self> {
        let (certificate, key) = certificate(folder)?;
        let chain = vec![CertificateDer::from_pem_file(&certificate)?];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((HOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let mut guests = JoinSet::new();
        guests.spawn(async move {
            let mut inside = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                inside.spawn(lead(tcp, acceptor.clone(), server));
                while inside.try_join_next().is_some() {}
            }
        });
        Ok(Self { port, certificate, _guests: guests })
    }

    /// The variables with which the program connects by TLS.
    pub(super) fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("OPENAI_REALTIME_URL", format!("wss://{HOST}:{}/v1/realtime", self.port)),
            ("SSL_CERT_FILE", self.certificate.display().to_string()),
        ]
    }
}

/// Relays one connection.
async fn lead(tcp: TcpStream, acceptor: TlsAcceptor, server: SocketAddr) {
    // Without this setting the connection works, but with more delay.
    drop(tcp.set_nodelay(true));
    let Ok(mut outside) = acceptor.accept(tcp).await else { return };
    let Ok(mut inside) = TcpStream::connect(server).await else { return };
    drop(inside.set_nodelay(true));
    // The way in which the connection ended does not matter.
    drop(tokio::io::copy_bidirectional(&mut outside, &mut inside).await);
}

/// Creates a self-signed certificate and its key.
fn certificate(folder: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=openai-inbound-calls bench"])
        .args(["-addext", &format!("subjectAltName=IP:{HOST}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("--tls needs the command openssl")?;
    ensure!(made.success(), "openssl makes no certificate ({made})");
    Ok((certificate, key))
}
