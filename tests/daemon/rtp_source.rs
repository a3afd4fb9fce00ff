//! Tests of RTP from another source, over real sockets: the source is learned or refused, and the socket is
//! connected to its source. Also tests the addresses that Asterisk may name.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use openai_inbound_calls::sim::asterisk::Settings;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::live::asterisk::loopback_address;
use openai_inbound_calls::sim::realtime::{Script, pattern};

use crate::world::{World, assert_no_violations_but_of_pace, contains, listen, ms, until};

/// A caller who listens, speaks, listens, takes the step `then` and hangs up.
fn talk(then: Step) -> Vec<Step> {
    [&listen()[..], &[Step::Say(pattern(1_500, 7))], &listen()[..], &[then, Step::HangUp]].concat()
}

/// A world whose Asterisk names this address for its media.
fn naming(address: &str) -> World {
    let named_address = Some(address.parse().expect("an address"));
    World::with(Settings { named_address, ..Settings::default() }, |_| Arc::new(Script::default()))
}

/// The address from which the kernel accepts packets on a UDP socket of this machine: "ADDRESS:PORT" as in
/// `/proc/net/udp`, all zeros for any address. None: there is no such socket.
fn peer_of(local: SocketAddr) -> Option<String> {
    let SocketAddr::V4(local) = local else { return None };
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(local.ip().octets()), local.port());
    let table = std::fs::read_to_string("/proc/net/udp").expect("Linux");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.into_iter().find(|row| row.get(1) == Some(&local.as_str()))?;
    row.get(2).map(ToString::to_string)
}

fn of_kernel(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("IPv4 only") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_through_a_router_is_heard_and_its_socket_then_belongs_to_the_router() {
    let world = World::new(Script::default());
    let router = world.asterisk.route_media().expect("a socket");
    let program = world.program(&[]).await;
    let call = world.call(talk(Step::Pause(ms(30_000))));
    until("the caller's audio flows", || !world.asterisk.media_hosts().is_empty()).await;
    let host = world.asterisk.media_hosts()[0];
    until("the socket is connected", || peer_of(host) == Some(of_kernel(router))).await;
    program.says("INFO", &format!("El audio del llamante llega de {router} y no de ")).await;
    until("the answer is heard", || contains(&world.heard(call), &pattern(2_000, 2))).await;
    assert!(contains(&world.session().appended(), &pattern(1_500, 7)), "the question");
    assert_eq!(program.count("WARNING", ""), 0, "{}", program.log());
    assert_no_violations_but_of_pace(&world.session());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_daemon_hears_nothing_through_a_router_and_says_what_to_do() {
    let world = World::new(Script::default());
    let router = world.asterisk.route_media().expect("a socket");
    let program = world.program(&[("RTP_SOURCE", "strict")]).await;
    let call = world.call(vec![Step::Say(pattern(1_500, 7)), Step::HangUp]);
    program.says("WARNING", &format!("Llega audio de {router}, pero Asterisk dijo ")).await;
    world.over(call).await;
    assert!(!contains(&world.session().appended(), &pattern(1_500, 7)[..400]), "nothing of it");
    assert_eq!(program.count("WARNING", "RTP_SOURCE=learn"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_belongs_to_asterisk_as_soon_as_it_sends() {
    let world = World::new(Script::default());
    let daemon = world.daemon().await;
    let call = world.call(talk(Step::Pause(ms(10))));
    until("the caller's audio flows", || !world.asterisk.media_hosts().is_empty()).await;
    let host = world.asterisk.media_hosts()[0];
    until("the socket is connected", || peer_of(host).is_some_and(|peer| peer != "00000000:0000")).await;
    let stranger = UdpSocket::bind((loopback_address(), 0)).expect("a socket");
    stranger.connect(host).expect("loopback");
    stranger.set_read_timeout(Some(ms(5_000))).expect("a socket");
    stranger.send(&[0; 172]).expect("loopback");
    let refused = stranger.recv(&mut [0; 16]).expect_err("the kernel answers for the daemon");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    world.over(call).await;
    assert!(contains(&world.heard(call), &pattern(2_000, 2)), "the answer");
    assert_no_violations_but_of_pace(&world.session());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asterisk_may_name_its_own_addresses_and_those_of_the_setting_only() {
    let world = naming("192.0.2.7");
    let program = world.program(&[]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    world.over(call).await;
    assert_eq!(world.end_reason(call).as_deref(), Some("setup_failed"));
    program
        .says("ERROR", "Asterisk pide enviar el audio a 192.0.2.7, que no es una de sus direcciones")
        .await;
    program.says("ERROR", "agréguela a RTP_MEDIA_ADDRESSES").await;

    let world = naming("192.0.2.7");
    let program = world.program(&[("RTP_MEDIA_ADDRESSES", "10.0.0.0/8, 192.0.2.0/24")]).await;
    let call = world.call(vec![Step::Pause(ms(1_500)), Step::Say(pattern(1_500, 7)), Step::HangUp]);
    world.over(call).await;
    assert!(contains(&world.session().appended(), &pattern(1_500, 7)), "the caller is heard");
    program.says("INFO", "y no de 192.0.2.7:").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asterisk_is_told_the_advertised_address() {
    let world = World::new(Script::default());
    let changes = [("LOCAL_IP_ADDRESS", "0.0.0.0"), ("RTP_ADVERTISED_ADDRESS", "127.0.0.1")];
    let daemon = world.daemon_with(&changes).await;
    let call = world.call(talk(Step::Pause(ms(10))));
    until("the caller's audio flows", || !world.asterisk.media_hosts().is_empty()).await;
    assert_eq!(world.asterisk.media_hosts()[0].ip().to_string(), "127.0.0.1");
    world.over(call).await;
    assert!(contains(&world.session().appended(), &pattern(1_500, 7)), "the question");
    assert!(contains(&world.heard(call), &pattern(2_000, 2)), "the answer");
    daemon.stop().await;
}
