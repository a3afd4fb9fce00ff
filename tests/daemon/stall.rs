//! Tests of a Realtime server that stops reading, or breaks: the call continues with another session, and no
//! frame is late because of it.

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::sim::asterisk::{CallerId, Ending};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Fact, Fault, FaultKind, Script, Trigger, What, pattern};

use crate::world::{Program, World, assert_no_violations, contains, ms, until};

/// A world in which only the first session fails, a second after its start.
pub(crate) fn world(kind: FaultKind) -> World {
    World::choosing(move |n| {
        let faults = if n == 0 { vec![Fault::new(Trigger::At(ms(1_000)), kind.clone())] } else { Vec::new() };
        Arc::new(Script { faults, ..Script::default() })
    })
}

/// The time from the failure of the first session to the start of the second one.
pub(crate) async fn replaced_after(world: &World, program: &Program) -> Duration {
    program.says("INFO", "la llamada continúa").await;
    let sessions = world.openai.sessions();
    let struck = |fact: &&Fact| matches!(fact, Fact { what: What::FaultStruck(_), .. });
    let journal = sessions[0].journal();
    let wrong = journal.iter().find(struck).expect("it went wrong").at;
    sessions[1].journal().first().expect("it began").at - wrong
}

/// Checks that there was one greeting, and that no frame was lost or late.
fn assert_undisturbed(world: &World, call: CallerId) {
    let heard = world.heard(call);
    let greeting = pattern(1_500, 1);
    assert!(contains(&heard, &greeting), "the greeting, which was there before");
    assert_eq!(heard.windows(800).filter(|window| **window == greeting[..800]).count(), 1, "once");
    let figures = world.asterisk.phone(call, |phone| phone.statistics());
    assert_eq!((figures.lost, figures.duplicates, figures.disordered), (0, 0, 0));
    // On a busy machine a frame is late now and then; a daemon that waits for the server sends no frames at
    // all.
    assert!(figures.longest_gap < ms(1_000), "{figures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_server_is_replaced_within_seconds_and_delays_no_frame() {
    let world = world(FaultKind::Stall);
    let program = world.program(&[]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    program
        .says("WARNING", "Se perdió la sesión con OpenAI durante la llamada (el servidor lee demasiado despacio): se abre otra")
        .await;
    let lasted = replaced_after(&world, &program).await;
    println!("replaced {} ms after the stall", lasted.as_millis());
    assert!((ms(1_500)..ms(12_000)).contains(&lasted), "{lasted:?}");
    assert_undisturbed(&world, call);
    world.asterisk.hang_up(call);
    world.over_but_sessions(call).await;
    assert_eq!(world.asterisk.outcome(call).ended, Some(Ending::CallerHungUp));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_breaks_in_a_call_is_said_and_replaced() {
    let expired = "session_expired";
    for (kind, cause) in [
        (FaultKind::Drop, ""),
        (FaultKind::Close(1011, "bye".into()), "el servidor cerró la conexión: 1011 bye"),
        (FaultKind::Expire, expired),
    ] {
        let world = world(kind);
        let program = world.program(&[]).await;
        let call =
            world.call(vec![Step::Pause(ms(4_000)), Step::Say(pattern(1_000, 7)), Step::Pause(ms(60_000))]);
        program.says("WARNING", &format!("Se perdió la sesión con OpenAI durante la llamada ({cause}")).await;
        replaced_after(&world, &program).await;
        until("the question is answered", || contains(&world.heard(call), &pattern(2_000, 2))).await;
        assert_undisturbed(&world, call);
        world.asterisk.hang_up(call);
        world.over(call).await;
        assert_no_violations(&world.openai.sessions()[1]);
        assert_eq!(program.count("ERROR", ""), 0, "the caller is served:\n{}", program.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_breaks_again_and_again_is_given_up_and_the_caller_handed_back() {
    let faults = vec![Fault::new(Trigger::At(ms(1_000)), FaultKind::Drop)];
    let world = World::new(Script { faults, ..Script::default() });
    let program = world.program(&[]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    world.over(call).await;
    assert!(matches!(world.asterisk.outcome(call).ended, Some(Ending::Continued { .. })));
    assert_eq!(world.end_reason(call).as_deref(), Some("session_lost"), "{}", program.log());
    assert_eq!(world.openai.sessions().len(), 4);
}
