//! Tests of `wss://` and `https://` with a certificate authority of their own, named by `SSL_CERT_FILE`.
//!
//! The fakes speak plain TCP; a small proxy in this file adds TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{FaultKind, Script, pattern};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::stall;
use crate::world::{Program, World, assert_no_violations, contains, listen, ms};

/// The size of the kernel's buffers on each side of the proxy, in bytes.
const BUFFER: usize = 16 * 1024;

/// An authority in PEM, and a server configuration with a certificate of that authority for `localhost`.
pub(crate) fn certificates() -> (String, Arc<ServerConfig>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    (authority.pem(), server(certificate.der().clone(), &key))
}

/// A certificate in PEM as `openssl req -x509 -subj /CN=pbx` makes it, and a server configuration with that
/// certificate.
fn self_signed() -> (String, Arc<ServerConfig>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), server(certificate.der().clone(), &key))
}

/// A server configuration with this certificate.
fn server(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let chain = vec![certificate];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a configuration");
    Arc::new(config)
}

/// Speaks TLS on a free port in front of `behind`.
pub(crate) async fn door(doors: &mut JoinSet<()>, config: &Arc<ServerConfig>, behind: SocketAddr) -> u16 {
    let listener = TcpListener::bind(("localhost", 0)).await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    let acceptor = TlsAcceptor::from(Arc::clone(config));
    doors.spawn(async move {
        let mut guests = JoinSet::new();
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            guests.spawn(async move {
                let Ok(mut inside) = TcpStream::connect(behind).await else { return };
                // The buffers are as small as possible, so that the daemon notices when the fake does not
                // read.
                drop(socket2::SockRef::from(&tcp).set_recv_buffer_size(BUFFER));
                drop(socket2::SockRef::from(&inside).set_send_buffer_size(BUFFER));
                let Ok(mut outside) = acceptor.accept(tcp).await else { return };
                drop(tokio::io::copy_bidirectional(&mut outside, &mut inside).await);
            });
        }
    });
    port
}

/// Puts the fakes behind TLS. Returns the variables for a program that trusts the authority in the folder.
async fn secured(
    world: &World,
    doors: &mut JoinSet<()>,
    folder: &Path,
    (authority, config): (String, Arc<ServerConfig>),
) -> Vec<(&'static str, String)> {
    let file = folder.join("authority.pem");
    std::fs::write(&file, authority).expect("written");
    let asterisk = door(doors, &config, world.asterisk.address()).await;
    let openai = door(doors, &config, world.openai.address()).await;
    vec![
        ("ASTERISK_SCHEME", "https".to_owned()),
        ("ASTERISK_HOST", "localhost".to_owned()),
        ("ASTERISK_PORT", asterisk.to_string()),
        ("OPENAI_REALTIME_URL", format!("wss://localhost:{openai}/v1/realtime")),
        ("SSL_CERT_FILE", file.display().to_string()),
    ]
}

/// A program with these variables, which replace or extend the usual ones.
fn program(world: &World, changes: &[(&'static str, String)]) -> Program {
    let changes: Vec<_> = changes.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Program::start(world.variables_with(&changes))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_tls_with_an_authority_of_ones_own() {
    let world = World::new(Script::default());
    let folder = tempfile::tempdir().expect("a folder");
    let mut doors = JoinSet::new();
    let trusting = secured(&world, &mut doors, folder.path(), certificates()).await;

    let stranger = program(&world, &trusting[..4]);
    stranger.says("ERROR", "No se acepta el certificado TLS de Asterisk en localhost:").await;
    assert!(stranger.log().contains("SSL_CERT_FILE"), "it says what to do: {}", stranger.log());
    assert_eq!(stranger.count("ERROR", "enabled=yes"), 0, "and not what does not help");
    assert_eq!(world.asterisk.journal().len(), 0, "and not one request came through");
    drop(stranger);

    let program = program(&world, &trusting);
    program.says("INFO", "Conexión ARI establecida").await;
    let script = [&listen()[..], &[Step::Say(pattern(1_000, 7))], &listen()[..], &[Step::HangUp]].concat();
    let call = world.call(script);
    world.over(call).await;
    assert!(contains(&world.session().appended(), &pattern(1_000, 7)), "the question");
    assert!(contains(&world.heard(call), &pattern(2_000, 2)), "the answer");
    assert_no_violations(&world.session());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_tls_with_the_certificate_everybody_makes() {
    let world = World::new(Script::default());
    let folder = tempfile::tempdir().expect("a folder");
    let mut doors = JoinSet::new();
    let trusting = secured(&world, &mut doors, folder.path(), self_signed()).await;
    let program = program(&world, &trusting);
    program.says("INFO", "Conexión ARI establecida").await;
    let call = world.call([&listen()[..], &[Step::HangUp]].concat());
    world.over(call).await;
    assert!(contains(&world.heard(call), &pattern(1_500, 1)), "the greeting");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_server_whose_certificate_is_not_trusted_is_named_at_once() {
    let world = World::new(Script::default());
    let folder = tempfile::tempdir().expect("a folder");
    let mut doors = JoinSet::new();
    let trusting = secured(&world, &mut doors, folder.path(), self_signed()).await;
    let program = world.program(&[("OPENAI_REALTIME_URL", &trusting[3].1)]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    world.over_but_sessions(call).await;
    assert_eq!(world.end_reason(call).as_deref(), Some("session_failed"));
    program.says("ERROR", "No se acepta el certificado TLS del servidor de OPENAI_REALTIME_URL").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stalls_behind_tls_is_replaced_within_seconds() {
    let world = stall::world(FaultKind::Stall);
    let folder = tempfile::tempdir().expect("a folder");
    let mut doors = JoinSet::new();
    let trusting = secured(&world, &mut doors, folder.path(), certificates()).await;
    let program = program(&world, &trusting);
    program.says("INFO", "Conexión ARI establecida").await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    let lasted = stall::replaced_after(&world, &program).await;
    println!("replaced {} ms after the stall", lasted.as_millis());
    assert!(lasted < ms(14_000), "{lasted:?}");
    world.asterisk.hang_up(call);
    world.over_but_sessions(call).await;
}
