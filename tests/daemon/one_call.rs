//! Tests one call over real sockets: every sample arrives in both directions, and an interruption is measured
//! correctly.

use openai_inbound_calls::sim::asterisk::Ending;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Role, Script, pattern};

use crate::world::{World, assert_no_violations, contains, heard_ms, listen, ms, truncations};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_greeted_understood_and_answered_to_the_sample() {
    // The server pings often and counts an unanswered ping as a violation.
    let pings = Script { ping_every: Some(ms(400)), pong_within: ms(300), ..Script::default() };
    let world = World::new(pings);
    let daemon = world.daemon().await;
    let question = pattern(1_500, 7);
    let script = [&listen()[..], &[Step::Say(question.clone())], &listen()[..], &[Step::HangUp]].concat();
    let call = world.call(script);
    world.over(call).await;
    let heard = world.heard(call);
    assert!(contains(&heard, &pattern(1_500, 1)), "the greeting");
    assert!(contains(&heard, &pattern(2_000, 2)), "the answer");
    let session = world.session();
    assert!(contains(&session.appended(), &question), "the question");
    assert_eq!(world.asterisk.outcome(call).ended, Some(Ending::CallerHungUp));
    let roles: Vec<_> =
        session.look(|session| session.conversation()).into_iter().map(|item| item.role).collect();
    assert_eq!(roles, [Role::Assistant, Role::User, Role::Assistant]);
    assert_no_violations(&session);
    let figures = world.asterisk.phone(call, |phone| phone.statistics());
    assert_eq!((figures.lost, figures.duplicates, figures.disordered, figures.odd_sizes), (0, 0, 0, 0));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interruption_is_measured_by_what_the_phone_heard() {
    let answers = vec![Answer::pattern("Un momento.", 6_000, 2), Answer::pattern("De acuerdo.", 1_000, 3)];
    let world = World::new(Script { answers, ..Script::default() });
    let daemon = world.daemon().await;
    let script = [
        &listen()[..],
        &[Step::Say(pattern(1_000, 7)), Step::AfterHearing(ms(900)), Step::Say(pattern(1_000, 8))],
        &listen()[..],
        &[Step::HangUp],
    ];
    let call = world.call(script.concat());
    world.over(call).await;
    let (heard, session) = (world.heard(call), world.session());
    let cut = heard_ms(&heard, &pattern(6_000, 2));
    assert!((900..2_500).contains(&cut), "{cut} ms were heard: interrupted after 900");
    let told = truncations(&session);
    assert!(told.len() == 1 && told[0].abs_diff(cut) <= 20, "told {told:?}, heard {cut}");
    assert!(contains(&heard, &pattern(1_000, 3)), "the second answer");
    assert_no_violations(&session);
    daemon.stop().await;
}
