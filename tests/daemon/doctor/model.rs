//! Tests of what the doctor finds at the Realtime server: the key, the model, the session and the time.

use std::time::Duration;

use openai_inbound_calls::clock::{now, wall};
use openai_inbound_calls::sim::realtime::{Fault as SessionFault, FaultKind, Script, Trigger};
use serde_json::Value;

use super::{SetUp, detail, free_port, healthy};

#[tokio::test]
async fn a_wrong_key() {
    let set_up = healthy().but("OPENAI_API_KEY", "sk-geheim123456");
    let checks = set_up.finds(&[("key", "failure"), ("session", "failure")]).await;
    assert!(
        detail(&checks, "key").contains("Incorrect API key provided: sk-…"),
        "{}",
        detail(&checks, "key")
    );
}

#[tokio::test]
async fn a_model_that_does_not_exist() {
    let set_up = healthy().but("OPENAI_REALTIME_MODEL", "gpt-nix").but("OPENAI_TRANSCRIPTION_MODEL", "nix");
    // The prices of these models are unknown too.
    let unpriced = [("variables", "warning"); 2];
    let missing = [("model", "failure"), ("model", "warning"), ("session", "failure")];
    set_up.finds(&[&unpriced[..], &missing].concat()).await;
}

#[tokio::test]
async fn costs_that_nothing_bounds() {
    let checks = healthy().but("MAX_DAY_COST", "0").finds(&[("variables", "warning")]).await;
    let says =
        |check: &Value| check["detail"].as_str().is_some_and(|detail| detail.contains("no tiene límite"));
    assert!(checks.iter().any(says), "{checks:?}");
    healthy().but("MAX_DAY_COST", "0").but("MAX_CALL_COST", "2").finds(&[]).await;
}

#[tokio::test]
async fn a_model_that_ends_soon_and_one_that_has_ended() {
    for (days, status) in [(30, Some("warning")), (-1, Some("failure")), (200, None)] {
        let date = (wall().date_naive() + chrono::TimeDelta::days(days)).to_string();
        let shutdowns = vec![("gpt-realtime-2.1".to_owned(), date.clone())];
        let set_up = SetUp::new(Script { shutdowns, ..Script::default() });
        let expected: Vec<_> = status.map(|status| ("model", status)).into_iter().collect();
        let checks = set_up.finds(&expected).await;
        assert!(detail(&checks, "model").contains(&date));
    }
}

#[tokio::test]
async fn a_session_with_other_formats() {
    let set_up = SetUp::new(Script { echo_wrong_format: true, ..Script::default() });
    let checks = set_up.finds(&[("session", "failure")]).await;
    assert!(detail(&checks, "session").contains("audio.input.format"));
}

#[tokio::test]
async fn a_session_that_never_becomes_ready_takes_ten_seconds_at_most() {
    let late = FaultKind::CreatedLate(Duration::from_secs(60));
    let set_up =
        SetUp::new(Script { faults: vec![SessionFault::new(Trigger::OnConnect, late)], ..Script::default() });
    let begun = now();
    let checks = set_up.finds(&[("session", "failure")]).await;
    assert!(now() - begun < Duration::from_secs(10), "{:?}", now() - begun);
    assert!(detail(&checks, "session").ends_with("8 s"), "{}", detail(&checks, "session"));
}

#[tokio::test]
async fn no_realtime_server() {
    let url = format!("ws://127.0.0.1:{}/v1/realtime", free_port().await);
    let set_up = healthy().but("OPENAI_REALTIME_URL", &url);
    let checks = set_up.finds(&[("key", "failure"), ("session", "failure")]).await;
    assert!(detail(&checks, "key").contains("Connection refused"), "{}", detail(&checks, "key"));
}

#[tokio::test]
async fn a_compatible_server_without_a_list_of_models() {
    let set_up = SetUp::new(Script { lists_models: false, ..Script::default() });
    let checks = set_up.finds(&[]).await;
    assert!(checks.iter().any(|check| check["id"] == "model" && check["status"] == "note"));
}

#[tokio::test]
async fn a_clock_that_is_wrong() {
    for (ahead, word) in [(90, "atrasado"), (-90, "adelantado")] {
        let set_up = SetUp::new(Script { clock_ahead: ahead, ..Script::default() });
        let checks = set_up.finds(&[("clock", "warning")]).await;
        assert!(detail(&checks, "clock").ends_with(word), "{}", detail(&checks, "clock"));
    }
}

#[tokio::test]
async fn a_server_that_answers_and_opens_no_session_is_not_a_matter_of_the_network() {
    for fault in [
        FaultKind::RefuseAs(429, "rate_limit_exceeded".into()),
        FaultKind::Refuse(500),
        FaultKind::Refuse(503),
        FaultKind::UpdateRefused("server_error".into()),
    ] {
        let faults = vec![SessionFault::new(Trigger::OnConnect, fault.clone())];
        let checks =
            SetUp::new(Script { faults, ..Script::default() }).finds(&[("session", "failure")]).await;
        let session = checks.iter().find(|check| check["id"] == "session").expect("the check");
        let remedy = session["remedy"].as_str().expect("a remedy");
        assert!(remedy.contains("status.openai.com") && !remedy.contains("DNS"), "{fault:?}: {session}");
    }
}
