//! Tests ten calls at once, none of which hears another.

use std::sync::Arc;

use openai_inbound_calls::sim::asterisk::{CallState, Ending};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};

use crate::world::{World, assert_no_violations, contains, listen, ms, until};

const CALLS: u8 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_caller_more_than_there_may_be_goes_on_at_once() {
    let world = World::new(Script::default());
    let program = world.program(&[("MAX_CALLS", "1")]).await;
    let first = world.call(vec![Step::Pause(ms(60_000))]);
    until("the first is served", || world.asterisk.phone(first, |phone| phone.statistics().loud > 5)).await;
    let second = world.call(vec![Step::Pause(ms(60_000))]);
    until("the second goes on", || world.asterisk.outcome(second).state == CallState::Gone).await;
    assert!(matches!(world.asterisk.outcome(second).ended, Some(Ending::Continued { .. })));
    assert_eq!(world.end_reason(second).as_deref(), Some("busy"));
    program.says("INFO", "Llamadas simultáneas admitidas (MAX_CALLS): 1").await;
    program.says("WARNING", "Llamada devuelta al dialplan - Motivo: no se admiten más llamadas").await;
    world.asterisk.hang_up(first);
    world.over(first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_calls_at_once_and_none_hears_another() {
    // The n-th session greets and answers with audio that no other session has.
    let world = World::choosing(|n| {
        let tag = n as u8;
        Arc::new(Script {
            greeting: Some(Answer::pattern("Hola.", 1_000, 100 + tag)),
            answers: vec![Answer::pattern("Sí.", 1_500, 150 + tag)],
            ..Script::default()
        })
    });
    let daemon = world.daemon().await;
    let question = |n| pattern(1_000, 50 + n);
    let calls: Vec<_> = (0..CALLS)
        .map(|n| {
            world.call([&listen()[..], &[Step::Say(question(n))], &listen()[..], &[Step::HangUp]].concat())
        })
        .collect();
    for call in &calls {
        world.over(*call).await;
    }
    let sessions = world.openai.sessions();
    assert_eq!(sessions.len(), usize::from(CALLS));
    let mut served = Vec::new();
    for (tag, session) in (0..).zip(&sessions) {
        let appended = session.appended();
        let callers: Vec<u8> = (0..CALLS).filter(|n| contains(&appended, &question(*n))).collect();
        let [caller] = callers[..] else { panic!("session {tag} heard callers {callers:?}") };
        served.push(caller);
        let heard = world.heard(calls[usize::from(caller)]);
        let tags = |first: u8, ms| -> Vec<u8> {
            (0..CALLS).filter(|n| contains(&heard, &pattern(ms, first + n)[..800])).collect()
        };
        assert_eq!((tags(100, 1_000), tags(150, 1_500)), (vec![tag], vec![tag]), "caller {caller}");
        assert!(contains(&heard, &pattern(1_500, 150 + tag)), "the whole answer");
        assert_no_violations(session);
    }
    served.sort_unstable();
    assert_eq!(served, (0..CALLS).collect::<Vec<_>>());
    daemon.stop().await;
}
