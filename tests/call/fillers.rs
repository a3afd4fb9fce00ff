//! What the caller hears while a tool is waited for: a word that the assistant is still looking, when nothing else is to be heard.

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, pattern};
use openai_inbound_calls::tool::{Effect, Tool};

use super::agent_tools::{in_order, speaks, told, world};
use super::ladder::Lane;
use super::toolbox::{done, tool};
use super::world::{MS, World};

/// A tool that reads, with this time until the first word.
fn find(say_after_ms: u64) -> Arc<Tool> {
    tool("find", |tool| {
        tool.effect = Effect::Read;
        tool.timeout = Duration::from_secs(50);
        tool.say_after = Some(Duration::from_millis(say_after_ms));
    })
}

fn finds(day: &str) -> Answer {
    Answer::call("find", &format!(r#"{{"day":"{day}"}}"#))
}

/// When the model was asked to say that it is still looking, in milliseconds.
fn fillers(world: &World) -> Vec<u64> {
    let asked = world.ladder.moments((Lane::Us, Lane::Model), "respond: In at most eight words");
    asked.iter().map(|at| at.as_millis() as u64).collect()
}

/// When the tool was begun, in milliseconds.
fn begun(world: &World) -> Vec<u64> {
    let begun = world.ladder.moments((Lane::Us, Lane::Tools), "find");
    begun.iter().map(|at| at.as_millis() as u64).collect()
}

/// A caller who speaks, is silent for so long, speaks again for so long, and stays.
fn speaks_again(after_ms: u32, for_ms: u64) -> Vec<Step> {
    vec![
        Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS },
        Step::Say(pattern(500, 100)),
        Step::Pause(after_ms * MS),
        Step::Say(pattern(for_ms, 101)),
        Step::Pause(60_000 * MS),
    ]
}

#[test]
fn the_time_until_a_filler_begins_when_the_assistant_has_spoken() {
    let says = Answer::pattern("Voy a mirarlo con mucho gusto.", 6_000, 2).and(finds("hoy"));
    let mut world = world(vec![find(2_500)], vec![says, Answer::pattern("A las nueve.", 600, 3)]);
    world.brings("find", vec![Some((12_000, done("09:00")))]);
    world.dial(speaks(1));
    world.run_to(18_000);
    let ([begun], [filler]) = (&begun(&world)[..], &fillers(&world)[..]) else {
        panic!("{:?}", told(&world));
    };
    // The sound of the six seconds came much faster than it is played.
    let after = filler - begun;
    assert!((7_500..9_000).contains(&after), "{after} ms");
}

#[test]
fn nobody_is_told_of_waiting_while_the_model_thinks_about_an_answer() {
    let answers = vec![finds("hoy"), Answer::pattern("Sí, claro.", 600, 3)];
    let mut world = world(vec![find(2_500)], answers);
    world.model(|script| script.think = Duration::from_secs(4));
    world.brings("find", vec![Some((7_500, done("09:00")))]);
    world.dial(speaks_again(5_500, 500));
    world.run_to(30_000);
    assert_eq!((begun(&world).len(), fillers(&world)), (1, vec![]), "{:?}", told(&world));
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn nobody_is_told_of_waiting_while_they_speak() {
    let answers = vec![finds("hoy"), Answer::pattern("Sí, claro.", 600, 3)];
    let mut world = world(vec![find(2_500)], answers);
    world.brings("find", vec![Some((13_000, done("09:00")))]);
    world.dial(speaks_again(1_500, 5_000));
    world.run_to(24_000);
    let [filler] = fillers(&world)[..] else { panic!("{:?} {:?}", fillers(&world), told(&world)) };
    // They speak for five seconds, and are answered then. From the end of the answer on, they wait.
    let answered = world.ladder.moments((Lane::Model, Lane::Us), "created resp_3")[0].as_millis() as u64;
    assert!((answered + 3_000..answered + 4_500).contains(&filler), "{answered} {filler}");
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn each_wait_has_its_own_fillers() {
    // What is said of the first result is another call. Fillers are no answers.
    let answers = vec![finds("hoy"), finds("mañana"), Answer::pattern("A las nueve.", 600, 3)];
    let mut world = world(vec![find(2_500)], answers);
    world.brings("find", vec![Some((20_000, done("09:00")))]);
    world.dial(speaks(1));
    world.run_to(52_000);
    let [first, second] = begun(&world)[..] else { panic!("{:?}", told(&world)) };
    let fillers = fillers(&world);
    let of_first = fillers.iter().filter(|at| (first..second).contains(at)).count();
    assert_eq!((of_first, fillers.len()), (2, 4), "{first} {second} {fillers:?}");
    assert!(fillers[1] - fillers[0] > 10_000, "the second comes later: {fillers:?}");
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn of_several_tools_the_most_impatient_decides() {
    let slow = tool("book", |tool| tool.say_after = Some(Duration::from_secs(6)));
    let answers = vec![
        finds("hoy").and(Answer::call("book", r#"{"day":"hoy"}"#)),
        Answer::pattern("A las nueve.", 600, 3),
    ];
    let mut world = world(vec![find(2_500), slow], answers);
    for tool in ["find", "book"] {
        world.brings(tool, vec![Some((5_000, done("09:00")))]);
    }
    world.dial(speaks(1));
    world.run_to(12_000);
    let ([begun], [filler]) = (&begun(&world)[..], &fillers(&world)[..]) else {
        panic!("{:?}", told(&world));
    };
    assert_eq!(filler - begun, 2_500);
}

#[test]
fn a_caller_who_is_told_goodbye_is_not_told_of_waiting() {
    let says = Answer::pattern("Hasta luego.", 1_000, 2);
    let answers = vec![says.and(finds("hoy")).and(Answer::call("end_call", "{}"))];
    let mut world = world(vec![find(100)], answers);
    world.brings("find", vec![Some((20_000, done("09:00")))]);
    world.dial(speaks(1));
    world.run_to(12_000);
    assert_eq!((begun(&world).len(), fillers(&world)), (1, vec![]), "{:?}", told(&world));
    assert_eq!(world.report(0).reason, EndReason::AssistantHungUp);
    in_order(&world);
}
