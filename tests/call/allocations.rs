//! A frame takes no memory: not one allocation in `Call::handle`, packet after packet and tick after tick, both ways.
//! With recording, one for each piece of sound that is handed over, which is every 200 ms.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use openai_inbound_calls::call::record::Keep;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, pattern};

use super::world::{MS, World};

/// The system's allocator, which counts for each thread how often it is asked for memory.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends may still ask.
    let _counted_or_not = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

#[expect(
    unsafe_code,
    reason = "an allocator cannot be written without; each call is handed to the system's as it is"
)]
// SAFETY: all that matters is done by `System`, with what came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
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
    assert!(frames >= 400, "200 packets in and 200 out: {frames}");
    assert_eq!(speaking, 0, "while the assistant speaks, in {frames} inputs");
    let (listening, frames) = between(&mut world, 12_000, 15_000);
    assert!(frames >= 300, "{frames}");
    assert_eq!(listening, 0, "while the caller speaks, in {frames} inputs");
}

#[test]
fn recording_takes_memory_five_times_a_second() {
    let mut world = talk(Keep::ALL);
    let (asked, _) = between(&mut world, 4_000, 8_000);
    assert!((15..=40).contains(&asked), "20 pieces of sound in 4 s, one or two allocations each: {asked}");
}
