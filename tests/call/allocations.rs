//! A frame takes no memory: not one allocation in `Call::handle`, packet after packet and tick after tick, both ways.
//! With recording, one for each piece of sound that is handed over, which is every 200 ms. And the longest answers and events of an
//! Asterisk cost no more than a few times their length.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use openai_inbound_calls::ari::event;
use openai_inbound_calls::ari::request::{Reply, Request, media_address};
use openai_inbound_calls::call::record::Keep;
use openai_inbound_calls::exchange::{Exchange, Input, Moment, Output};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, pattern};

use super::world::{MS, World, epoch, rules};

/// The system's allocator, which counts for each thread how often it is asked for memory, and how much the thread holds.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
    /// The bytes that this thread holds; negative if it has freed more than it has taken.
    static HELD: Cell<i64> = const { Cell::new(0) };
    /// The most that it has held since the beginning of the measurement.
    static MOST: Cell<i64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends may still ask for memory; that is not counted.
    ASKED.try_with(|asked| asked.set(asked.get() + 1)).ok();
}

fn hold(bytes: i64) {
    HELD.try_with(|held| {
        held.set(held.get() + bytes);
        MOST.try_with(|most| most.set(most.get().max(held.get()))).ok();
    })
    .ok();
}

#[expect(
    unsafe_code,
    reason = "an allocator cannot be written without; each call is handed to the system's as it is"
)]
// SAFETY: all that matters is done by `System`, with what came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size() as i64);
        // SAFETY: the caller's promises are the system's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // The old block may be copied into the new one.
        hold(size as i64);
        hold(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        hold(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What it gives, and how often it asked for memory.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = ASKED.get();
    let done = work();
    (done, ASKED.get() - before)
}

/// How much memory `work` takes at most, beyond what there was before.
fn most_held<T>(work: impl FnOnce() -> T) -> i64 {
    let before = HELD.get();
    MOST.set(before);
    drop(work());
    MOST.get() - before
}

/// How often a call asks for memory between two moments, and how many packets and ticks it handles meanwhile.
fn between(world: &mut World, from_ms: u64, to_ms: u64) -> (u64, u64) {
    world.run_to(from_ms);
    let before = world.tasks[0].handled;
    world.run_to(to_ms);
    let after = world.tasks[0].handled;
    (after.0 - before.0, after.1 - before.1)
}

/// A call in which the assistant talks for eight seconds, and then the caller.
fn talk(keep: Keep) -> World {
    let mut world = World::new();
    world.set(|settings| settings.keep = keep);
    world.model(|script| script.greeting = Some(Answer::pattern("Un saludo largo.", 8_000, 1)));
    world.dial(vec![Step::Pause(10_000 * MS), Step::Say(pattern(6_000, 100))]);
    world
}

#[test]
fn a_frame_takes_no_memory() {
    let mut world = talk(Keep::NOTHING);
    let (speaking, frames) = between(&mut world, 4_000, 8_000);
    assert!(frames >= 200, "200 packets in, each with one out: {frames}");
    assert_eq!(speaking, 0, "while the assistant speaks, in {frames} inputs");
    let (listening, frames) = between(&mut world, 12_000, 15_000);
    assert!(frames >= 150, "{frames}");
    assert_eq!(listening, 0, "while the caller speaks, in {frames} inputs");
}

#[test]
fn recording_takes_memory_five_times_a_second() {
    let mut world = talk(Keep::ALL);
    let (asked, _) = between(&mut world, 4_000, 8_000);
    assert!((15..=40).contains(&asked), "20 pieces of sound in 4 s, one or two allocations each: {asked}");
}

/// The longest answer that is read, in bytes.
const LONGEST: usize = 4 << 20;

/// Repeats entries, which are made from their numbers, up to the length of the longest answer.
fn longest(begin: &str, entry: impl Fn(usize) -> String, end: &str) -> String {
    let mut text = begin.to_owned();
    for n in 0.. {
        let next = entry(n);
        if text.len() + next.len() + end.len() >= LONGEST {
            break;
        }
        text += &next;
        text.push(',');
    }
    text.pop();
    text + end
}

#[test]
fn the_longest_lists_of_an_asterisk_cost_twice_their_length() {
    let entries: [fn(usize) -> String; 4] = [
        |n| format!("\"{n}\""),
        |n| format!("\"oic-media-{n}\""),
        |n| format!("\"{n:250}\""),
        |_| "\"\"".to_owned(),
    ];
    let bridges: [fn(usize) -> String; 3] = [
        |n| format!(r#"{{"id":"oic-bridge-{n}","channels":[]}}"#),
        |n| format!(r#"{{"id":"oic-bridge-{n:230}","channels":["1"]}}"#),
        |_| r#"{"id":"","channels":[0,0,0,0,0,0,0,0,0,0]}"#.to_owned(),
    ];
    for (which, entry) in entries.into_iter().enumerate() {
        for (other, bridge) in bridges.into_iter().enumerate() {
            let bodies = [longest("{\"channel_ids\":[", entry, "]}"), longest("[", bridge, "]")];
            let held = most_held(|| connect(&bodies));
            assert!(held <= 2 * 2 * LONGEST as i64, "{which}, {other}: {held} bytes");
        }
    }
}

/// An exchange connects to an Asterisk that answers with these bodies: what the application holds, and all bridges.
fn connect(bodies: &[String; 2]) -> Exchange {
    let at = Moment { now: epoch(), wall: chrono::DateTime::default() };
    let mut exchange = Exchange::new(at, rules());
    let outputs: Vec<_> = exchange.handle(at, Input::Connected).collect();
    for output in outputs {
        let Output::Ari(errand, request) = output else { continue };
        // The text of an answer belongs to the test, and is not counted.
        let body = match request {
            Request::Application(_) => &bodies[0],
            Request::Bridges => &bodies[1],
            _ => "",
        };
        let reply = uncounted(|| Reply::Done(body.to_owned()));
        drop(exchange.handle(at, Input::Ari { errand, request: &request, reply: &reply }));
        uncounted(|| drop(reply));
    }
    exchange
}

/// Does something whose memory is not measured.
fn uncounted<T>(work: impl FnOnce() -> T) -> T {
    let (held, most) = (HELD.get(), MOST.get());
    let done = work();
    HELD.set(held);
    MOST.set(most);
    done
}

#[test]
fn the_longest_events_and_descriptions_of_channels_cost_twice_their_length() {
    let list = |begin: &str, end: &str| longest(begin, |_| "0".to_owned(), end);
    let text = "x".repeat(LONGEST);
    let events = [
        list(r#"{"type":"StasisStart","channel":{"id":"1.0","junk":["#, "]}}"),
        list(r#"{"type":"Dial","peer":["#, "]}"),
        format!(r#"{{"type":"{text}"}}"#),
        format!(r#"{{"type":"StasisStart","channel":{{"id":"1.0","name":"{text}"}}}}"#),
    ];
    for event in &events {
        let held = most_held(|| event::parse(event));
        assert!(held <= 2 * LONGEST as i64, "{} …: {held} bytes", &event[..60]);
    }
    let media = [
        list(r#"{"id":"x","channelvars":{"junk":["#, "]}}"),
        list(r#"{"junk":["#, r#"],"local_address":"127.0.0.1","local_port":30000}"#),
    ];
    for body in &media {
        let held = most_held(|| media_address(body));
        assert!(held <= 2 * LONGEST as i64, "{} …: {held} bytes", &body[..30]);
    }
}
