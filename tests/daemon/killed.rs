//! SIGKILL during twenty calls: the next daemon finds the waiting callers, serves them again, and removes
//! what the first daemon left. `recording` tests the content of their recordings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openai_inbound_calls::sim::asterisk::{CallState, CallerId, Ending};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};

use serde_json::Value;

use crate::recording::documents;
use crate::world::{World, contains, ms, until};

/// The number of callers who have heard the whole greeting when the daemon is killed.
const TALKING: usize = 14;
/// The number of callers who have just called, so that their calls are being set up.
const ARRIVING: usize = 6;
/// The number of talking callers who hang up while there is no daemon.
const LEAVING: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_callers_of_a_killed_daemon_are_served_again_by_the_next() {
    // The two daemons greet with different audio.
    let is_second = Arc::new(AtomicBool::new(false));
    let second_life = Arc::clone(&is_second);
    let world = World::choosing(move |_| {
        let tag = if second_life.load(Ordering::SeqCst) { 2 } else { 1 };
        Arc::new(Script { greeting: Some(Answer::pattern("Hola.", 1_500, tag)), ..Script::default() })
    });
    let mut first = world.program(&[]).await;
    let dial =
        |count: usize| -> Vec<_> { (0..count).map(|_| world.call(vec![Step::Pause(ms(120_000))])).collect() };
    let talking = dial(TALKING);
    until("those who came first have heard the greeting", || {
        talking.iter().all(|call| contains(&world.heard(*call), &pattern(1_500, 1)))
    })
    .await;
    let arriving = dial(ARRIVING);
    let bridges_asked_for = || {
        let journal = world.asterisk.journal();
        journal.iter().filter(|(_, line)| line == "POST /bridges 200").count()
    };
    until("the last calls are being set up", || bridges_asked_for() >= TALKING + ARRIVING).await;
    first.signal("KILL");
    first.exit().await;
    let killed = world.asterisk.journal().len();
    let (left, waiting) = talking.split_at(LEAVING);
    for call in left {
        world.asterisk.hang_up(*call);
    }
    let channel = |call: &CallerId| world.asterisk.outcome(*call).channel;
    let there = [world.asterisk.channels(), world.asterisk.bridges()].concat();
    let orphans: Vec<_> = talking
        .iter()
        .flat_map(|call| ["oic-media-", "oic-bridge-"].map(|kind| format!("{kind}{}", channel(call))))
        .collect();
    assert!(orphans.iter().all(|orphan| there.contains(orphan)), "{orphans:?} in {there:?}");

    is_second.store(true, Ordering::SeqCst);
    let mut second = world.program(&[]).await;
    let waiting: Vec<_> = waiting.iter().chain(&arriving).copied().collect();
    until("everybody who waited is greeted by the second", || {
        waiting.iter().all(|call| contains(&world.heard(*call), &pattern(1_500, 2)))
    })
    .await;
    let journal = world.asterisk.journal();
    for orphan in orphans {
        let deleted = |line: &str| line.starts_with("DELETE ") && line.ends_with(&format!("/{orphan} 204"));
        assert!(journal[killed..].iter().any(|(_, line)| deleted(line)), "{orphan} was not deleted");
    }
    // Each call has one caller's channel, one media channel and one bridge.
    assert_eq!(world.asterisk.channels().len(), 2 * waiting.len(), "{:?}", world.asterisk.channels());
    assert_eq!(world.asterisk.bridges().len(), waiting.len(), "{:?}", world.asterisk.bridges());

    for call in &waiting {
        assert_ne!(world.asterisk.outcome(*call).state, CallState::Gone);
        world.asterisk.hang_up(*call);
    }
    for call in talking.iter().chain(&arriving) {
        world.over(*call).await;
        assert_eq!(world.asterisk.outcome(*call).ended, Some(Ending::CallerHungUp));
    }
    second.signal("TERM");
    assert_eq!(second.exit().await.code(), Some(0));
    let recordings = documents(&world);
    let ended = |reason, call| how_many_ended(&recordings, reason, &channel(call));
    for call in &talking {
        assert_eq!(ended("recovered", call), 1, "the first life's recording");
    }
    for call in &waiting {
        assert_eq!(ended("caller_hung_up", call), 1, "the second life's recording");
    }
}

/// The number of recordings of this channel with this end reason.
fn how_many_ended(recordings: &[(Value, Vec<u8>)], reason: &str, channel: &str) -> usize {
    let is_it = |document: &Value| {
        let of = document["call_id"].as_str().expect("an id");
        // The name of a call gets this suffix if its channel has another recording of the same second.
        document["end_reason"] == reason && of.strip_suffix("-2").unwrap_or(of) == channel
    };
    recordings.iter().filter(|(document, _)| is_it(document)).count()
}
