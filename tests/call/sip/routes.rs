//! Thousands of random worlds in which both routes are mixed: callers in Asterisk whose sound we carry or for whom Asterisk calls
//! OpenAI, and calls that a carrier makes to OpenAI, in one daemon with one limit of calls and one of the day's cost. The operator
//! changes the routes, and the daemon, Asterisk and OpenAI die. Whatever happens, nothing is left and nobody is lost.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openai_inbound_calls::agents::{Entry, Roster};
use openai_inbound_calls::call::Settings;
use openai_inbound_calls::exchange::{Agent, Agents, Rules};
use openai_inbound_calls::sim::asterisk::{Fault, Settings as AsteriskSettings, Version};
use openai_inbound_calls::sim::openai_calls::Script;
use openai_inbound_calls::sim::realtime::{self, Answer, FaultKind, Trigger};
use openai_inbound_calls::units::MicroUsd;

use super::pbx::{Pbx, Step};
use super::soak::{Dice, acceptance, say};
use super::{script, settings};
use crate::soak::variable;
use crate::world::rules as usual;

/// Worlds of a usual run.
const WORLDS: u64 = 300;
/// What so many worlds must have met, or they prove nothing.
const TO_BE_MET: [&str; 24] = [
    "carrier assistant_hung_up",
    "carrier caller_hung_up",
    "carrier max_duration",
    "carrier session_lost",
    "carrier shutdown",
    "dialled assistant_hung_up",
    "dialled caller_hung_up",
    "dialled max_duration",
    "dialled session_lost",
    "dialled setup_failed",
    "dialled shutdown",
    "dialled transferred",
    "media assistant_hung_up",
    "media asterisk_lost",
    "media caller_hung_up",
    "media max_duration",
    "media session_lost",
    "media setup_failed",
    "media shutdown",
    "media transferred",
    "refused busy",
    "refused day_cost_limit",
    "rejected 486",
    "rejected 603",
];
/// The numbers of the agents `voz` and `linea`; whoever dials another reaches the agent of the environment.
const NUMBERS: [&str; 3] = ["601", "602", "3241000752"];

/// What may fail in Asterisk, and how.
fn failure(dice: &mut Dice) -> Step {
    const PATHS: [(&str, &str); 11] = [
        ("POST", "/channels"),
        ("POST", "/externalMedia"),
        ("POST", "/bridges"),
        ("POST", "/addChannel"),
        ("POST", "/answer"),
        ("POST", "/snoop"),
        ("POST", "/record"),
        ("POST", "/continue"),
        ("DELETE", "/channels"),
        ("DELETE", "/bridges"),
        ("DELETE", "/recordings"),
    ];
    let (method, path) = PATHS[dice.roll(PATHS.len() as u64) as usize];
    let fault = match dice.roll(4) {
        0 => Fault::Status(500),
        1 => Fault::ConnectionLost,
        2 => Fault::OkButReplyLost,
        _ => Fault::Delay(Duration::from_millis(dice.roll(4_000))),
    };
    Step::Fails(method, path, fault)
}

/// What goes wrong in the sessions whose sound we carry.
fn trouble(dice: &mut Dice) -> realtime::Fault {
    let at = Trigger::At(Duration::from_millis(dice.roll(15_000)));
    let nth = 1 + dice.roll(3) as u32;
    match dice.roll(12) {
        0 => realtime::Fault::new(Trigger::OnConnect, FaultKind::Refuse(503)),
        1 => realtime::Fault::new(Trigger::OnConnect, FaultKind::RefuseAs(401, "invalid_api_key".into())),
        2 => realtime::Fault::new(Trigger::OnConnect, FaultKind::UpdatedNever),
        3 => realtime::Fault::new(at, FaultKind::Drop),
        4 => realtime::Fault::new(at, FaultKind::Close(1011, "server_error".into())),
        5 => realtime::Fault::new(at, FaultKind::Expire),
        6 => realtime::Fault::new(at, FaultKind::Mute),
        7 => realtime::Fault::new(Trigger::OnResponse(nth), FaultKind::ResponseFails("server_error".into())),
        8 => realtime::Fault::new(Trigger::OnResponse(nth), FaultKind::ResponseStuck),
        9 => realtime::Fault::new(Trigger::OnResponse(nth), FaultKind::ResponseIgnored),
        10 => realtime::Fault::new(Trigger::OnTurn(nth), FaultKind::TranscriptNever),
        _ => realtime::Fault::new(Trigger::OnResponse(nth), FaultKind::DoneNever),
    }
}

fn model(dice: &mut Dice) -> realtime::Script {
    let answer = |dice: &mut Dice| {
        let words = Answer::pattern("Con mucho gusto.", 300 + dice.roll(2_500), dice.roll(250) as u8);
        let transfer = Answer::call("transfer_call", r#"{"destination":"ventas","summary":"x"}"#);
        match dice.roll(8) {
            0 => words.and(Answer::call("end_call", "{}")),
            1 => words.and(transfer),
            2 => transfer,
            _ => words,
        }
    };
    realtime::Script {
        answers: (0..12).map(|_| answer(dice)).collect(),
        faults: if dice.one_in(2) { vec![trouble(dice)] } else { Vec::new() },
        keep_audio: false,
        keep_journal: false,
        ..realtime::Script::default()
    }
}

/// The agents, each on its route.
fn agents(settings: &Settings, dice: &mut Dice) -> Agents {
    let limit = dice.one_in(4).then(|| MicroUsd::new(dice.roll(1_500)));
    let mut agent = |name: &str| {
        let settings =
            Settings { dial: dice.one_in(2).then(|| "PJSIP/proj_1@openai".into()), ..settings.clone() };
        Agent { name: name.into(), version: "".into(), settings: Arc::new(settings), max_day_cost: limit }
    };
    let default = Agent { max_day_cost: None, ..agent("default") };
    let others = vec![agent("voz"), agent("linea")];
    let entry = |name: &str, number: &str| Entry {
        name: name.into(),
        numbers: vec![number.parse().expect("a number")],
        closed: None,
    };
    let roster = Roster::new(vec![entry("voz", NUMBERS[0]), entry("linea", NUMBERS[1])]);
    Agents::new(default, others, roster.expect("no number twice"))
}

/// What the operator decides.
fn decision(settings: &Settings, dice: &mut Dice) -> Rules {
    Rules {
        settings: Arc::new(settings.clone()),
        agents: agents(settings, dice),
        max_calls: if dice.one_in(2) { 1 + dice.roll(3) as usize } else { usize::MAX },
        max_day_cost: dice.one_in(3).then(|| MicroUsd::new(200 + dice.roll(4_000))),
        judges_strain: false,
        shutdown_grace: Duration::from_secs(dice.roll(30)),
        ..usual()
    }
}

fn step(dice: &mut Dice, settings: &Settings) -> Step {
    let n = dice.roll(4) as usize;
    match dice.roll(34) {
        0..=6 => Step::CallsTo(NUMBERS[dice.roll(3) as usize]),
        7 | 8 => Step::CarrierCalls,
        9 => Step::HangsUp(n),
        10..=12 => Step::PutsDown(n),
        13 | 14 => Step::Cuts(n),
        15 => Step::OpenAiEnds(n),
        16 => Step::WebhookAgain(n),
        17 => Step::StrangerCalls(format!("{:032x}", dice.roll(3))),
        18 => Step::Presses(n, '5'),
        19 => Step::LosesEvents,
        20 if dice.one_in(3) => Step::AsteriskDies,
        21 if dice.one_in(3) => Step::DaemonDies,
        22 if dice.one_in(3) => Step::OpenAiDies(500 + dice.roll(20_000)),
        23 if dice.one_in(3) => Step::Restarts,
        24 if dice.one_in(6) => Step::Stops,
        25 | 26 => Step::Decides(Box::new(decision(settings, dice))),
        27 | 28 => failure(dice),
        29..=31 => Step::Speaks(n, 200 + dice.roll(2_000)),
        _ => Step::Says(n, 200 + dice.roll(3_000)),
    }
}

/// The life of one world.
fn world(seed: u64) -> Pbx {
    let mut dice = Dice::of(seed);
    let script = Script {
        says: (0..12).map(|_| say(&mut dice)).collect(),
        acceptances: if dice.one_in(3) { vec![acceptance(&mut dice)] } else { Vec::new() },
        unknown_handshakes: if dice.one_in(3) { dice.roll(8) as u32 } else { 0 },
        failing_hangups: if dice.one_in(4) { dice.roll(8) as u32 } else { 0 },
        tells_end: !dice.one_in(5),
        ..script(&[])
    };
    let mut settings = settings();
    settings.limits.silence = dice.one_in(2).then(|| Duration::from_secs(8));
    // A call whose sound we carry has fifty packets a second.
    settings.limits.duration = Some(Duration::from_secs(10 + dice.roll(30)));
    settings.recording_notice = dice.one_in(4).then(|| "Esta llamada se graba.".to_owned());
    settings.uplink_frames_per_append = 5;
    let version = if dice.one_in(2) { Version::V16 } else { Version::V22 };
    let asterisk = AsteriskSettings { version, keep_journal: false, ..AsteriskSettings::default() };
    let rules = decision(&settings, &mut dice);
    let mut pbx = Pbx::new(settings.clone(), script, asterisk, |_| rules);
    pbx.model = Arc::new(model(&mut dice));
    pbx.at(dice.roll(100), Step::CallsTo(NUMBERS[dice.roll(3) as usize]));
    let mut at = dice.roll(500);
    for _ in 0..4 + dice.roll(18) {
        pbx.at(at, step(&mut dice, &settings));
        at += dice.roll(3_000);
    }
    pbx.run_to(8_000);
    pbx
}

#[test]
fn soak_of_both_routes_leaves_nothing_and_loses_nobody() {
    if let Some(seed) = variable("SEED") {
        return world(seed).is_clean();
    }
    let worlds = variable("SOAK_WORLDS").unwrap_or(WORLDS);
    let (met, next) = (Mutex::new(BTreeSet::new()), AtomicU64::new(1));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed <= worlds
                {
                    let outcome = std::panic::catch_unwind(|| {
                        let pbx = world(seed);
                        pbx.is_clean();
                        pbx.met
                    });
                    let new =
                        outcome.unwrap_or_else(|_| panic!("SEED={seed} cargo test --test call both_routes"));
                    met.lock().expect("no other world has failed").extend(new);
                }
            });
        }
    });
    let met = met.into_inner().expect("no world has failed");
    let missing: Vec<_> = TO_BE_MET.iter().filter(|what| !met.contains(**what)).collect();
    assert!(worlds < WORLDS || missing.is_empty(), "never met, so nothing is proven: {missing:?}");
}
