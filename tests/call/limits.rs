//! What a call may not exceed: its length, silence, silence on the wire, its cost, and how many there may be.

use std::time::Duration;

use openai_inbound_calls::call::ledger::Prices;
use openai_inbound_calls::call::limits::Limits;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::sim::asterisk::Ending;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Fault, FaultKind, Trigger, VadScript, pattern};
use openai_inbound_calls::units::{Cost, MicroUsd};

use super::ladder::{Show, check};
use super::world::{MS, World};

const HUNG_UP: Ending = Ending::HungUp { cause: 16, sip_status: None };

fn limited(limits: Limits) -> World {
    let mut world = World::new();
    world.set(|settings| settings.limits = limits);
    world
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn in_order(world: &World, reason: EndReason, ended: &Ending) {
    assert!(world.violations().is_empty(), "{:?}", world.violations());
    assert_eq!(world.left_over(), [""; 0]);
    assert_eq!((world.report(0).reason, world.outcome(0).ended.as_ref()), (reason, Some(ended)));
}

/// Sound that is there, and says nothing: the low hiss of a telephone's comfort noise.
fn comfort_noise(ms: u64) -> std::sync::Arc<[u8]> {
    pattern(ms, 77).iter().map(|byte| 0x7C | (byte & 0x83)).collect()
}

#[test]
fn a_caller_who_stays_silent_is_asked_and_then_said_goodbye_to() {
    let mut world = limited(Limits { silence: Some(seconds(5)), ..Limits::default() });
    world.dial(vec![Step::Say(comfort_noise(60_000))]);
    world.run_to(60_000);
    check(&world.ladder, Show::TALK, "
                       caller    Asterisk  us        model
                0.004  │         │         ├────────▶│  connect
                0.026  ╞═════════╪════════▶│         │  voice 16000 ms
                0.104  │         │         │◀────────┤  connected
                0.104  │         │         │◀────────┤  session.created
                0.104  │         │         ├────────▶│  session.update
                0.144  │         │         │◀────────┤  session.updated
                0.144  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
                0.144  │         │         ╞════════▶│  voice 16000 ms
                0.184  │         │         │◀────────┤  created resp_1
                0.484  │         │         │◀════════╡  item_1 1500 ms
                0.486  │◀════════╪═════════╡         │  item_1 1500 ms
                0.534  │         │         │◀────────┤  done resp_1 completed
                6.966  │         │         ├────────▶│  respond: The caller has not spoken for a while. Ask in a few words whether they are still there, and nothing else.
                7.006  │         │         │◀────────┤  created resp_2
                7.306  │         │         │◀════════╡  item_2 1500 ms
                7.306  │◀════════╪═════════╡         │  item_2 1500 ms
                7.356  │         │         │◀────────┤  done resp_2 completed
               13.786  │         │         ├────────▶│  respond: The caller has not spoken for a long time. Say goodbye in one short sentence.
               13.826  │         │         │◀────────┤  created resp_3
               14.126  │         │         │◀════════╡  item_3 1500 ms
               14.126  │◀════════╪═════════╡         │  item_3 1500 ms
               14.176  │         │         │◀────────┤  done resp_3 completed
               16.006  │         │         ├────────▶│  close
        ");
    in_order(&world, EndReason::CallerSilent, &HUNG_UP);
}

#[test]
fn a_crackle_on_the_line_is_no_caller_who_speaks() {
    let mut world = limited(Limits { silence: Some(seconds(5)), ..Limits::default() });
    let crackle = [Step::Pause(980 * MS), Step::Say(pattern(20, 101))];
    world.dial(crackle.into_iter().cycle().take(120).collect());
    world.run_to(60_000);
    in_order(&world, EndReason::CallerSilent, &HUNG_UP);
    assert!(world.report(0).voiced_frames > 0, "it did sound like a voice for a frame");
}

#[test]
fn a_caller_who_speaks_or_presses_a_key_is_not_silent() {
    for sign in [Step::Say(pattern(200, 101)), Step::Press('1')] {
        let mut world = limited(Limits { silence: Some(seconds(5)), ..Limits::default() });
        let turn = [Step::Pause(4_000 * MS), sign];
        world.dial(turn.into_iter().cycle().take(20).collect());
        world.run_to(36_000);
        assert!(world.outcome(0).ended.is_none(), "{}", world.ladder.draw(0, Show::TALK));
        assert!(!world.ladder.draw(0, Show::TALK).contains("still there"));
        world.hang_up(0);
        world.run_for(3_000);
        in_order(&world, EndReason::CallerHungUp, &Ending::CallerHungUp);
    }
}

#[test]
fn a_long_answer_is_no_silence_of_the_caller() {
    let mut world = limited(Limits { silence: Some(seconds(5)), ..Limits::default() });
    world.model(|script| script.greeting = Some(Answer::pattern("Érase una vez…", 20_000, 1)));
    world.dial(vec![]);
    world.run_to(24_500);
    assert!(!world.ladder.draw(0, Show::TALK).contains("still there"));
    world.run_to(26_000);
    assert!(world.ladder.draw(0, Show::TALK).contains("still there"));
}

#[test]
fn a_caller_who_holds_is_neither_silent_nor_gone() {
    let limits = Limits { silence: Some(seconds(5)), no_audio: Some(seconds(8)), ..Limits::default() };
    let mut world = limited(limits);
    world.dial(vec![
        Step::Pause(3_000 * MS),
        Step::Hold(true),
        Step::StopSending(30_000 * MS),
        Step::Hold(false),
        Step::Say(pattern(400, 101)),
    ]);
    world.run_to(35_000);
    assert!(world.outcome(0).ended.is_none(), "{}", world.ladder.draw(0, Show::TALK));
    assert!(!world.ladder.draw(0, Show::TALK).contains("still there"));
}

#[test]
fn a_telephone_that_has_gone_silent_is_hung_up() {
    let mut world = limited(Limits { no_audio: Some(seconds(8)), ..Limits::default() });
    world.dial(vec![Step::Pause(3_000 * MS), Step::StopSending(60_000 * MS)]);
    world.run_to(10_900);
    assert!(world.outcome(0).ended.is_none());
    world.run_to(13_000);
    in_order(&world, EndReason::NoAudio, &HUNG_UP);
    assert!(!world.tasks[0].notices.iter().any(|notice| matches!(notice, Notice::CallerSilent { .. })));
}

#[test]
fn a_caller_who_never_was_heard_goes_on_in_the_dialplan_and_the_operator_knows_why() {
    let mut world = limited(Limits { no_audio: Some(seconds(12)), ..Limits::default() });
    world.dial(vec![Step::StopSending(60_000 * MS)]);
    world.run_to(20_000);
    let ended = world.outcome(0).ended.clone().expect("it ended");
    assert!(matches!(ended, Ending::Continued { .. }), "{ended:?}");
    in_order(&world, EndReason::NoAudio, &ended);
    assert!(world.tasks[0].notices.contains(&Notice::CallerSilent { seconds: 10 }));
}

#[test]
fn a_call_has_an_end_and_the_model_knows_a_minute_before() {
    let mut world = limited(Limits { duration: Some(seconds(150)), ..Limits::default() });
    let talk = [Step::Say(pattern(400, 101)), Step::Pause(9_000 * MS)];
    world.dial(talk.into_iter().cycle().take(60).collect());
    world.run_to(170_000);
    let ladder = world.ladder.draw(0, Show::TALK.from(89_000));
    let told =
        ladder.lines().find(|line| line.contains("system: The call must end in one minute")).expect("told");
    assert!(told.trim().starts_with("90.0"), "{told}");
    check(&world.ladder, Show::TALK.from(149_000), "
                       caller    Asterisk  us        model
              150.006  │         │         ├────────▶│  respond: The call has reached its time limit. Say so and say goodbye, in one or two short sentences.
              150.046  │         │         │◀────────┤  created resp_18
              150.346  │         │         │◀════════╡  item_17 1500 ms
              150.346  │◀════════╪═════════╡         │  item_17 140 ms
              150.396  │         │         │◀────────┤  done resp_18 completed
              150.406  ╞═════════╪════════▶│         │  voice 400 ms
              150.406  │         │         ╞════════▶│  voice 400 ms
              150.486  │         │         │◀────────┤  speech_started
              150.486  │         │         ├────────▶│  truncate item_17 at 140 ms
              151.326  │         │         │◀────────┤  speech_stopped
              151.326  │         │         │◀────────┤  created resp_19
              151.626  │         │         │◀════════╡  item_18 2000 ms
              151.626  │◀════════╪═════════╡         │  item_18 2000 ms
              151.692  │         │         │◀────────┤  done resp_19 completed
              151.692  │         │         ├────────▶│  respond: The call has reached its time limit. Say so and say goodbye, in one or two short sentences.
              151.732  │         │         │◀────────┤  created resp_20
              152.032  │         │         │◀════════╡  item_19 1500 ms
              152.082  │         │         │◀────────┤  done resp_20 completed
              153.626  │◀════════╪═════════╡         │  item_19 1500 ms
              155.506  │         │         ├────────▶│  close
        ");
    in_order(&world, EndReason::MaxDuration, &HUNG_UP);
}

#[test]
fn a_caller_cannot_talk_his_way_past_the_end() {
    let mut world = limited(Limits { duration: Some(seconds(20)), ..Limits::default() });
    world.dial(vec![Step::Say(pattern(120_000, 101))]);
    world.run_to(52_000);
    in_order(&world, EndReason::MaxDuration, &HUNG_UP);
}

#[test]
fn a_call_that_has_cost_enough_goes_on_to_a_person() {
    let mut world = limited(Limits { tokens: Some(120), ..Limits::default() });
    let ask = [
        Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS },
        Step::Say(pattern(500, 101)),
        Step::WaitForSpeech { at_most: 5_000 * MS },
    ];
    world.dial(ask.into_iter().cycle().take(30).collect());
    world.run_to(60_000);
    let ended = world.outcome(0).ended.clone().expect("it ended");
    assert!(matches!(ended, Ending::Continued { .. }), "{ended:?}");
    assert!(world.ladder.draw(0, Show::TALK).contains("a colleague takes over"));
    in_order(&world, EndReason::TokenLimit, &ended);
}

#[test]
fn a_call_that_nears_its_cost_is_brought_to_a_close_and_at_its_cost_goes_on_to_a_person() {
    let mut world = limited(Limits { cost: Some(MicroUsd::new(3_600)), ..Limits::default() });
    let ask = [
        Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS },
        Step::Say(pattern(500, 101)),
        Step::WaitForSpeech { at_most: 5_000 * MS },
    ];
    world.dial(ask.into_iter().cycle().take(30).collect());
    world.run_to(60_000);
    check(&world.ladder, Show::TALK, "
                       caller    Asterisk  us        model
                0.004  │         │         ├────────▶│  connect
                0.104  │         │         │◀────────┤  connected
                0.104  │         │         │◀────────┤  session.created
                0.104  │         │         ├────────▶│  session.update
                0.144  │         │         │◀────────┤  session.updated
                0.144  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
                0.184  │         │         │◀────────┤  created resp_1
                0.484  │         │         │◀════════╡  item_1 1500 ms
                0.486  │◀════════╪═════════╡         │  item_1 1500 ms
                0.534  │         │         │◀────────┤  done resp_1 completed
                2.686  ╞═════════╪════════▶│         │  voice 500 ms
                2.686  │         │         ╞════════▶│  voice 500 ms
                2.766  │         │         │◀────────┤  speech_started
                3.706  │         │         │◀────────┤  speech_stopped
                3.706  │         │         │◀────────┤  created resp_2
                4.006  │         │         │◀════════╡  item_2 2000 ms
                4.006  │◀════════╪═════════╡         │  item_2 2000 ms
                4.072  │         │         │◀────────┤  done resp_2 completed
                6.706  ╞═════════╪════════▶│         │  voice 500 ms
                6.706  │         │         ╞════════▶│  voice 500 ms
                6.786  │         │         │◀────────┤  speech_started
                7.726  │         │         │◀────────┤  speech_stopped
                7.726  │         │         │◀────────┤  created resp_3
                8.026  │         │         │◀════════╡  item_3 2000 ms
                8.026  │◀════════╪═════════╡         │  item_3 2000 ms
                8.092  │         │         │◀────────┤  done resp_3 completed
                8.126  │         │         ├────────▶│  system: The call has nearly used up what it may cost. Bring it to a close with your next answers, and do not speak of costs.
               10.726  ╞═════════╪════════▶│         │  voice 500 ms
               10.726  │         │         ╞════════▶│  voice 500 ms
               10.806  │         │         │◀────────┤  speech_started
               11.746  │         │         │◀────────┤  speech_stopped
               11.746  │         │         │◀────────┤  created resp_4
               12.046  │         │         │◀════════╡  item_4 2000 ms
               12.046  │◀════════╪═════════╡         │  item_4 2000 ms
               12.112  │         │         │◀────────┤  done resp_4 completed
               12.146  │         │         ├────────▶│  respond: Tell the caller in one short sentence that a colleague takes over the call now.
               12.186  │         │         │◀────────┤  created resp_5
               12.486  │         │         │◀════════╡  item_5 1500 ms
               12.536  │         │         │◀────────┤  done resp_5 completed
               14.046  │◀════════╪═════════╡         │  item_5 1500 ms
               15.926  │         │         ├────────▶│  close
               15.934  │         │         ●         │  ! CallHandedBack
        ");
    let ended = world.outcome(0).ended.clone().expect("it ended");
    assert!(matches!(ended, Ending::Continued { .. }), "{ended:?}");
    in_order(&world, EndReason::CostLimit, &ended);
}

#[test]
fn where_nobody_knows_the_price_a_limit_of_cost_holds_nothing() {
    let mut world = limited(Limits { cost: Some(MicroUsd::new(100)), ..Limits::default() });
    world.set(|settings| settings.prices = Prices::default());
    world.dial(vec![Step::Pause(3_000 * MS), Step::Say(pattern(800, 100))]);
    world.run_to(8_000);
    assert!(world.outcome(0).ended.is_none());
    world.hang_up(0);
    world.run_for(3_000);
    in_order(&world, EndReason::CallerHungUp, &Ending::CallerHungUp);
    let bill = &world.report(0).bill;
    assert_eq!((bill.cost, bill.at_least), (None, MicroUsd::ZERO));
    assert!(bill.conversation.audio_out == 70 && bill.transcribed.get() >= 800, "{bill:?}");
}

#[test]
fn what_is_told_after_the_caller_has_hung_up_counts_and_what_is_not_is_guessed() {
    let hangs_up_during_the_answer = |words_late: u32| {
        let mut world = World::new();
        let late = FaultKind::TranscriptLate(words_late * MS);
        world.model(|script| script.faults = vec![Fault::new(Trigger::OnTurn(1), late)]);
        world.dial(vec![
            Step::Pause(3_000 * MS),
            Step::Say(pattern(800, 100)),
            Step::Pause(700 * MS),
            Step::HangUp,
        ]);
        world.run_to(14_000);
        let ladder = world.ladder.draw(0, Show::ALL);
        let at = |text: &str| ladder.find(text).expect("it happened");
        assert!(at("created resp_2") < at("BYE") && at("BYE") < at("done resp_2"), "{ladder}");
        (world.report(0).bill.clone(), world.tasks[0].charged)
    };
    let (bill, charged) = hangs_up_during_the_answer(1_000);
    assert_eq!((bill.cost, bill.estimated), (Some(MicroUsd::new(charged)), false));
    let (bill, charged) = hangs_up_during_the_answer(9_000);
    assert!(
        bill.estimated && bill.cost.is_some_and(|cost| cost.get() >= charged + 800),
        "{charged}: {bill:?}"
    );
}

#[test]
fn what_a_lost_session_did_not_tell_is_guessed_and_the_cost_an_estimate() {
    let mut world = World::new();
    // In the middle of the answer: the caller's words and the answer are still to be told.
    world.model(|script| {
        script.faults = vec![
            Fault::new(Trigger::OnTurn(1), FaultKind::TranscriptNever),
            Fault::new(Trigger::OnTurn(1), FaultKind::Drop),
        ];
    });
    world.dial(vec![Step::Pause(3_000 * MS), Step::Say(pattern(800, 100))]);
    world.run_to(8_000);
    world.hang_up(0);
    world.run_for(3_000);
    let (bill, charged) = (&world.report(0).bill, world.tasks[0].charged);
    assert!(
        bill.estimated && bill.cost.is_some_and(|cost| cost.get() >= charged + 800),
        "{charged}: {bill:?}"
    );
}

#[test]
fn what_a_call_costs_is_said_once_and_is_the_sum_of_what_the_server_told() {
    let mut world = World::new();
    world.dial(vec![
        Step::Pause(3_000 * MS),
        Step::Say(pattern(800, 100)),
        Step::WaitForSpeech { at_most: 5_000 * MS },
        Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS },
        Step::HangUp,
    ]);
    world.run_to(20_000);
    let told = MicroUsd::new(world.tasks[0].charged);
    let bill = &world.report(0).bill;
    assert_eq!((bill.cost, bill.at_least, bill.estimated), (Some(told), told, false));
    let said = |notice: &&Notice| matches!(notice, Notice::CallSpent { .. });
    let said: Vec<_> = world.tasks[0].notices.iter().filter(said).collect();
    let tokens = bill.conversation;
    let cost = Cost { amount: Some(told), estimated: false };
    let (read, cached, written) = (tokens.read(), tokens.cached(), tokens.written());
    assert_eq!(said, [&Notice::CallSpent { read, cached, written, cost }]);
    assert!(read > cached && written > 0);
    assert_eq!(world.tasks[0].recorded.bill(), Some(bill));
}

#[test]
fn one_caller_more_than_there_may_be_goes_on_at_once() {
    let mut world = World::new();
    world.take_at_most(2);
    world.model(|script| script.vad = VadScript::Never);
    let phones: Vec<_> = (0..3).map(|_| world.dial(vec![])).collect();
    world.run_to(100);
    assert_eq!(world.outcome(phones[2]).variables, [("AI_END_REASON".to_owned(), "busy".to_owned())]);
    assert!(matches!(world.outcome(phones[2]).ended, Some(Ending::Continued { .. })));
    world.hang_up(phones[0]);
    world.run_for(1_000);
    let next = world.dial(vec![]);
    world.run_for(3_000);
    assert!(world.outcome(next).ended.is_none() && !world.heard(next).is_empty(), "there is room again");
}
