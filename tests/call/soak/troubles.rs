//! What happens to the worlds of the soak, and when: calls, faults of Asterisk and of the model's server, losses, restarts,
//! rivals and the operator's decisions.

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::call::Wish;
use openai_inbound_calls::exchange::Order;
use openai_inbound_calls::sim::asterisk::{self, Codec, IncomingCall, Stop};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Fault, FaultKind, Script, Trigger, pattern};
use openai_inbound_calls::units::MicroUsd;

use super::tools;
use crate::exchange::Machine;
use crate::task::Happened;
use crate::world::{Dice, MS, World};

/// After this time everybody is sent home.
pub(super) const LAST_MS: u64 = 9_000;
/// The same in the few worlds that are there for what takes long: answers that are owed and do not come.
pub(super) const LONG_MS: u64 = 75_000;

/// How often Asterisk refuses to let callers go on who are kept: the 20 times that are half a second apart, and then some that
/// are 5 s apart.
const KEPT: usize = 22;
/// The path of the requests that Asterisk refuses then.
const KEEPS: &str = "/continue";

/// Something that comes from outside.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    Dial {
        ringing: bool,
        steps: Vec<Step>,
        scripts: Vec<Arc<Script>>,
    },
    HangUp {
        phone: usize,
    },
    Ari {
        method: &'static str,
        path: &'static str,
        fault: asterisk::Fault,
    },
    /// Asterisk lets no caller go on for longer than a daemon that stops has patience.
    KeepCallers,
    LoseAri {
        ms: u64,
    },
    Crash {
        daemon: usize,
        ms: u64,
    },
    Stop {
        how: Stop,
    },
    Start,
    Stall {
        task: usize,
        ms: u64,
    },
    HoldUp {
        task: usize,
        ms: u64,
    },
    DropSession {
        task: usize,
    },
    LoseMedia {
        task: usize,
    },
    /// A supervisor hangs up (true), or hands the caller over.
    Supervise {
        task: usize,
        hangs_up: bool,
    },
    Unreachable {
        ms: u64,
    },
    Drain {
        daemon: usize,
        ms: u64,
    },
    /// A second daemon registers the same application.
    Rival,
    /// Only this daemon's event socket breaks: it takes the application back.
    CutLink {
        daemon: usize,
    },
    Burden {
        machine: Machine,
    },
    /// The operator decides anew.
    Decide {
        max_calls: usize,
        max_day_cost: Option<u64>,
    },
}

impl Trouble {
    /// Whether the caller's sound may reach the model in leaps: what had waited comes in one go, and of a pause that
    /// began before the session the model learns only when it is over.
    pub(super) fn is_uneven(&self) -> bool {
        let pauses = |step: &Step| matches!(step, Step::StopSending(_) | Step::Hold(_) | Step::Press(_));
        match self {
            Self::Stall { .. } | Self::HoldUp { .. } => true,
            Self::Dial { steps, .. } => steps.iter().any(pauses),
            _ => false,
        }
    }
}

/// All that will happen, and when.
pub(super) fn troubles(dice: &mut Dice, last_ms: u64) -> Vec<(u64, Trouble)> {
    let mut troubles = Vec::new();
    let is_long = last_ms > LAST_MS;
    let callers = if is_long { 1 } else { 1 + dice.below(3) };
    for phone in 0..callers {
        let at = dice.below(1_500);
        let sessions = 1 + dice.below(2);
        let scripts = (0..sessions).map(|_| Arc::new(script(dice, phone as u8))).collect();
        let dial = Trouble::Dial { ringing: dice.one_in(3), steps: steps(dice, phone as u8), scripts };
        troubles.push((at, dial));
        let until = if dice.one_in(2) { 1_200 } else { LAST_MS - 2_000 };
        if !is_long && !dice.one_in(4) {
            troubles.push((at + dice.below(until), Trouble::HangUp { phone: phone as usize }));
        }
    }
    for _ in 0..dice.below(4) {
        troubles.push((dice.below(LAST_MS), ari_fault(dice)));
    }
    for _ in 0..dice.below(3) {
        let (at, task, long) = (dice.below(LAST_MS - 500), dice.below(callers) as usize, dice.below(400));
        match dice.below(11) {
            0 => troubles.push((at, Trouble::LoseAri { ms: dice.below(3_500) })),
            1 => {
                let how = if dice.one_in(2) { Stop::Kill } else { Stop::Terminate };
                troubles.push((at, Trouble::Stop { how }));
                troubles.push((at + 100 + long * 5, Trouble::Start));
            }
            2 => troubles.push((at, Trouble::Stall { task, ms: long * 3 })),
            3 | 4 => troubles.push((at, Trouble::HoldUp { task, ms: long })),
            5 => {
                // And perhaps each that follows, until the call gives up.
                let drops = if dice.one_in(2) { 1 } else { 5 };
                let begins = if drops > 1 { at % 2_500 } else { at };
                troubles.extend((0..drops).map(|n| (begins + n * 1_300, Trouble::DropSession { task })));
            }
            6 => troubles.push((at.min(1_500), Trouble::Unreachable { ms: long * 5 })),
            7 => troubles.push((at, Trouble::Drain { daemon: 0, ms: long * 10 })),
            // Early enough: whom the next daemon has not found when it stops itself, he waits for the one after it.
            9 => troubles.push((at % 3_000, Trouble::Crash { daemon: 0, ms: 300 + long * 5 })),
            8 => troubles.push((at, Trouble::LoseMedia { task })),
            _ => troubles.push((at, Trouble::Drain { daemon: 0, ms: 0 })),
        }
    }
    troubles.extend(exchange_troubles(dice));
    troubles.extend(last_moment(dice, last_ms));
    if dice.one_in(3) {
        let path = ["/channels/oic-media", "/bridges/oic-bridge"][dice.below(2) as usize];
        let fault = asterisk::Fault::DoneLater(dice.ms(600));
        troubles.push((dice.below(LAST_MS), Trouble::Ari { method: "DELETE", path, fault }));
    }
    if dice.one_in(6) {
        let (task, hangs_up) = (dice.below(callers) as usize, dice.one_in(2));
        troubles.push((dice.below(LAST_MS), Trouble::Supervise { task, hangs_up }));
    }
    troubles
}

/// What happens to the PBX side in some of the worlds.
fn exchange_troubles(dice: &mut Dice) -> Vec<(u64, Trouble)> {
    let mut troubles = Vec::new();
    if dice.one_in(5) {
        let begins = dice.below(LAST_MS - 3_000);
        troubles.push((begins, Trouble::Rival));
        for _ in 0..dice.below(4) {
            let (at, daemon) = (begins + dice.below(LAST_MS - begins), dice.below(2) as usize);
            let ms = dice.below(2_000);
            troubles.push((
                at,
                match dice.below(4) {
                    0 => Trouble::Crash { daemon, ms: 300 + ms },
                    1 => Trouble::Drain { daemon, ms },
                    _ => Trouble::CutLink { daemon },
                },
            ));
        }
    }
    if dice.one_in(4) {
        let begins = dice.below(LAST_MS - 2_000);
        let machine = if dice.one_in(3) { Machine::Full } else { Machine::Overloaded };
        troubles.push((begins, Trouble::Burden { machine }));
        troubles.push((begins + dice.below(5_000), Trouble::Burden { machine: Machine::Idle }));
        // Somebody calls while the daemon is overloaded.
        troubles.push((begins + 2_600 + dice.below(1_500), late_call(dice)));
    }
    if dice.one_in(4) {
        let max_day_cost = (!dice.one_in(3)).then(|| 100 + dice.below(1_500));
        let max_calls = if dice.one_in(3) { dice.below(3) as usize } else { usize::MAX };
        troubles.push((dice.below(LAST_MS), Trouble::Decide { max_calls, max_day_cost }));
        troubles.push((dice.below(LAST_MS), late_call(dice)));
    }
    troubles
}

/// Somebody calls in the moment in which every daemon is stopped, and perhaps Asterisk does not let them go.
fn last_moment(dice: &mut Dice, last_ms: u64) -> Vec<(u64, Trouble)> {
    let mut troubles = Vec::new();
    if dice.one_in(2) {
        troubles.push((last_ms - dice.below(250), late_call(dice)));
        if dice.one_in(4) {
            troubles.push((last_ms - 1, Trouble::KeepCallers));
        }
    }
    troubles
}

/// Somebody calls who is answered by the usual assistant, if by any.
pub(super) fn late_call(dice: &mut Dice) -> Trouble {
    Trouble::Dial { ringing: dice.one_in(2), steps: vec![Step::Pause(60_000 * MS)], scripts: Vec::new() }
}

fn ari_fault(dice: &mut Dice) -> Trouble {
    let places = [
        ("POST", "/bridges"),
        ("POST", "/externalMedia"),
        ("POST", "/addChannel"),
        ("POST", "/answer"),
        ("POST", "/ring"),
        ("POST", "/variable"),
        ("POST", KEEPS),
        ("DELETE", "/channels"),
        ("DELETE", "/bridges"),
        ("GET", "/applications"),
        ("GET", "/channels"),
        ("GET", "/events"),
    ];
    let (method, path) = places[dice.below(places.len() as u64) as usize];
    let status = [400, 404, 409, 422, 500, 503][dice.below(6) as usize];
    // What Asterisk says is not there, is not there: it does not lie about that.
    let lies = method == "DELETE"
        || [KEEPS, "/applications"].contains(&path)
        || method == "GET" && path == "/channels";
    let status = if lies && (404..=409).contains(&status) { 500 } else { status };
    let fault = match dice.below(4) {
        0 => asterisk::Fault::Status(status),
        1 => asterisk::Fault::ConnectionLost,
        2 => asterisk::Fault::Delay(Duration::from_millis(dice.below(4_000))),
        _ => asterisk::Fault::OkButReplyLost,
    };
    Trouble::Ari { method, path, fault }
}

/// What a caller does; his sounds are his alone.
fn steps(dice: &mut Dice, phone: u8) -> Vec<Step> {
    let mut steps = Vec::new();
    for n in 0..2 + dice.below(6) as u8 {
        let ms = dice.below(1_500);
        steps.push(match dice.below(9) {
            0..4 => Step::Say(pattern(100 + ms, 200 + phone * 10 + n)),
            4 => Step::Pause(MS * ms as u32),
            5 => Step::AfterHearing(MS * ms as u32),
            6 => Step::Press('5'),
            7 => Step::StopSending(MS * ms as u32),
            _ => Step::Hold(dice.one_in(2)),
        });
    }
    steps
}

fn script(dice: &mut Dice, phone: u8) -> Script {
    let tag = 10 + phone * 20;
    let sound = |dice: &mut Dice, n| Answer::pattern("Ya veo.", 200 + dice.below(3_000), tag + n);
    // Some models want the same thing until it is done, and then once more.
    let insists = dice.one_in(6);
    let answers = (1..5).map(|n| {
        let answer = sound(dice, n);
        if insists {
            return Answer::call("book", r#"{"day":"hoy"}"#).and(answer);
        }
        let answer = if dice.one_in(3) { answer.and(sound(dice, n + 4)) } else { answer };
        if dice.one_in(2) { tool_calls(dice, answer) } else { answer }
    });
    let mut script = Script {
        answers: answers.collect(),
        think: 50 * MS + dice.ms(400),
        burst: [1.0, 1.5, 4.0, 30.0][dice.below(4) as usize],
        delta_ms: [20, 100, 200, 400][dice.below(4) as usize],
        delta_extra_bytes: dice.below(9) as usize,
        terse_cancel: dice.one_in(4),
        // Messages cross for as long as they take.
        race_grace: 600 * MS,
        keep_journal: false,
        ..Script::default()
    };
    script.greeting = Some(sound(dice, 0));
    for _ in 0..dice.below(3) {
        let trigger = match dice.below(4) {
            0 => Trigger::OnConnect,
            1 => Trigger::At(dice.ms(7_000)),
            2 => Trigger::OnResponse(1 + dice.below(3) as u32),
            _ => Trigger::OnTurn(1 + dice.below(2) as u32),
        };
        script.faults.push(Fault::new(trigger, fault(dice)));
    }
    script
}

/// An answer with calls of functions before it or behind it; or calls alone.
fn tool_calls(dice: &mut Dice, answer: Answer) -> Answer {
    let call = |dice: &mut Dice| match dice.below(12) {
        0 | 1 => Answer::call("end_call", "{}"),
        2 | 3 => Answer::call("transfer_call", r#"{"destination":"ventas","summary":"Ana."}"#),
        4 => Answer::call("transfer_call", r#"{"destination":"nadie","summary":"Ana."}"#),
        5 => Answer::call("dial", "{"),
        _ => {
            let (name, arguments) = tools::call(dice);
            Answer::call(name, arguments)
        }
    };
    let one = call(dice);
    match dice.below(4) {
        0 => one,
        1 => one.and(answer),
        2 => one.and(call(dice)),
        _ => answer.and(one),
    }
}

fn fault(dice: &mut Dice) -> FaultKind {
    match dice.below(33) {
        0 => FaultKind::Refuse([401, 429, 500, 503][dice.below(4) as usize]),
        1 => FaultKind::CreatedLate(dice.ms(3_000)),
        2 => FaultKind::UpdatedNever,
        3 => FaultKind::UpdateRefused("invalid_value".into()),
        4 => FaultKind::Unknowns,
        5 => FaultKind::NoAcks,
        6 => FaultKind::TranscriptLate(dice.ms(3_000)),
        7 => FaultKind::TranscriptAfterNext,
        8 => FaultKind::TranscriptFailed,
        9 => FaultKind::FalseStart,
        10 => FaultKind::DoneWithoutCreated,
        11 | 12 => FaultKind::DeltasAfterCancel(1 + dice.below(12) as u32),
        13 => FaultKind::NoRateLimits,
        14 | 15 => FaultKind::ResponseFails(
            ["rate_limit_exceeded", "server_error", "insufficient_quota"][dice.below(3) as usize].into(),
        ),
        16 => FaultKind::ResponseIncomplete("max_output_tokens".into()),
        17 => FaultKind::Close(1011, "keepalive ping timeout".into()),
        18 => FaultKind::Drop,
        19 => FaultKind::Stall,
        20 => FaultKind::InvalidJson,
        21 => FaultKind::BrokenArguments,
        22 => FaultKind::CallIncomplete,
        23 => FaultKind::ResponseIgnored,
        24 => FaultKind::ResponseStuck,
        25 => FaultKind::ResponseStalls,
        26 => FaultKind::ResponseAbandoned,
        27 => FaultKind::DoneNever,
        28 => FaultKind::ResponseEmpty,
        29 => FaultKind::ResponseMuteIncomplete("content_filter".into()),
        30 => FaultKind::ResponseInText,
        31 => FaultKind::Mute,
        _ => FaultKind::Error(["server_error", "session_expired", "odd"][dice.below(3) as usize].into()),
    }
}

pub(super) fn happen(world: &mut World, trouble: Trouble) {
    match trouble {
        Trouble::Dial { ringing, steps, scripts } => {
            let call = IncomingCall { answered: !ringing, codec: Codec::Ulaw, ..IncomingCall::default() };
            let phone = world.dial_as(call, steps);
            world.phones[phone].scripts = scripts;
        }
        Trouble::HangUp { phone } => {
            if phone < world.phones.len() {
                world.hang_up(phone);
            }
        }
        Trouble::Ari { method, path, fault } => world.asterisk.fail_next(method, path, fault),
        Trouble::KeepCallers => {
            for _ in 0..KEPT {
                world.asterisk.fail_next("POST", KEEPS, asterisk::Fault::Status(500));
            }
        }
        Trouble::LoseAri { ms } => world.lose_ari(ms),
        Trouble::Crash { daemon, ms } if daemon < world.daemons.len() => world.kill(daemon, ms),
        Trouble::Stop { how } => world.stop_asterisk(how),
        Trouble::Start => {
            world.asterisk.start(world.now);
            world.drain_asterisk();
        }
        Trouble::Stall { task, ms } if task < world.tasks.len() => world.stall(task, ms),
        Trouble::HoldUp { task, ms } if task < world.tasks.len() => world.hold_up(task, ms),
        Trouble::DropSession { task } if task < world.tasks.len() => world.drop_session(task),
        Trouble::Supervise { task, hangs_up } if task < world.tasks.len() => {
            let destination = world.settings.destinations[0].clone();
            let wish = if hangs_up { Wish::HangUp } else { Wish::HandOver(destination) };
            world.happen(task, Happened::Told(Order::Supervisor(wish)));
        }
        Trouble::LoseMedia { task } if task < world.tasks.len() => world.lose_media(task),
        Trouble::Unreachable { ms } => {
            world.model_down_until = Some(world.now + Duration::from_millis(ms));
        }
        Trouble::Drain { daemon, ms } if daemon < world.daemons.len() => world.stop(daemon, ms),
        Trouble::CutLink { daemon } if daemon < world.daemons.len() => world.cut_link(daemon),
        Trouble::Rival => {
            let rules = world.daemons[0].rules.clone();
            world.start_daemon(rules);
        }
        Trouble::Burden { machine } => world.burden(machine),
        Trouble::Decide { max_calls, max_day_cost } => world.decide(|rules| {
            (rules.max_calls, rules.max_day_cost) = (max_calls, max_day_cost.map(MicroUsd::new));
        }),
        Trouble::Stall { .. }
        | Trouble::HoldUp { .. }
        | Trouble::DropSession { .. }
        | Trouble::Supervise { .. }
        | Trouble::LoseMedia { .. }
        | Trouble::Crash { .. }
        | Trouble::Drain { .. }
        | Trouble::CutLink { .. } => {}
    }
}
