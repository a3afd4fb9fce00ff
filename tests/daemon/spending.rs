//! Tests of the cost of calls, behind sockets: the line in the log, the recording, the day's limit, and other
//! prices after SIGHUP.

use openai_inbound_calls::clock::now;
use openai_inbound_calls::sim::asterisk::{CallState, CallerId, Ending, IncomingCall};
use openai_inbound_calls::sim::caller::{Caller, Step};
use openai_inbound_calls::sim::realtime::{Script, pattern};
use serde_json::Value;

use crate::api::Api;
use crate::call_log::{calls, ended};
use crate::world::{PATIENCE, Program, World, listen, ms, until};

/// These prices are higher than OpenAI's: the greeting alone costs cents.
const PRICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/prices.toml");
const REACHED: &str = "Las llamadas de hoy han llegado a MAX_DAY_COST (0.0100 USD)";

/// The usage of the running call, once a part of it is known.
async fn used_so_far(api: &Api) -> Value {
    let live = api.only("live").await;
    let path = format!("/recordings/{}/conversation", live["id"].as_str().expect("an id"));
    let deadline = now() + PATIENCE;
    loop {
        let usage = api.get(&path).await.json()["usage"].clone();
        if usage.is_object() {
            return usage;
        }
        assert!(now() < deadline, "nothing is known of what the call uses");
        tokio::time::sleep(ms(20)).await;
    }
}

async fn goes_on_unserved(world: &World) {
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller goes on", || world.asterisk.outcome(call).state == CallState::Gone).await;
    assert!(matches!(world.asterisk.outcome(call).ended, Some(Ending::Continued { .. })));
    assert_eq!(world.end_reason(call).as_deref(), Some("day_cost_limit"));
}

async fn is_greeted(world: &World) -> CallerId {
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the greeting is heard", || world.asterisk.phone(call, |phone| phone.statistics().loud > 5)).await;
    call
}

async fn reload(program: &Program, changes: &[(&'static str, &str)]) {
    let line = "Configuración leída de nuevo";
    let before = program.count("INFO", line);
    program.change_env_file(changes);
    program.signal("HUP");
    program.says_times(before + 1, "INFO", line).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_tells_the_operator_and_its_recording_what_it_has_cost() {
    let world = World::new(Script::default());
    let program = world.program(&[]).await;
    let script = [&listen()[..], &[Step::Say(pattern(1_000, 7))], &listen()[..], &[Step::HangUp]].concat();
    let call = world.call(script);
    world.over(call).await;
    let api = Api::of(&program).await;
    let finished = api.only("finished").await;
    let path = format!("/recordings/{}/conversation", finished["id"].as_str().expect("an id"));
    let usage = &api.get(&path).await.json()["usage"];
    let count = |kind: &str| usage["tokens"][kind].as_u64().expect("a count");
    let seconds = usage["transcription"]["seconds"].as_f64().expect("a number");
    let micro = [
        (count("text_in") - count("cached_text_in"), 4.0),
        (count("audio_in") - count("cached_audio_in"), 32.0),
        (count("cached_text_in") + count("cached_audio_in"), 0.4),
        (count("text_out"), 24.0),
        (count("audio_out"), 64.0),
    ];
    let micro: f64 = micro.iter().map(|(tokens, price)| *tokens as f64 * price).sum();
    let usd = micro / 1e6 + seconds / 60.0 * 0.0045;
    let told = usage["cost_usd"].as_f64().expect("it is known");
    assert!(seconds >= 1.0 && count("audio_out") == 70, "1 s of question, 3.5 s of answers: {usage}");
    assert!((told - usd).abs() < 1e-6, "{told} {usd}");
    assert_eq!((&usage["estimated"], &usage["prices_dated"]), (&false.into(), &"2026-11-20".into()));
    let (read, cached) =
        (count("text_in") + count("audio_in"), count("cached_text_in") + count("cached_audio_in"));
    let line = format!(
        "[{}] Consumo de la llamada - Tokens de entrada: {read} (en caché: {cached}) - De salida: {} - Costo: {told:.4} USD",
        world.asterisk.outcome(call).channel,
        count("text_out") + count("audio_out"),
    );
    assert_eq!(program.count("INFO", &line), 1, "{line}\nin:\n{}", program.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_session_has_used_nothing_and_says_nothing() {
    use openai_inbound_calls::sim::realtime::{Fault, FaultKind, Trigger};
    let faults = vec![Fault::new(Trigger::OnConnect, FaultKind::Refuse(401))];
    let world = World::new(Script { faults, ..Script::default() });
    let program = world.program(&[]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller goes on", || world.asterisk.outcome(call).state == CallState::Gone).await;
    let api = Api::of(&program).await;
    let finished = api.only("finished").await;
    let path = format!("/recordings/{}/conversation", finished["id"].as_str().expect("an id"));
    assert_eq!(api.get(&path).await.json()["usage"], Value::Null);
    program.says("INFO", "Llamada terminada").await;
    assert_eq!(program.count("INFO", "Consumo de la llamada"), 0, "{}", program.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_days_limit_new_callers_go_on_and_the_operator_hears_of_it_once() {
    let world = World::new(Script::default());
    // A refused caller takes no place: with two places, one stays free beside the live call to the end.
    let limit = [("MAX_DAY_COST", "0.01"), ("PRICES_FILE", PRICES), ("MAX_CALLS", "2")];
    let program = world.program_with_env_file(&limit).await;
    let api = Api::of(&program).await;
    let live = is_greeted(&world).await;
    let usage = used_so_far(&api).await;
    assert!(usage["cost_usd"].as_f64().is_some_and(|cost| cost > 0.01), "{usage}");
    goes_on_unserved(&world).await;
    assert_ne!(world.asterisk.outcome(live).state, CallState::Gone, "what runs goes on");
    world.asterisk.hang_up(live);
    world.over(live).await;
    goes_on_unserved(&world).await;
    assert_eq!(program.count("ERROR", REACHED), 1, "{}", program.log());
    let ready = || async { api.get("/ready").await.json()["reasons"].clone() };
    assert_eq!(ready().await, serde_json::json!(["day_cost_reached"]));
    let handed_back = "Llamada devuelta al dialplan - Motivo: costo máximo del día alcanzado";
    assert_eq!(program.count("WARNING", handed_back), 2, "{}", program.log());
    assert_eq!(world.openai.sessions().len(), 1, "nothing more is spent");

    reload(&program, &[("MAX_DAY_COST", "100")]).await;
    assert_eq!(ready().await, serde_json::json!([]));
    let call = is_greeted(&world).await;
    world.asterisk.hang_up(call);
    world.over(call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_call_that_reaches_the_days_limit_is_told_of_when_it_ends() {
    let world = World::new(Script::default());
    let program = world.program(&[("MAX_DAY_COST", "0.01"), ("PRICES_FILE", PRICES)]).await;
    world.over(world.call([&listen()[..], &[Step::HangUp]].concat())).await;
    program.says("ERROR", REACHED).await;
    let reasons = Api::of(&program).await.get("/ready").await.json()["reasons"].clone();
    assert_eq!(reasons, serde_json::json!(["day_cost_reached"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_calls_follow_the_prices_read_again_and_a_live_one_keeps_its_own() {
    let world = World::new(Script::default());
    let program = world.program_with_env_file(&[]).await;
    let api = Api::of(&program).await;
    let first = is_greeted(&world).await;
    reload(&program, &[("PRICES_FILE", PRICES)]).await;
    assert_eq!(used_so_far(&api).await["prices_dated"], "2026-11-20");
    world.asterisk.hang_up(first);
    world.over(first).await;
    api.only("finished").await;
    let second = is_greeted(&world).await;
    assert_eq!(used_so_far(&api).await["prices_dated"], "2026-01-02");
    world.asterisk.hang_up(second);
    world.over(second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_spent_today_is_not_forgotten_by_a_restart() {
    let world = World::new(Script::default());
    let limit = [("MAX_DAY_COST", "0.01"), ("PRICES_FILE", PRICES)];
    let mut program = world.program(&limit).await;
    world.over(world.call([&listen()[..], &[Step::HangUp]].concat())).await;
    program.says("ERROR", REACHED).await;
    program.signal("TERM");
    program.exit().await;

    let program = world.program(&limit).await;
    program.says("ERROR", REACHED).await;
    goes_on_unserved(&world).await;
    assert_eq!(world.openai.sessions().len(), 1, "nothing more is spent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_daemon_has_spent_counts_from_the_first_caller_of_the_next_on() {
    let world = World::new(Script::default());
    let limit = [("MAX_DAY_COST", "0.01"), ("PRICES_FILE", PRICES)];
    let mut program = world.program(&limit).await;
    let cut_off = is_greeted(&world).await;
    let api = Api::of(&program).await;
    let is_known = |rows: &[Value]| rows[0]["cost_usd"].as_f64().is_some_and(|cost| cost > 0.01);
    calls(&api, "the running call's cost", |rows| rows.len() == 1 && is_known(rows)).await;
    program.signal("KILL");
    program.exit().await;

    // The caller who was cut off waits in Asterisk.
    let program = world.program(&limit).await;
    program.says("ERROR", REACHED).await;
    until("the caller goes on", || world.asterisk.outcome(cut_off).state == CallState::Gone).await;
    assert_eq!(world.end_reason(cut_off).as_deref(), Some("day_cost_limit"));
    goes_on_unserved(&world).await;
    assert_eq!(world.openai.sessions().len(), 1, "nothing more is spent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_log_that_does_not_tell_what_was_spent_is_told_of_and_costs_no_caller() {
    let world = World::new(Script::default());
    let away = [("MAX_DAY_COST", "1"), ("DATABASE_URL", "sqlite:/proc/none/calls.db")];
    let program = world.program(&away).await;
    is_greeted(&world).await;
    program.says("WARNING", "El registro de llamadas no dice cuánto costaron las llamadas de hoy").await;
    let warnings = Api::of(&program).await.get("/ready").await.json()["warnings"].clone();
    assert_eq!(warnings, serde_json::json!(["spent_earlier_unknown"]));
}

/// Places a call from this number, from a phone that waits.
fn call_from(world: &World, number: &str) -> CallerId {
    let call = IncomingCall { number: number.into(), ..IncomingCall::default() };
    world.asterisk.call(call, |now| Caller::new(now, vec![Step::Pause(ms(600_000))], 7))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_number_may_call_only_so_often_within_an_hour_and_others_are_not_held_to_it() {
    let world = World::new(Script::default());
    let program = world.program_with_env_file(&[("MAX_CALLS_PER_CALLER_HOUR", "2")]).await;
    for number in ["+573001234567", "3001234567"] {
        let call = call_from(&world, number);
        until("the greeting is heard", || world.asterisk.phone(call, |phone| phone.statistics().loud > 5))
            .await;
        world.asterisk.hang_up(call);
        world.over(call).await;
    }
    let third = call_from(&world, "00573001234567");
    until("the third goes on", || world.asterisk.outcome(third).state == CallState::Gone).await;
    assert!(matches!(world.asterisk.outcome(third).ended, Some(Ending::Continued { .. })));
    assert_eq!(world.end_reason(third).as_deref(), Some("caller_limit"));
    let line = "Llamada devuelta al dialplan - Motivo: demasiadas llamadas del mismo número en una hora";
    program.says("WARNING", line).await;
    assert_eq!(world.openai.sessions().len(), 2, "nothing more is spent");
    let rows =
        calls(&Api::of(&program).await, "three rows", |rows| rows.len() == 3 && rows.iter().all(ended)).await;
    assert_eq!(rows[0]["end_reason"], "caller_limit");

    for number in ["3007654321", "", ""] {
        let call = call_from(&world, number);
        until("the greeting is heard", || world.asterisk.phone(call, |phone| phone.statistics().loud > 5))
            .await;
        world.asterisk.hang_up(call);
        world.over(call).await;
    }
    reload(&program, &[("MAX_CALLS_PER_CALLER_HOUR", "3")]).await;
    let again = call_from(&world, "3001234567");
    until("the greeting is heard", || world.asterisk.phone(again, |phone| phone.statistics().loud > 5)).await;
    world.asterisk.hang_up(again);
    world.over(again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_nothing_bounds_what_calls_cost_is_said_at_the_start_after_a_reload_and_to_the_page() {
    const UNLIMITED: &str = "El costo de las llamadas no tiene límite";
    let world = World::new(Script::default());
    let program = world.program_with_env_file(&[("MAX_DAY_COST", "0")]).await;
    program.says("WARNING", UNLIMITED).await;
    let api = Api::of(&program).await;
    let told = async || api.get("/calls/live").await.json()["state"]["spending_unlimited"].clone();
    assert_eq!(told().await, true);
    assert_eq!(api.get("/ready").await.status, 200, "callers are served");
    reload(&program, &[("MAX_DAY_COST", "20")]).await;
    assert_eq!(told().await, false);
    reload(&program, &[("MAX_DAY_COST", "0"), ("MAX_CALL_COST", "2")]).await;
    assert_eq!(told().await, false);
    assert_eq!(program.count("WARNING", UNLIMITED), 1, "{}", program.log());
    reload(&program, &[("MAX_DAY_COST", "0")]).await;
    assert_eq!(told().await, true);
    program.says_times(2, "WARNING", UNLIMITED).await;
}
