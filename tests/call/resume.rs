//! A session that breaks or expires in the middle of a call: the call goes on with another one.

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::call::SessionFault;
use openai_inbound_calls::call::tools::{Destination, offered};
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::sim::asterisk::Ending;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Fault, FaultKind, Script, Trigger, pattern};

use super::ladder::{Show, check};
use super::session_outage::count;
use super::world::{MS, WALL, World};

/// What the sessions of the call do, one after the other; the last one repeats.
fn dial(scripts: Vec<Script>, steps: Vec<Step>) -> World {
    let mut world = World::new();
    world.dial(steps);
    world.phones[0].scripts = scripts.into_iter().map(Arc::new).collect();
    world
}

fn faulty(trigger: Trigger, kind: FaultKind) -> Script {
    Script { faults: vec![Fault::new(trigger, kind)], ..Script::default() }
}

/// A caller who asks once, when it has been quiet for a while.
fn asks(quiet: u32) -> Vec<Step> {
    vec![
        Step::WaitForSilence { quiet: quiet * MS, at_most: 20_000 * MS },
        Step::Say(pattern(500, 101)),
        Step::WaitForSpeech { at_most: 5_000 * MS },
    ]
}

fn hang_up_in_order(mut world: World) {
    assert!(world.outcome(0).ended.is_none(), "the call goes on");
    world.hang_up(0);
    world.run_for(3_000);
    assert!(world.violations().is_empty(), "{:?}", world.violations());
    assert_eq!(world.left_over(), [""; 0]);
    assert_eq!(world.report(0).reason, EndReason::CallerHungUp);
}

#[test]
fn a_lost_session_is_replaced_and_told_what_was_heard() {
    let broken = Script {
        greeting: Some(Answer::pattern("Buenos días, le atiende la clínica.", 4_000, 1)),
        ..faulty(Trigger::At(6_000 * MS), FaultKind::Drop)
    };
    let steps = [vec![Step::Pause(1_500 * MS), Step::Say(pattern(500, 101))], asks(4_500)].concat();
    let mut world = dial(vec![broken, Script::default()], steps);
    world.run_to(14_000);
    check(&world.ladder, Show::TALK.from(1_400), "
                   caller    Asterisk  us        model
            1.506  ╞═════════╪════════▶│         │  voice 500 ms
            1.506  │         │         ╞════════▶│  voice 500 ms
            1.586  │         │         │◀────────┤  speech_started
            1.586  │         │         ├────────▶│  truncate item_1 at 1100 ms
            2.526  │         │         │◀────────┤  speech_stopped
            2.526  │         │         │◀────────┤  created resp_2
            2.826  │         │         │◀════════╡  item_2 2000 ms
            2.826  │◀════════╪═════════╡         │  item_2 2000 ms
            2.892  │         │         │◀────────┤  done resp_2 completed
            6.104  │         │         │◀────────┤  gone
            6.104  │         │         ●         │  ! SessionLost
            6.104  │         │         ├────────▶│  connect
            6.204  │         │         │◀────────┤  connected
            6.204  │         │         │◀────────┤  session.created
            6.204  │         │         ├────────▶│  session.update
            6.244  │         │         │◀────────┤  session.updated
            6.244  │         │         ├────────▶│  assistant: Buenos
            6.244  │         │         ├────────▶│  caller: Quiero hablar con ventas.
            6.244  │         │         ├────────▶│  assistant: Le paso con ventas.
            6.244  │         │         ├────────▶│  system: This is the same telephone call: the connection was interrupted for a moment, and the caller's last words may be missing above. Go on as if nothing had happened. Do not greet again. If you do not know what the caller said last, ask them to repeat it.
            9.326  ╞═════════╪════════▶│         │  voice 500 ms
            9.326  │         │         ╞════════▶│  voice 500 ms
            9.406  │         │         │◀────────┤  speech_started
           10.346  │         │         │◀────────┤  speech_stopped
           10.346  │         │         │◀────────┤  created resp_1_1
           10.646  │         │         │◀════════╡  item_1_1 2000 ms
           10.646  │◀════════╪═════════╡         │  item_1_1 2000 ms
           10.712  │         │         │◀────────┤  done resp_1_1 completed
        ");
    hang_up_in_order(world);
}

#[test]
fn however_a_session_ends_the_call_goes_on() {
    for kind in [
        FaultKind::Drop,
        FaultKind::Expire,
        FaultKind::Close(1011, "keepalive ping timeout".into()),
        FaultKind::Stall,
    ] {
        let mut world = dial(vec![faulty(Trigger::At(3_000 * MS), kind), Script::default()], asks(7_000));
        world.run_to(14_000);
        let notices = &world.tasks[0].notices;
        assert!(notices.iter().any(|notice| matches!(notice, Notice::SessionLost { .. })));
        assert!(notices.iter().any(|notice| matches!(notice, Notice::SessionResumed { .. })));
        let expected = [&pattern(1_500, 1)[..], &pattern(2_000, 2)[..]].concat();
        assert!(world.heard(0) == expected, "one greeting, one answer");
        hang_up_in_order(world);
    }
}

#[test]
fn an_answer_that_breaks_off_is_heard_as_far_as_it_came_and_taken_up_again() {
    let slow = Script { burst: 1.2, ..faulty(Trigger::OnResponse(2), FaultKind::Drop) };
    let mut world = dial(vec![slow, Script::default()], asks(700));
    world.run_to(12_000);
    check(&world.ladder, Show::TALK.from(3_000), "
                   caller    Asterisk  us        model
            3.706  │         │         │◀────────┤  speech_stopped
            3.706  │         │         │◀────────┤  created resp_2
            4.006  │         │         │◀════════╡  item_2 1000 ms
            4.006  │◀════════╪═════════╡         │  item_2 1000 ms
            4.672  │         │         │◀────────┤  gone
            4.672  │         │         ●         │  ! SessionLost
            4.672  │         │         ├────────▶│  connect
            4.772  │         │         │◀────────┤  connected
            4.772  │         │         │◀────────┤  session.created
            4.772  │         │         ├────────▶│  session.update
            4.812  │         │         │◀────────┤  session.updated
            4.812  │         │         ├────────▶│  assistant: Hola, ¿en qué puedo ayudarle?
            4.812  │         │         ├────────▶│  caller: Quiero hablar con ventas.
            4.812  │         │         ├────────▶│  assistant: Le paso
            4.812  │         │         ├────────▶│  system: This is the same telephone call: the connection was interrupted for a moment, and the caller's last words may be missing above. Go on as if nothing had happened. Do not greet again. If you do not know what the caller said last, ask them to repeat it.
            4.812  │         │         ├────────▶│  respond
            4.852  │         │         │◀────────┤  created resp_1_1
            5.152  │         │         │◀════════╡  item_1_1 2000 ms
            5.166  │◀════════╪═════════╡         │  item_1_1 2000 ms
            5.219  │         │         │◀────────┤  done resp_1_1 completed
        ");
    hang_up_in_order(world);
}

#[test]
fn what_the_caller_says_meanwhile_reaches_the_next_session() {
    let script = faulty(Trigger::At(3_000 * MS), FaultKind::Drop);
    let question = pattern(800, 101);
    let mut world =
        dial(vec![script, Script::default()], vec![Step::Pause(3_150 * MS), Step::Say(question.clone())]);
    world.run_to(9_000);
    let appended = world.servers[1].session.appended();
    assert!(appended.windows(question.len()).any(|window| *window == question[..]), "all of the question");
    assert!(world.heard(0).ends_with(&pattern(2_000, 2)), "and it is answered");
    hang_up_in_order(world);
}

#[test]
fn a_server_that_is_not_there_at_once_is_tried_again() {
    let refused = || faulty(Trigger::OnConnect, FaultKind::Refuse(503));
    let broken = faulty(Trigger::At(3_000 * MS), FaultKind::Drop);
    let mut world = dial(vec![broken, refused(), refused(), Script::default()], asks(6_000));
    world.run_to(14_000);
    assert!(world.heard(0).ends_with(&pattern(2_000, 2)));
    hang_up_in_order(world);
}

#[test]
fn a_server_that_breaks_again_and_again_is_given_up() {
    let mut world = dial(vec![faulty(Trigger::At(1_500 * MS), FaultKind::Drop)], vec![]);
    world.run_to(20_000);
    assert_eq!(world.servers.len(), 4, "three times it is replaced");
    let counters = world.report(0).counters;
    assert_eq!((counters.sessions_opened, counters.session_faults), (4, count(&[(SessionFault::Lost, 4)])));
    assert!(matches!(world.outcome(0).ended, Some(Ending::Continued { .. })));
    assert_eq!(world.report(0).reason, EndReason::SessionLost);
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn a_server_that_does_not_come_back_costs_eight_seconds() {
    let mut world = dial(vec![faulty(Trigger::At(3_000 * MS), FaultKind::Drop)], vec![]);
    world.run_to(2_900);
    world.model_down_until = Some(world.now + Duration::from_mins(1));
    world.run_to(12_000);
    assert_eq!(world.report(0).reason, EndReason::SessionLost);
    let counters = world.report(0).counters;
    let unavailable = SessionFault::Unavailable.code();
    let (_, tries) =
        counters.session_faults.by_code().into_iter().find(|(code, _)| *code == unavailable).unwrap();
    let faults = [(SessionFault::Lost, 1), (SessionFault::Unavailable, tries), (SessionFault::Late, 1)];
    assert!(tries > 1);
    assert_eq!((counters.sessions_opened, counters.session_faults), (1, count(&faults)));
    assert!(
        (10_900..11_300).contains(&(world.report(0).duration.as_millis() as u64)),
        "{:?}",
        world.report(0)
    );
}

#[test]
fn a_key_that_is_no_longer_valid_ends_the_call_for_that() {
    let other = Script { key: Some("sk-another".into()), ..Script::default() };
    let mut world = dial(vec![faulty(Trigger::At(3_000 * MS), FaultKind::Drop), other], vec![]);
    world.run_to(8_000);
    assert_eq!(world.report(0).reason, EndReason::SessionFailed);
    assert!(world.tasks[0].notices.contains(&Notice::KeyRefused));
}

#[test]
fn the_notice_must_be_heard_but_not_twice() {
    for (at, spoken) in [(200, 2), (2_500, 1)] {
        let mut world = World::new();
        world.set(|settings| settings.recording_notice = Some("Esta llamada se graba.".into()));
        world.dial(vec![]);
        let broken = faulty(Trigger::At(at * MS), FaultKind::Drop);
        world.phones[0].scripts = vec![Arc::new(broken), Arc::new(Script::default())];
        world.run_to(9_000);
        let said = world.ladder.draw(0, Show::TALK);
        assert_eq!(said.matches("respond: Esta llamada").count(), spoken, "{at}: {said}");
        hang_up_in_order(world);
    }
}

#[test]
fn a_transfer_that_is_being_looked_up_is_told_to_the_session_that_follows() {
    let mut world = World::new();
    world.network.ari = (900 * MS, Duration::ZERO);
    world.set(|settings| {
        let place = "from-internal,200".parse().expect("a place");
        settings.destinations = vec![Destination { name: "ventas".into(), place }];
        settings.session.tools = offered(false, &settings.destinations, &[]);
    });
    let call = Answer::call("transfer_call", r#"{"destination":"ventas","summary":"Ana."}"#);
    let broken = Script { answers: vec![call], ..faulty(Trigger::OnCall(1), FaultKind::Drop) };
    world.dial([vec![Step::Pause(3_000 * MS)], asks(700)].concat());
    world.phones[0].scripts = vec![Arc::new(broken), Arc::new(Script::default())];
    world.run_to(22_000);
    let said = world.ladder.draw(0, Show::TALK);
    let last = said.rfind("call_1 transfer_call").expect("the call is told again");
    assert!(said[last..].contains(r#"call_1: {"ok":true}"#), "{said}");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
    assert_eq!(world.report(0).reason, EndReason::Transferred);
}

#[test]
fn a_session_is_replaced_at_a_quiet_moment_before_it_expires() {
    let mut world = World::new();
    let wall = Some((world.start, WALL as u64));
    let script = Script { wall, expires_in: Duration::from_secs(150), ..Script::default() };
    world.model(|all| *all = script);
    let turn = [Step::Say(pattern(500, 101)), Step::Pause(7_000 * MS)];
    world.dial(turn.into_iter().cycle().take(120).collect());
    world.run_to(36_000);
    check(&world.ladder, Show::TALK.from(29_500), "
                       caller    Asterisk  us        model
               30.006  ╞═════════╪════════▶│         │  voice 500 ms
               30.006  │         │         ╞════════▶│  voice 500 ms
               30.006  │         │         ├────────▶│  close
               30.006  │         │         ├────────▶│  connect
               30.106  │         │         │◀────────┤  connected
               30.106  │         │         │◀────────┤  session.created
               30.106  │         │         ├────────▶│  session.update
               30.146  │         │         │◀────────┤  session.updated
               30.146  │         │         ├────────▶│  caller: Quiero hablar con ventas.
               30.146  │         │         ├────────▶│  assistant: Le paso con ventas.
               30.146  │         │         ├────────▶│  caller: Quiero hablar con ventas.
               30.146  │         │         ├────────▶│  assistant: Le paso con ventas.
               30.146  │         │         ├────────▶│  caller: Quiero hablar con ventas.
               30.146  │         │         ├────────▶│  assistant: Le paso con ventas.
               30.146  │         │         ├────────▶│  caller: Quiero hablar con ventas.
               30.146  │         │         ├────────▶│  assistant: Le paso con ventas.
               30.146  │         │         ├────────▶│  system: This is the same telephone call: the connection was interrupted for a moment, and the caller's last words may be missing above. Go on as if nothing had happened. Do not greet again. If you do not know what the caller said last, ask them to repeat it.
               30.186  │         │         │◀────────┤  speech_started
               31.026  │         │         │◀────────┤  speech_stopped
               31.026  │         │         │◀────────┤  created resp_1_1
               31.326  │         │         │◀════════╡  item_1_1 2000 ms
               31.326  │◀════════╪═════════╡         │  item_1_1 2000 ms
               31.392  │         │         │◀────────┤  done resp_1_1 completed
        ");
    world.run_to(100_000);
    assert_eq!(world.servers.len(), 4, "after half a minute each");
    let notices = &world.tasks[0].notices;
    assert!(!notices.iter().any(|notice| matches!(notice, Notice::SessionLost { .. })), "nothing was lost");
    assert_eq!(world.ladder.draw(0, Show::TALK).matches("respond: Hola").count(), 1, "one greeting");
    hang_up_in_order(world);
}

#[test]
fn of_an_answer_nobody_heard_the_next_session_is_told_nothing() {
    // Asked for, after a failure, in the moment the caller begins, and cancelled before its first sound. Its words are
    // here when the session breaks, its end is not.
    let close = Fault::new(Trigger::At(1_846 * MS), FaultKind::Close(1011, "going".into()));
    let breaks = faulty(Trigger::OnResponse(1), FaultKind::ResponseFails("server_error".into()));
    let breaks = Script { think: 200 * MS, faults: [breaks.faults, vec![close]].concat(), ..breaks };
    let mut world = World::new();
    world.set(|settings| settings.session.interrupt = false);
    world.network.model = (150 * MS, Duration::ZERO);
    world.dial(vec![Step::Pause(1_300 * MS), Step::Say(pattern(2_000, 101))]);
    world.phones[0].scripts = vec![Arc::new(breaks), Arc::new(Script::default())];
    world.run_to(2_800);
    check(&world.ladder, Show::TALK.from(1_400), "
                   caller    Asterisk  us        model
            1.454  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            1.646  │         │         │◀────────┤  speech_started
            1.754  │         │         │◀────────┤  created resp_2
            1.754  │         │         ├────────▶│  cancel resp_2
            1.954  │         │         │◀════════╡  item_1 1400 ms
            2.000  │         │         │◀────────┤  close 1011
            2.000  │         │         ●         │  ! SessionLost
            2.000  │         │         ├────────▶│  connect
            2.150  │         │         │◀────────┤  connected
            2.150  │         │         │◀────────┤  session.created
            2.150  │         │         ├────────▶│  session.update
            2.450  │         │         │◀────────┤  session.updated
            2.450  │         │         ├────────▶│  system: This is the same telephone call: the connection was interrupted for a moment, and the caller's last words may be missing above. Go on as if nothing had happened. Do not greet again. If you do not know what the caller said last, ask them to repeat it.
            2.450  │         │         ├────────▶│  respond
            2.750  │         │         │◀────────┤  created resp_1_1
            2.750  │         │         │◀────────┤  speech_started
        ");
    hang_up_in_order(world);
}
