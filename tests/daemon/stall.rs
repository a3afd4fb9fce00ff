//! A Realtime server that stops reading: the call ends soon, and until then no frame is late.

use openai_inbound_calls::sim::asterisk::Ending;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Fault, FaultKind, Script, Trigger, What, pattern};

use crate::world::{World, contains, ms};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_server_is_lost_within_seconds_and_delays_no_frame() {
    let faults = vec![Fault::new(Trigger::At(ms(1_000)), FaultKind::Stall)];
    let world = World::new(Script { faults, ..Script::default() });
    let program = world.program(&[]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    world.over_but_sessions(call).await;
    program
        .says("ERROR", "Se perdió la conexión con OpenAI durante la llamada: the server reads too slowly")
        .await;
    let outcome = world.asterisk.outcome(call);
    assert!(matches!(outcome.ended, Some(Ending::Continued { .. })));
    assert_eq!(world.end_reason(call).as_deref(), Some("session_lost"));
    let journal = world.session().journal();
    let stalled =
        journal.iter().find(|fact| matches!(fact.what, What::FaultStruck(_))).expect("it stalled").at;
    let lasted = outcome.ended_at.expect("ended") - stalled;
    println!("lost {} ms after the stall", lasted.as_millis());
    assert!((ms(1_500)..ms(12_000)).contains(&lasted), "{lasted:?}");
    assert!(
        contains(&world.heard(call), &pattern(1_500, 1)),
        "the greeting, which was there before the stall"
    );
    let figures = world.asterisk.phone(call, |phone| phone.statistics());
    assert_eq!((figures.lost, figures.duplicates, figures.disordered), (0, 0, 0));
    // On a busy machine a frame is late now and then; a daemon that waits for the server sends none at all.
    assert!(figures.longest_gap < ms(500), "{figures:?}");
    assert!(figures.last_at.is_some_and(|at| at + ms(500) > outcome.ended_at.expect("ended")), "{figures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_breaks_in_a_call_is_said_and_the_caller_handed_back() {
    let expired = "session_expired";
    for (kind, cause) in [
        (FaultKind::Drop, ""),
        (FaultKind::Close(1011, "bye".into()), "1011 bye"),
        (FaultKind::Expire, expired),
    ] {
        let faults = vec![Fault::new(Trigger::At(ms(1_000)), kind)];
        let world = World::new(Script { faults, ..Script::default() });
        let program = world.program(&[]).await;
        let call = world.call(vec![Step::Pause(ms(60_000))]);
        world.over(call).await;
        assert_eq!(world.end_reason(call).as_deref(), Some("session_lost"), "{}", program.log());
        program.says("ERROR", &format!("Se perdió la conexión con OpenAI durante la llamada: {cause}")).await;
    }
}
