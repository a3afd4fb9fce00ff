//! Tests that nothing of a call prints a caller's number or the name of their channel by its `Debug` form: developers log
//! any of these values.

use openai_inbound_calls::call::record::{Entry, Keep, Opening};
use openai_inbound_calls::live::{Facts, Route};
use openai_inbound_calls::registry::Row;
use openai_inbound_calls::sim::asterisk::{Fault, IncomingCall};
use openai_inbound_calls::sim::caller::Step;

use super::world::{MS, World};

const CALLER: &str = "3005550123";
const CUSTOMER: &str = "3109998877";

/// Whether the text contains eight digits of a number in a row. Fewer could be part of an instant.
fn shows(text: &str, number: &str) -> bool {
    (0..=number.len() - 8).any(|at| text.contains(&number[at..at + 8]))
}

#[test]
fn nothing_that_happens_to_a_call_and_nothing_that_comes_out_of_it_prints_a_number() {
    let mut world = World::new();
    world.printed = Some(String::new());
    let call = IncomingCall { number: CALLER.into(), endpoint: CALLER.into(), ..IncomingCall::default() };
    world.dial_as(call, vec![Step::Pause(60_000 * MS)]);
    world.asterisk.fail_next("POST", "/answer", Fault::Status(500));
    world.run_to(2_500);
    world.transfer(0, CUSTOMER);
    world.run_to(5_000);
    let state = format!("{:?} {:?}", world.tasks[0].call, world.daemons[0].exchange);
    world.asterisk.fail_next("DELETE", "/bridges/", Fault::Status(500));
    world.hang_up(0);
    world.run_for(5_000);
    let report = format!("{:?}", world.report(0));
    let printed = world.printed.take().expect("it was asked for");
    for part in
        ["StasisStart(", "Start(", "Seed {", "Renumbered(", "Replaced", "CallReceived", "Caller(", "Refused"]
    {
        assert!(printed.contains(part), "the call went through {part}");
    }
    for number in [CALLER, CUSTOMER] {
        for text in [&printed, &state, &report] {
            let line = text.lines().find(|line| shows(line, number));
            assert_eq!(line, None, "{number}");
        }
    }
    assert!(
        world.tasks[0].recorded.entries.contains(&Entry::Caller(CUSTOMER.into())),
        "the recording has it"
    );
}

#[test]
fn what_is_kept_of_a_call_does_not_print_the_number() {
    let row = Row { caller: CALLER.into(), ..Row::default() };
    let opening = Opening {
        channel: "17.3".into(),
        caller: CALLER.into(),
        called: "900".into(),
        model: String::new(),
        agent: String::new(),
        agent_version: String::new(),
        started: chrono::DateTime::UNIX_EPOCH.fixed_offset(),
        keep: Keep::ALL,
    };
    let facts = Facts {
        id: "17.3".into(),
        recording_id: None,
        caller: CALLER.into(),
        called: "900".into(),
        route: Route::Media,
        model: String::new(),
        transcription_model: None,
        agent: String::new(),
        agent_version: String::new(),
        offered_at: chrono::DateTime::UNIX_EPOCH.fixed_offset(),
        destinations: Vec::new(),
    };
    let printed = format!("{row:?} {opening:?} {facts:?}");
    assert!(!shows(&printed, CALLER), "{printed}");
}
