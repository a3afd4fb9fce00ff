//! Tests of SIGTERM: live calls may finish, new callers return to the dialplan, and the exit code is 0.

use openai_inbound_calls::sim::asterisk::{CallState, CallerId, Ending, Fault};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Script, pattern};

use crate::recording::{documents, loud};
use crate::world::{
    World, assert_no_violations, assert_no_violations_but_of_pace, contains, listen, ms, until,
};

/// The number of live calls when the daemon is told to stop.
const CALLS: usize = 20;
/// The length of the greeting: 75 frames.
const GREETING_FRAMES: u64 = 75;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_call_finishes_and_a_new_one_is_sent_on() {
    let world = World::new(Script::default());
    let fallback = [("FALLBACK_CONTEXT", "humans"), ("FALLBACK_EXTEN", "100")];
    let mut program = world.program(&[&[("SHUTDOWN_GRACE_SECONDS", "60")], &fallback[..]].concat()).await;
    let script = [&listen()[..], &[Step::Say(pattern(1_000, 7))], &listen()[..], &[Step::HangUp]].concat();
    let call = world.call(script);
    until("the caller hears the greeting", || {
        world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
    })
    .await;
    program.signal("TERM");
    program.says("INFO", "Deteniendo el servicio").await;
    let late = world.call(vec![Step::Pause(ms(60_000))]);
    until("the late caller is sent on", || world.asterisk.outcome(late).state == CallState::Gone).await;
    let at = Ending::Continued { context: "humans".into(), extension: "100".into(), priority: 1 };
    assert_eq!(world.asterisk.outcome(late).ended, Some(at));
    assert_eq!(world.end_reason(late).as_deref(), Some("shutdown"));
    world.over(call).await;
    assert!(contains(&world.heard(call), &pattern(2_000, 2)), "answered after SIGTERM");
    assert_eq!(world.asterisk.outcome(call).ended, Some(Ending::CallerHungUp));
    assert_eq!(program.exit().await.code(), Some(0));
    assert_eq!(program.count("INFO", "Servicio detenido"), 1, "{}", program.log());
    assert_no_violations(&world.session());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_talks_on_beyond_the_grace_is_sent_on() {
    let world = World::new(Script::default());
    let mut program = world.program(&[("SHUTDOWN_GRACE_SECONDS", "1")]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller hears the greeting", || {
        world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
    })
    .await;
    program.signal("TERM");
    assert_eq!(program.exit().await.code(), Some(0));
    world.over(call).await;
    assert!(matches!(world.asterisk.outcome(call).ended, Some(Ending::Continued { .. })));
    assert_eq!(world.end_reason(call).as_deref(), Some("shutdown"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_calls_it_ends_at_once() {
    let world = World::new(Script::default());
    let mut program = world.program(&[("SHUTDOWN_GRACE_SECONDS", "3600")]).await;
    program.signal("INT");
    assert_eq!(program.exit().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_is_just_being_sent_on_is_not_left_behind() {
    let world = World::new(Script::default());
    let mut program = world.program(&[]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller hears the greeting", || {
        world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
    })
    .await;
    program.signal("TERM");
    program.says("INFO", "Deteniendo el servicio").await;
    // Asterisk is slow to answer the first of the two requests, and the last call ends meanwhile.
    world.asterisk.fail_next("POST", "/variable", Fault::Delay(ms(1_000)));
    let late = world.call(vec![Step::Pause(ms(60_000))]);
    until("the late caller's variable is set", || world.end_reason(late).is_some()).await;
    world.asterisk.hang_up(call);
    assert_eq!(program.exit().await.code(), Some(0));
    assert!(matches!(world.asterisk.outcome(late).ended, Some(Ending::Continued { .. })));
    world.over(call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_live_calls_some_finish_and_the_rest_are_told_goodbye_and_every_recording_is_whole() {
    let world = World::new(Script::default());
    let mut program = world.program(&[("SHUTDOWN_GRACE_SECONDS", "6")]).await;
    let calls: Vec<_> = (0..CALLS).map(|_| world.call(vec![Step::Pause(ms(60_000))])).collect();
    let figures = |call: &CallerId| world.asterisk.phone(*call, |phone| phone.statistics());
    until("everybody has heard the greeting", || {
        calls.iter().all(|call| figures(call).loud >= GREETING_FRAMES)
    })
    .await;
    program.signal("TERM");
    program.says("INFO", &format!("Llamadas en curso: {CALLS} - Plazo: 6 s")).await;
    let late = world.call(vec![Step::Pause(ms(60_000))]);
    until("the late caller is sent on", || world.asterisk.outcome(late).state == CallState::Gone).await;
    assert!(matches!(world.asterisk.outcome(late).ended, Some(Ending::Continued { .. })));
    assert_eq!(world.end_reason(late).as_deref(), Some("shutdown"));
    let before: Vec<_> = calls.iter().map(|call| figures(call).packets).collect();
    until("everybody is still served", || {
        calls.iter().zip(&before).all(|(call, before)| figures(call).packets > *before)
    })
    .await;

    let (finishing, staying) = calls.split_at(CALLS / 2);
    for call in finishing {
        world.asterisk.hang_up(*call);
    }
    assert_eq!(program.exit().await.code(), Some(0));
    assert_eq!(program.count("INFO", "Servicio detenido"), 1, "{}", program.log());
    for call in &calls {
        world.over(*call).await;
    }
    for call in finishing {
        assert_eq!(world.asterisk.outcome(*call).ended, Some(Ending::CallerHungUp));
    }
    for call in staying {
        assert!(matches!(world.asterisk.outcome(*call).ended, Some(Ending::Continued { .. })));
        assert_eq!(world.end_reason(*call).as_deref(), Some("shutdown"));
        assert_eq!(figures(call).loud, 2 * GREETING_FRAMES, "the goodbye, whole");
    }
    let greeting = pattern(1_500, 1);
    let whole = |times| vec![&*greeting; times].concat();
    let recordings = documents(&world);
    assert_eq!(recordings.len(), CALLS, "and none of who was not served");
    for (call, times, reason) in finishing
        .iter()
        .map(|call| (call, 1, "caller_hung_up"))
        .chain(staying.iter().map(|call| (call, 2, "shutdown")))
    {
        let channel = world.asterisk.outcome(*call).channel;
        let (document, wav) =
            recordings.iter().find(|(document, _)| document["call_id"] == *channel).expect("its recording");
        assert_eq!(document["end_reason"], reason);
        let assistant = loud(wav[58..].iter().skip(1).step_by(2).copied());
        assert!(assistant == whole(times), "{channel}: {} bytes of the assistant", assistant.len());
    }
    world.openai.sessions().iter().for_each(assert_no_violations_but_of_pace);
}
