//! Thousands of random worlds: bad networks, refusals, outages, restarts, stalls, several callers at once, and an end at
//! any moment. The invariants are held by `oracle` and `exchange` after every step, and the rest here when
//! all is over. What happens in the worlds is in `troubles`, and what their tools do in `tools`.
//!
//! `SOAK_WORLDS=10000` runs more of them, `SEED=…` one.

mod evening;
mod tools;
mod troubles;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use openai_inbound_calls::call::Report;
use openai_inbound_calls::call::limits::Limits;
use openai_inbound_calls::call::tools::{Destination, offered};
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::realtime::dialect::TurnDetection;
use openai_inbound_calls::sim::asterisk::{self, Version};
use openai_inbound_calls::sim::realtime::pattern;
use openai_inbound_calls::sim::wire::Impairment;
use openai_inbound_calls::units::MicroUsd;

use super::world::{Dice, MS, Network, WALL, World, mark};
use troubles::{LAST_MS, LONG_MS, happen, troubles};

/// Enough to meet every kind of trouble, few enough for every `cargo test`.
const WORLDS: u64 = 900;
/// What so many worlds must have met, or they prove nothing: ends of calls, and troubles.
const TO_BE_MET: [&str; 49] = [
    "overload",
    "end of overload",
    "take-over",
    "return",
    "the application taken back",
    "day's cost",
    "drain of calls",
    "busy",
    "day_cost_limit",
    "taken_over",
    "caller_hung_up",
    "max_duration",
    "caller_silent",
    "no_audio",
    "token_limit",
    "cost_limit",
    "assistant_hung_up",
    "transferred",
    "supervisor_hung_up",
    "supervisor_transferred",
    "shutdown",
    "session_failed",
    "session_late",
    "session_lost",
    "setup_failed",
    "media_lost",
    "model_failed",
    "asterisk_lost",
    "barge-in",
    "dropped delta",
    "late frame",
    "lost packet",
    "disorder",
    "filled silence",
    "session error",
    "overdue answer",
    "unheard answer",
    "cut answer",
    "a tool's result",
    "a tool whose end nobody knows",
    "a tool that waits for the caller's yes",
    "a tool that is called again",
    "a tool that is busy",
    "a tool with wrong arguments",
    "a caller's yes",
    "a tool's late result",
    "a tool that is let go",
    "a tool when the caller leaves",
    "a tool at the end of the daemon",
];
/// A midnight of the wall clock, Unix seconds.
const MIDNIGHT: i64 = (WALL / 86_400 + 1) * 86_400;
/// A call may take this long to undo what it made, and more until its answers are in.
const UNDONE_MS: u64 = 22_000;
/// So long the next daemon looks for what the one before has left.
const NEXT_MS: u64 = 3_000;

/// Says which world it was, should it not hold.
struct Seed(u64);

#[expect(clippy::print_stderr, reason = "a failed world is asked for again by its seed")]
impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SEED={} cargo test --test call soak", self.0);
        }
    }
}

#[test]
fn soak() {
    if let Some(seed) = variable("SEED") {
        return drop(live(seed, true));
    }
    let worlds = variable("SOAK_WORLDS").unwrap_or(WORLDS);
    let met = Mutex::new(BTreeSet::new());
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < worlds
                {
                    let what = live(seed, false);
                    met.lock().expect("no other world has failed").extend(what);
                }
            });
        }
    });
    let met = met.into_inner().expect("no world has failed");
    let missing: Vec<_> = TO_BE_MET.iter().filter(|what| !met.contains(*what)).collect();
    assert!(worlds < WORLDS || missing.is_empty(), "never met, so nothing is proven: {missing:?}");
}

#[expect(clippy::disallowed_methods, reason = "how long to soak is up to whoever runs it")]
pub(crate) fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The life of one world; its ladders are drawn if it is watched and does not hold.
fn live(seed: u64, watched: bool) -> Vec<&'static str> {
    let _seed = Seed(seed);
    let mut dice = Dice(seed.wrapping_mul(0x1234_5677));
    let mut world = create(seed, &mut dice, watched);
    if !watched {
        world.ladder.off();
    }
    let (last_ms, uneven) = if dice.one_in(16) {
        (evening::live_through(&mut world, &mut dice), false)
    } else {
        live_through(&mut world, &mut dice)
    };
    world.run_to(last_ms);
    for daemon in 0..world.daemons.len() {
        world.stop(daemon, 0);
    }
    world.run_to(last_ms + UNDONE_MS);
    // What an outage has kept this daemon from, the next one does. The next daemon is stopped soon, and no other follows, so
    // Asterisk answers it.
    world.asterisk.fail_no_more();
    world.crash(0);
    world.run_for(NEXT_MS);
    world.stop(0, 0);
    world.run_for(UNDONE_MS);
    judge(&world, uneven);
    tools::judge(&world);
    let met_by_daemons = world.daemons.iter().flat_map(|daemon| {
        let refused = daemon.refused.iter().map(|(_, reason)| reason.code());
        refused.chain(daemon.notices.iter().filter_map(told))
    });
    let met_by_calls = world.tasks.iter().filter_map(|task| task.report.as_ref()).flat_map(met);
    met_by_calls.chain(met_by_daemons).chain(tools::met(&world)).collect()
}

/// Lives through all troubles of a world. Returns when everybody is sent home, and whether the caller's sound may have reached the
/// model in leaps.
fn live_through(world: &mut World, dice: &mut Dice) -> (u64, bool) {
    let last_ms = if dice.one_in(8) { LONG_MS } else { LAST_MS };
    let mut troubles = troubles(dice, last_ms);
    troubles.sort_by_key(|(ms, _)| *ms);
    let uneven = troubles.iter().any(|(_, trouble)| trouble.is_uneven());
    for (ms, trouble) in troubles {
        world.run_to(ms);
        happen(world, trouble);
    }
    (last_ms, uneven)
}

/// What a daemon has told of that worlds must meet.
fn told(notice: &Notice) -> Option<&'static str> {
    match notice {
        Notice::Overloaded { .. } => Some("overload"),
        Notice::OverloadEnded { .. } => Some("end of overload"),
        Notice::AriReplaced { .. } => Some("take-over"),
        Notice::DayCostReached { .. } => Some("day's cost"),
        Notice::Draining { calls: 1.., .. } => Some("drain of calls"),
        Notice::AriBack { .. } => Some("return"),
        Notice::AriReturning { .. } => Some("the application taken back"),
        _ => None,
    }
}

/// What a call has met.
fn met(report: &Report) -> Vec<&'static str> {
    let uplink = &report.uplink;
    let counts = [
        (report.counters.barge_ins, "barge-in"),
        (report.counters.dropped_deltas, "dropped delta"),
        (report.counters.session_errors, "session error"),
        (report.counters.overdue_answers, "overdue answer"),
        (report.counters.unheard_answers, "unheard answer"),
        (report.counters.cut_answers, "cut answer"),
        (report.late_frames, "late frame"),
        (uplink.lost_frames, "lost packet"),
        (uplink.reordered, "disorder"),
        (uplink.filled_frames, "filled silence"),
    ];
    let met = counts.into_iter().filter(|(count, _)| *count > 0).map(|(_, what)| what);
    met.chain([report.reason.code()]).collect()
}

fn create(seed: u64, dice: &mut Dice, watched: bool) -> World {
    let settings = asterisk::Settings {
        version: if dice.one_in(3) { Version::V16 } else { Version::V22 },
        stasis_latency: MS + dice.ms(15),
        keep_journal: watched,
        dialplan: Some(vec![("from-internal".into(), "200".into()), ("humans".into(), "s".into())]),
        ..asterisk::Settings::default()
    };
    let mut world = World::with(seed, settings);
    let bad = |dice: &mut Dice| Impairment {
        latency: dice.ms(30),
        jitter: dice.ms(25),
        loss: if dice.one_in(2) { 0.03 } else { 0.0 },
        reorder: if dice.one_in(2) { 0.03 } else { 0.0 },
        duplicate: if dice.one_in(2) { 0.03 } else { 0.0 },
    };
    world.network = Network {
        ari: (MS + dice.ms(40), dice.ms(120)),
        events: (MS + dice.ms(40), dice.ms(80)),
        model: (2 * MS + dice.ms(150), dice.ms(80)),
        connect: 200 * MS + dice.ms(800),
        media: bad(dice),
        phone: bad(dice),
    };
    let (greets, announces, interrupts) = (!dice.one_in(4), dice.one_in(3), !dice.one_in(4));
    let (hangs_up, falls_back) = (!dice.one_in(4), dice.one_in(2));
    let apology = dice.one_in(2).then(|| pattern(10 + dice.below(1_000), 250));
    let (frames, silence_ms) = (1 + dice.below(5) as u8, 200 + dice.below(400) as u32);
    let limits = Limits {
        duration: dice.one_in(4).then(|| MS * (2_000 + dice.below(5_000) as u32)),
        silence: dice.one_in(3).then(|| MS * (800 + dice.below(1_500) as u32)),
        no_audio: dice.one_in(3).then(|| MS * (500 + dice.below(3_000) as u32)),
        tokens: dice.one_in(4).then(|| 50 + dice.below(400)),
        cost: dice.one_in(4).then(|| MicroUsd::new(500 + dice.below(4_000))),
    };
    world.reloads = dice.one_in(4);
    if dice.one_in(4) {
        world.born = MIDNIGHT - dice.below(LAST_MS / 1_000) as i64;
    }
    if dice.one_in(4) {
        let most = 300 + dice.below(3_000);
        world.decide(|rules| rules.max_day_cost = Some(MicroUsd::new(most)));
        if dice.one_in(2) {
            let earlier = dice.below(most + most / 4);
            world.tell_earlier_cost(0, &[("default", earlier)]);
        }
    }
    if dice.one_in(3) {
        world.take_at_most(1 + dice.below(2) as usize);
    }
    world.set(|settings| {
        settings.limits = limits;
        settings.apology = apology;
        settings.greeting = settings.greeting.take().filter(|_| greets);
        settings.recording_notice = announces.then(|| "Esta llamada se graba.".into());
        settings.session.interrupt = interrupts;
        settings.may_hang_up = hangs_up;
        settings.tells_keys = hangs_up;
        settings.fallback = if falls_back { "humans,s".parse().ok() } else { None };
        settings.destinations = [("ventas", "from-internal,200"), ("nadie", "from-internal,999")]
            .map(|(name, place)| Destination { name: name.into(), place: place.parse().expect("a place") })
            .into();
        settings.tools = tools::kit();
        settings.session.tools = offered(hangs_up, &settings.destinations, &settings.tools);
        settings.uplink_frames_per_append = frames;
        settings.session.turn_detection =
            TurnDetection::Server { threshold: 0.5, prefix_padding_ms: 300, silence_ms };
    });
    tools::fill(&mut world, dice);
    world
}

/// What must be true when all is over.
fn judge(world: &World, uneven: bool) {
    assert!(world.live.is_empty(), "a call does not end: {:?}", world.live);
    assert_eq!(world.left_over(), [""; 0], "left over in Asterisk");
    for phone in 0..world.phones.len() {
        let asked = || {
            let timed = world
                .asterisk
                .journal()
                .iter()
                .map(|(at, line)| (at.saturating_duration_since(world.start), line));
            timed.map(|(at, line)| format!("{:.3} {line}", at.as_secs_f64())).collect::<Vec<_>>()
        };
        assert!(
            world.outcome(phone).ended.is_some(),
            "caller {phone} is kept in the application: {:#?}",
            asked()
        );
    }
    for server in &world.servers {
        // While the last words are waited for nothing is appended any more.
        let closed_late = world.tasks[server.task].took_time_to_close();
        let is_flooded = world.toolbox.is_flooded(server.task);
        let is_excused = |words: &str| {
            // A call answers a number of functions, and no more to a server that calls without end.
            let of_functions =
                words.ends_with("(35)") && (is_flooded || closed_late && is_owed_response(words));
            of_functions || excused(words, uneven || closed_late)
        };
        let is_fault = |words: &&String| !is_excused(words);
        let words: Vec<_> = server.session.violations().iter().filter(is_fault).collect();
        assert!(words.is_empty(), "the model's server complains: {words:?}");
        let phone = &world.phones[world.tasks[server.task].phone];
        for frame in server.session.appended().chunks(160) {
            assert!(mark(frame).is_none_or(|mark| phone.said.contains(&mark)), "a strange voice");
        }
    }
    for phone in &world.phones {
        for heard in phone.caller.heard() {
            assert!(
                mark(&heard.payload).is_none_or(|mark| phone.may_hear.contains(&mark)),
                "a strange voice"
            );
        }
    }
}

/// Whether a server misses the response to the outputs of function calls. A call that ends after its `end_call` asks for none,
/// and stays connected for a while if the server never says that the goodbye is complete.
fn is_owed_response(words: &str) -> bool {
    words.contains("no response.create after the outputs")
}

/// What a server may complain of although we did nothing wrong.
fn excused(words: &str, uneven: bool) -> bool {
    // A call that is not run for a while says what it says too late: audio, a cancel of what is done meanwhile, a
    // request while the server has begun by itself.
    let late = ["of real time", "response_cancel_not_active", "conversation_already_has_active_response"];
    uneven && late.iter().any(|late| words.contains(late))
}
