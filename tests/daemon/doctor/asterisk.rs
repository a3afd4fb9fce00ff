//! Tests of what the doctor finds in Asterisk and in the audio through Asterisk.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use openai_inbound_calls::clock::now;
use openai_inbound_calls::sim::asterisk::{Fault, Settings};
use openai_inbound_calls::sim::realtime::Script;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::{SetUp, detail, free_port, healthy};
use crate::world::until;

#[tokio::test]
async fn asterisk_away() {
    let port = free_port().await;
    let checks = healthy().but("ASTERISK_PORT", &port).finds(&[("ari", "failure")]).await;
    assert!(detail(&checks, "ari").contains("Connection refused"), "{}", detail(&checks, "ari"));
}

#[tokio::test]
async fn an_asterisk_that_never_answers_takes_ten_seconds_at_most() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port().to_string();
    let (url, begun) = (format!("ws://127.0.0.1:{port}/v1/realtime"), now());
    let set_up = healthy().but("ASTERISK_PORT", &port).but("OPENAI_REALTIME_URL", &url);
    set_up.finds(&[("ari", "failure"), ("key", "failure"), ("session", "failure")]).await;
    assert!(now() - begun < Duration::from_secs(10), "{:?}", now() - begun);
    // This Asterisk answers but hangs while it creates the channels.
    let set_up = healthy();
    for _ in 0..2 {
        set_up.world.asterisk.fail_next("POST", "externalMedia", Fault::Delay(Duration::from_secs(60)));
    }
    let begun = now();
    set_up.finds(&[("rtp", "failure")]).await;
    assert!(now() - begun < Duration::from_secs(10), "{:?}", now() - begun);
}

#[tokio::test]
async fn a_wrong_password_of_ari() {
    let set_up = healthy().but("ASTERISK_PASSWORD", "geheim");
    let checks = set_up.finds(&[("ari", "failure")]).await;
    assert!(detail(&checks, "ari").contains("asterisk") && !detail(&checks, "ari").contains("geheim"));
}

#[tokio::test]
async fn ari_that_is_starting() {
    let set_up = healthy();
    set_up.world.asterisk.fail_next("GET", "/asterisk/info", Fault::Status(503));
    set_up.finds(&[("ari", "failure")]).await;
}

#[tokio::test]
async fn a_module_that_is_not_loaded() {
    let unloaded = vec!["chan_rtp.so".to_owned(), "codec_ulaw.so".to_owned()];
    let set_up = SetUp::with(Settings { unloaded, ..Settings::default() }, Script::default());
    let checks = set_up.finds(&[("modules", "failure"), ("modules", "warning"), ("rtp", "failure")]).await;
    assert!(detail(&checks, "modules").ends_with("chan_rtp.so"));
    assert!(detail(&checks, "rtp").contains("externalMedia (HTTP 500)"));
}

#[tokio::test]
async fn places_of_the_dialplan_without_the_module_that_knows_them() {
    let unloaded = vec!["func_dialplan.so".to_owned()];
    let set_up =
        || SetUp::with(Settings { unloaded: unloaded.clone(), ..Settings::default() }, Script::default());
    set_up().finds(&[]).await;
    for (variable, value) in
        [("TRANSFER_DESTINATIONS", "ventas:from-internal,200"), ("FALLBACK_CONTEXT", "humans")]
    {
        let set_up = set_up().but(variable, value);
        let checks = set_up.finds(&[("modules", "warning")]).await;
        let is_it = |check: &&Value| check["id"] == "modules" && check["status"] == "warning";
        let warning = checks.iter().find(is_it).expect("the warning")["detail"].to_string();
        assert!(warning.contains("func_dialplan.so") && warning.contains(variable), "{warning}");
        // With the module the check passes.
        healthy().but(variable, value).finds(&[]).await;
    }
}

#[tokio::test]
async fn a_dialplan_that_leads_elsewhere_or_cannot_be_seen() {
    let checks = healthy().but("ASTERISK_APP", "other").finds(&[("dialplan", "failure")]).await;
    assert!(detail(&checks, "dialplan").contains("Stasis(openai-app)"), "what is there is named");
    let set_up = healthy();
    set_up.console("#!/bin/sh\necho 'Unable to connect to remote asterisk' >&2\nexit 1\n");
    let checks = set_up.finds(&[]).await;
    assert!(detail(&checks, "dialplan").contains("Unable to connect to remote asterisk"));
}

#[tokio::test]
async fn ports_that_overlap_asterisks_own() {
    let checks = healthy().but("RTP_PORTS", "39000-39999").finds(&[("rtp-ports", "warning")]).await;
    assert!(detail(&checks, "rtp-ports").contains("30000-39999"));
    // Without the console, the ports seen in use decide.
    let set_up = healthy().but("RTP_PORTS", "30000-30199");
    set_up.console("#!/bin/sh\nexit 1\n");
    if !Path::new("/etc/asterisk/rtp.conf").exists() {
        set_up.finds(&[("rtp-ports", "warning")]).await;
    }
}

#[tokio::test]
async fn no_rtp_arrives() {
    let set_up = healthy();
    set_up.world.asterisk.lose_media(|_| true);
    let checks = set_up.finds(&[("rtp", "failure")]).await;
    assert!(detail(&checks, "rtp").starts_with("No llega RTP en ningún sentido"));
}

#[tokio::test]
async fn rtp_passes_one_way_only() {
    let set_up = healthy();
    let mut first = None;
    set_up.world.asterisk.lose_media(move |to| *first.get_or_insert(to) == to);
    let checks = set_up.finds(&[("rtp", "failure")]).await;
    assert!(detail(&checks, "rtp").starts_with("RTP pasa en un solo sentido"));
}

#[tokio::test]
async fn rtp_comes_from_elsewhere_or_is_wanted_elsewhere() {
    let set_up = healthy();
    let router = set_up.world.asterisk.route_media().expect("a socket");
    let checks = set_up.finds(&[]).await;
    assert!(detail(&checks, "rtp").contains(&format!("llega de {router}")), "{}", detail(&checks, "rtp"));
    let set_up = healthy().but("RTP_SOURCE", "strict");
    set_up.world.asterisk.route_media().expect("a socket");
    let checks = set_up.finds(&[("rtp", "failure")]).await;
    assert!(detail(&checks, "rtp").contains("RTP_SOURCE=strict"));
    let named_address = Some([192, 0, 2, 7].into());
    let set_up = SetUp::with(Settings { named_address, ..Settings::default() }, Script::default());
    let checks = set_up.finds(&[("rtp", "failure")]).await;
    assert!(detail(&checks, "rtp").starts_with("Asterisk pide el audio en 192.0.2.7"));
}

#[tokio::test]
async fn rtp_is_lost_here_and_there() {
    for (every, status) in [(10, "warning"), (2, "failure")] {
        let set_up = healthy();
        let mut packets = 0;
        set_up.world.asterisk.lose_media(move |_| {
            packets += 1;
            // Both directions lose packets in turn, so that the direction does not decide.
            packets / 2 % every == 0
        });
        let checks = set_up.finds(&[("rtp", status)]).await;
        assert!(detail(&checks, "rtp").starts_with("Se pierde el "), "{}", detail(&checks, "rtp"));
    }
}

#[tokio::test]
async fn an_address_that_is_not_ours() {
    let checks = healthy().but("LOCAL_IP_ADDRESS", "192.0.2.1").finds(&[("rtp", "failure")]).await;
    let rtp = checks.iter().find(|check| check["id"] == "rtp").expect("the check");
    assert!(rtp["remedy"].as_str().expect("a remedy").contains("(127.0.0.1)"), "{rtp}");
}

#[tokio::test]
async fn asterisk_refuses_or_loses_a_request_on_the_way() {
    for (method, path, fault) in [
        ("POST", "externalMedia", Fault::Status(403)),
        ("POST", "externalMedia", Fault::OkButReplyLost),
        ("POST", "/bridges", Fault::ConnectionLost),
        ("POST", "addChannel", Fault::Status(500)),
        ("POST", "addChannel", Fault::OkButReplyLost),
        ("GET", "/applications/", Fault::Status(404)),
    ] {
        let set_up = healthy();
        // A request whose connection is closed is repeated.
        for _ in 0..5 {
            set_up.world.asterisk.fail_next(method, path, fault);
        }
        set_up.finds(&[("rtp", "failure")]).await;
    }
}

#[tokio::test]
async fn a_user_who_may_only_read_leaves_nothing_to_delete() {
    let set_up = healthy();
    for (method, path) in [("POST", "externalMedia"), ("DELETE", "/channels/")] {
        for _ in 0..5 {
            set_up.world.asterisk.fail_next(method, path, Fault::Status(403));
        }
    }
    let checks = set_up.finds(&[("rtp", "failure")]).await;
    assert!(detail(&checks, "rtp").contains("HTTP 403"), "{}", detail(&checks, "rtp"));
}

#[tokio::test]
async fn what_cannot_be_deleted_is_named() {
    let set_up = healthy();
    set_up.world.asterisk.fail_next("DELETE", "/bridges/", Fault::Status(500));
    let output = set_up.command("--json").output().await.expect("the program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let left = set_up.world.asterisk.bridges();
    assert_eq!(left.len(), 1, "the fault was met");
    assert!(text.contains(&left[0]) && output.status.code() == Some(1), "{text}");
}

#[tokio::test]
async fn when_it_is_interrupted_it_cleans_up() {
    let set_up = healthy();
    let mut command = set_up.command("");
    let child = command.stdout(Stdio::piped()).spawn().expect("the program");
    until("it measures", || set_up.world.asterisk.channels().len() == 2).await;
    let pid = child.id().expect("it runs").to_string();
    assert!(
        Command::new("sh")
            .args(["-c", &format!("kill -INT {pid}")])
            .status()
            .await
            .expect("a shell")
            .success()
    );
    let begun = now();
    let output = child.wait_with_output().await.expect("the child");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "no half report");
    assert!(now() - begun < Duration::from_secs(3), "at once");
    set_up.nothing_is_left().await;
}
