//! Tests of the figures for Prometheus: their values, who may read them, and that Prometheus' own tool finds
//! no fault.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openai_inbound_calls::call::glance::Glance;
use openai_inbound_calls::call::latency::{Answer, BargeIn, Latencies};
use openai_inbound_calls::call::ledger::{Bill, Tokens};
use openai_inbound_calls::call::tools::Use;
use openai_inbound_calls::call::uplink::UplinkCounters;
use openai_inbound_calls::call::{Counters, SessionFault};
use openai_inbound_calls::clock::now;
use openai_inbound_calls::config::Role;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::Webhook;
use openai_inbound_calls::exchange::readiness::{AsteriskLink, Capacity};
use openai_inbound_calls::http::health::RecorderHealth;
use openai_inbound_calls::live::{Arrival, Decision, Route};
use openai_inbound_calls::realtime::rate_limits::{RateLimit, RateLimits};
use openai_inbound_calls::registry::Row;
use openai_inbound_calls::units::{MicroUsd, Milliseconds};

use crate::live::scene;
use crate::world::{With, World, token};

/// The samples by their name and labels, as the metrics write them.
type Samples = BTreeMap<String, f64>;

fn samples(world: &World) -> Samples {
    let answer = world.get("/metrics");
    assert_eq!(answer.status, 200);
    let lines = answer.text().lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.map(sample).collect()
}

/// The value of this program's sample with this name, as a whole number.
fn ours(samples: &Samples, name: &str) -> u64 {
    let name = format!("openai_inbound_calls_{name}");
    *samples.get(&name).unwrap_or_else(|| panic!("no {name} in {samples:#?}")) as u64
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Rate limits of which this many of 50 000 tokens remain.
fn left(tokens: u64) -> RateLimits {
    RateLimits { requests: None, tokens: Some(RateLimit { limit: Some(50_000), remaining: tokens }) }
}

/// A call with a value for every figure.
fn glance() -> Glance {
    let mut counters =
        Counters { inputs: 300, barge_ins: 2, foreign_packets: 3, sessions_opened: 1, ..Counters::default() };
    for _ in 0..4 {
        counters.session_faults.count(SessionFault::Unavailable);
    }
    let bill = Bill {
        conversation: Tokens { audio_in: 500, cached_audio_in: 100, ..Tokens::default() },
        transcription: Tokens { text_out: 7, ..Tokens::default() },
        transcribed: Milliseconds::new(1_500),
        cost: Some(MicroUsd::from_usd(2.5)),
        at_least: MicroUsd::from_usd(2.5),
        ..Bill::default()
    };
    let answers = vec![Answer {
        at: ms(1_000),
        speech_stopped: ms(300),
        first_delta: ms(600),
        first_frame: ms(615),
        own: ms(15),
    }];
    let barge_ins = vec![BargeIn { at: ms(3_000), silent_after: ms(150) }];
    Glance {
        counters,
        uplink: UplinkCounters { received: 90, lost_frames: 5, ..UplinkCounters::default() },
        frames: 100,
        late_frames: 6,
        underruns: 1,
        turns: 2,
        bill: Some(bill),
        rate_limits: Some((now(), left(49_950))),
        latencies: Arc::new(Latencies {
            greeting: Some(ms(900)),
            accepted: Some(ms(120)),
            session: Some(ms(400)),
            answers,
            barge_ins,
        }),
        tools: Arc::new(vec![
            Use { tool: "book".into(), outcome: "ask_first", took: None },
            Use { tool: "book".into(), outcome: "ok", took: Some(ms(840)) },
        ]),
        ..Glance::default()
    }
}

#[test]
fn a_call_counts_while_it_runs_and_no_less_when_it_is_over() {
    let scene = scene(With::default());
    let seat = scene.call("17.1", true);
    let _other_call = scene.call("17.2", true);
    seat.show(glance());
    let live = samples(&scene.world);
    for (name, value) in [
        ("calls_live", 2),
        ("calls_started_total", 2),
        ("call_inputs_total", 300),
        ("frames_sent_total", 100),
        ("late_frames_total", 6),
        ("underruns_total", 1),
        ("turns_total", 2),
        ("barge_ins_total", 2),
        ("rtp_packets_received_total", 90),
        ("rtp_packets_foreign_total", 3),
        ("rtp_frames_lost_total", 5),
        ("sessions_opened_total", 1),
        (r#"sessions_failed_total{code="unavailable"}"#, 4),
        (r#"sessions_failed_total{code="key"}"#, 0),
        (r#"tokens_total{model="gpt-realtime",use="conversation",kind="audio_in"}"#, 500),
        (r#"tokens_total{model="gpt-realtime",use="conversation",kind="cached_audio_in"}"#, 100),
        (r#"tokens_total{model="gpt-transcribe",use="transcription",kind="text_out"}"#, 7),
        (r#"rate_limit{model="gpt-realtime",of="tokens"}"#, 50_000),
        (r#"rate_limit_remaining{model="gpt-realtime",of="tokens"}"#, 49_950),
        ("cost_unknown_calls_total", 0),
        (r#"greeting_seconds_bucket{le="0.75"}"#, 0),
        (r#"greeting_seconds_bucket{le="1"}"#, 1),
        (r#"answer_seconds_bucket{le="0.75"}"#, 1),
        (r#"answer_seconds_bucket{le="0.5"}"#, 0),
        ("answer_seconds_count", 1),
        (r#"own_share_seconds_bucket{le="0.02"}"#, 1),
        (r#"barge_in_seconds_bucket{le="0.2"}"#, 1),
        ("ari_connected", 1),
        ("ari_replaced", 0),
        ("ready", 1),
        ("call_log_queue_rows", 0),
        ("call_log_lost_rows_total", 0),
    ] {
        assert_eq!(ours(&live, name), value, "{name}");
    }
    assert_eq!(live["openai_inbound_calls_cost_usd_total"].to_string(), "2.5");
    assert_eq!(live[r#"openai_inbound_calls_agent_cost_usd_total{agent="default"}"#].to_string(), "2.5");
    assert_eq!(ours(&live, r#"agent_calls_ended_total{agent="default"}"#), 0);
    assert_eq!(live["openai_inbound_calls_transcribed_seconds_total"].to_string(), "1.5");
    assert_eq!(live["openai_inbound_calls_answer_seconds_sum"].to_string(), "0.615");
    for reason in EndReason::ALL {
        assert_eq!(ours(&live, &format!("calls_ended_total{{reason=\"{}\"}}", reason.code())), 0);
    }

    seat.end(Glance { frames: 130, ..glance() }, EndReason::CallerHungUp);
    scene.board.refused(EndReason::Busy);
    let over = samples(&scene.world);
    for (name, value) in [
        ("calls_live", 1),
        ("calls_started_total", 3),
        (r#"calls_ended_total{reason="caller_hung_up"}"#, 1),
        (r#"calls_ended_total{reason="busy"}"#, 1),
        (r#"agent_calls_ended_total{agent="default"}"#, 1),
        ("frames_sent_total", 130),
        ("answer_seconds_count", 1),
    ] {
        assert_eq!(ours(&over, name), value, "{name}");
    }
    assert_eq!(live.keys().collect::<Vec<_>>(), over.keys().collect::<Vec<_>>(), "always the same series");
    for (name, before) in
        live.iter().filter(|(name, _)| name.contains("_total") || name.contains("_seconds_"))
    {
        assert!(over[name] >= *before, "{name} has shrunk");
    }
}

#[test]
fn the_sip_route_has_figures_of_its_own() {
    let scene = scene(With::default());
    let media = scene.call("17.1", true);
    let sip = scene.call_by(Route::Sip, "rtc_1", true);
    media.show(glance());
    sip.show(Glance {
        latencies: Arc::new(Latencies { greeting: Some(ms(1_900)), ..(*glance().latencies).clone() }),
        ..glance()
    });
    for arrival in [Arrival::Offered, Arrival::Offered, Arrival::Repeated, Arrival::TooMany] {
        scene.board.arrived(arrival);
    }
    scene.board.decided(Decision::Taken);
    scene.board.decided(Decision::Rejected);
    scene.daemon.as_ref().unwrap().send_modify(|now| now.webhook = Webhook::Missing);
    let told = samples(&scene.world);
    for (name, value) in [
        (r#"route_calls_total{route="media"}"#, 1),
        (r#"route_calls_total{route="sip"}"#, 1),
        (r#"sip_webhooks_total{outcome="offered"}"#, 2),
        (r#"sip_webhooks_total{outcome="repeated"}"#, 1),
        (r#"sip_webhooks_total{outcome="too_many"}"#, 1),
        (r#"sip_webhooks_total{outcome="unverified"}"#, 0),
        (r#"sip_offers_total{outcome="taken"}"#, 1),
        (r#"sip_offers_total{outcome="rejected"}"#, 1),
        (r#"sip_accepted_seconds_bucket{le="0.1"}"#, 0),
        (r#"sip_accepted_seconds_bucket{le="0.2"}"#, 1),
        (r#"sip_session_seconds_bucket{le="0.3"}"#, 0),
        (r#"sip_session_seconds_bucket{le="0.4"}"#, 1),
        (r#"sip_first_sound_seconds_bucket{le="1.5"}"#, 0),
        (r#"sip_first_sound_seconds_bucket{le="2"}"#, 1),
        ("sip_first_sound_seconds_count", 1),
        ("greeting_seconds_count", 2),
        (r#"sip_webhook{state="missing"}"#, 1),
        (r#"sip_webhook{state="listening"}"#, 0),
    ] {
        assert_eq!(ours(&told, name), value, "{name}");
    }
    for (at, arrival) in Arrival::ALL.into_iter().enumerate() {
        assert_eq!(arrival as usize, at, "{}", arrival.code());
    }
}

#[test]
fn calls_of_tools_are_counted_by_agent_tool_and_outcome() {
    let scene = scene(With::default());
    let seat = scene.call("17.1", true);
    seat.show(glance());
    for figures in [samples(&scene.world), {
        seat.end(glance(), EndReason::CallerHungUp);
        samples(&scene.world)
    }] {
        for (name, value) in [
            (r#"tool_calls_total{agent="default",tool="book",outcome="ask_first"}"#, 1),
            (r#"tool_calls_total{agent="default",tool="book",outcome="ok"}"#, 1),
            (r#"tool_seconds_bucket{agent="default",tool="book",le="0.75"}"#, 0),
            (r#"tool_seconds_bucket{agent="default",tool="book",le="1"}"#, 1),
            (r#"tool_seconds_count{agent="default",tool="book"}"#, 1),
        ] {
            assert_eq!(ours(&figures, name), value, "{name}");
        }
    }
}

#[test]
fn of_the_rate_limits_what_was_told_last_counts_whichever_call_is_over_first() {
    let scene = scene(With::default());
    let (one, other) = (scene.call("17.1", true), scene.call("17.2", true));
    let remaining =
        || ours(&samples(&scene.world), r#"rate_limit_remaining{model="gpt-realtime",of="tokens"}"#);
    let early = now();
    let late = early + ms(1);
    other.show(Glance { rate_limits: Some((late, left(10))), ..Glance::default() });
    one.show(Glance { rate_limits: Some((early, left(20))), ..Glance::default() });
    assert_eq!(remaining(), 10);
    other.end(Glance { rate_limits: Some((late, left(10))), ..Glance::default() }, EndReason::CallerHungUp);
    assert_eq!(remaining(), 10, "and a call that is over is remembered");
    one.show(Glance { rate_limits: Some((late + ms(1), left(30))), ..Glance::default() });
    assert_eq!(remaining(), 30);
}

#[test]
fn what_is_in_the_way_of_callers_is_a_figure_too() {
    let recorder = Arc::new(Mutex::new(RecorderHealth { writing: true, live: 2, unfinished: 1, missed: 9 }));
    let scene = scene(With { recorder: Some(Arc::clone(&recorder)), ..With::default() });
    let well = samples(&scene.world);
    let of = |samples: &Samples| {
        ["recorder_writing", "recorder_live", "recorder_unfinished", "recorder_missed_pieces_total", "ready"]
            .map(|name| ours(samples, name))
    };
    assert_eq!(of(&well), [1, 2, 1, 9, 1]);
    recorder.lock().unwrap().writing = false;
    assert_eq!(of(&samples(&scene.world)), [0, 2, 1, 9, 1], "callers are served without the disk");
    let replaced = scene.daemon.as_ref().unwrap();
    replaced.send_modify(|now| {
        (now.asterisk, now.room) = (AsteriskLink::ApplicationReplaced, Capacity::MaxCalls);
    });
    let ill = samples(&scene.world);
    assert_eq!(of(&ill), [0, 2, 1, 9, 0]);
    for (reason, is_there) in [("application_replaced", 1), ("max_calls_reached", 1), ("draining", 0)] {
        assert_eq!(ours(&ill, &format!("obstacle{{reason=\"{reason}\"}}")), is_there, "{reason}");
    }
    assert_eq!((ours(&ill, "ari_connected"), ours(&ill, "ari_replaced")), (1, 1));
    replaced.send_modify(|now| now.asterisk = AsteriskLink::Away);
    assert_eq!(ours(&samples(&scene.world), "ari_connected"), 0);
}

#[test]
fn the_figures_need_a_readers_token_and_tell_nothing_about_anybody() {
    let tokens = vec![token("ana", Role::Reader, "read-0123456789ab")];
    let scene = scene(With { tokens, ..With::default() });
    // This id is longer than any figure, so no figure can contain it by chance.
    let seat = scene.call("1795180048.171", true);
    seat.show(glance());
    scene.world.get("/metrics").is_problem(401, "token_needed");
    let answer = scene.world.ask("GET", "/metrics", &[("Authorization", "Bearer read-0123456789ab")]);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for word in ["3001234567", "1795180048.171"] {
        assert!(!answer.text().contains(word), "{word} in\n{}", answer.text());
    }
    let refused = scene.world.refusals(1);
    assert!(refused.len() == 1 && refused[0].contains(" 401 "), "{refused:?}");
    assert!(!scene.world.path("access.log").exists(), "who looks in every few seconds is not noted");
}

#[test]
fn the_process_is_told_of_without_a_daemon() {
    let world = World::empty();
    let told = samples(&world);
    assert!(told["process_resident_memory_bytes"] > 1e6 && told["process_open_fds"] > 3.0, "{told:?}");
    assert!(
        told["process_start_time_seconds"] > 1.7e9 && told["process_cpu_seconds_total"] > 0.0,
        "{told:?}"
    );
    assert!(!told.contains_key("openai_inbound_calls_calls_live"));
}

#[test]
fn rows_that_wait_for_a_server_are_counted() {
    let name = "openai_inbound_calls_call_log_undelivered_rows";
    assert!(!samples(&World::empty()).contains_key(name), "without a server nothing waits for one");
    let server = Some("mysql://calls:secret@127.0.0.1:1/calls".parse().unwrap());
    let world = World::over(tempfile::tempdir().unwrap(), With { server, ..With::default() });
    for row_id in ["1", "2", "1"] {
        world.log().offer(Row { row_id: row_id.to_owned(), ..Row::default() });
    }
    // The file may still be opening; then there are no values.
    world.until("both are in the file", |world| samples(world).get(name) == Some(&2.0));
}

#[test]
fn promtool_finds_nothing_to_mend() {
    let recorder = Arc::new(Mutex::new(RecorderHealth::default()));
    let scene = scene(With { recorder: Some(recorder), ..With::default() });
    scene.call("17.1", true).show(glance());
    let text = scene.world.get("/metrics").text().to_owned();
    let (input, output) = (Stdio::piped(), Stdio::piped());
    let started = Command::new("promtool").args(["check", "metrics"]).stdin(input).stderr(output).spawn();
    let mut promtool = match started {
        Ok(promtool) => promtool,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            assert!(std::env::var_os("PROMTOOL_TESTS").is_none(), "promtool is not there");
            return eprintln!("left out: no promtool (tests/run fetches it)");
        }
        Err(error) => panic!("promtool does not start: {error}"),
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = promtool.wait_with_output().unwrap();
    assert!(done.status.success(), "{}\n{text}", String::from_utf8_lossy(&done.stderr));
}
