//! Tests of the assistant's functions to hang up and to transfer, over real sockets.

use openai_inbound_calls::sim::asterisk::Ending;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};

use crate::world::{World, assert_no_violations, contains, listen};

/// Places one call whose caller asks once and gets this answer.
async fn call(answer: Answer) -> (World, Ending, Vec<(String, String)>) {
    let world = World::new(Script { answers: vec![answer], ..Script::default() });
    let program =
        world.program(&[("TRANSFER_DESTINATIONS", "ventas:from-internal,200; soporte:colas,*45,2")]).await;
    let call = world.call([&listen()[..], &[Step::Say(pattern(1_000, 7))], &listen()[..]].concat());
    world.over(call).await;
    assert!(contains(&world.heard(call), &pattern(1_500, 2)), "the last words, to their end");
    assert_no_violations(&world.session());
    assert_eq!(program.count("ERROR", ""), 0, "{}", program.log());
    let outcome = world.asterisk.outcome(call);
    (world, outcome.ended.expect("it ended"), outcome.variables)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_assistant_says_goodbye_and_hangs_up() {
    let goodbye = Answer::pattern("Adiós.", 1_500, 2).and(Answer::call("end_call", "{}"));
    let (_world, ended, variables) = call(goodbye).await;
    assert_eq!((ended, variables), (Ending::HungUp { cause: 16, sip_status: None }, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_assistant_transfers_to_a_named_destination() {
    let transfer = r#"{"destination":"soporte","summary":"Ana, sin línea."}"#;
    let announced = Answer::pattern("Le paso.", 1_500, 2).and(Answer::call("transfer_call", transfer));
    let (_world, ended, variables) = call(announced).await;
    let there = Ending::Continued { context: "colas".into(), extension: "*45".into(), priority: 2 };
    assert_eq!(ended, there);
    let variables: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "AI_END_REASON=transferred",
        "AI_TRANSFER_DESTINATION=soporte",
        "AI_TRANSFER_SUMMARY=Ana; sin línea.",
    ];
    assert_eq!(variables, expected);
}
