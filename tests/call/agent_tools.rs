//! The tools of an agent: they are carried out while the conversation goes on, and their outputs reach the model.

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::call::Wish;
use openai_inbound_calls::call::record::ToolEntry;
use openai_inbound_calls::call::tools::{Destination, offered};
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::Order;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, pattern};
use openai_inbound_calls::tool::{Effect, Tool};

use super::ladder::{Lane, Show, check};
use super::task::Happened;
use super::toolbox::{done, tool};
use super::world::{MS, World};

/// A world whose agent has these tools.
pub(super) fn world(tools: Vec<Arc<Tool>>, answers: Vec<Answer>) -> World {
    let mut world = World::new();
    world.set(|settings| {
        settings.may_hang_up = true;
        settings.session.tools = offered(true, &[], &tools);
        settings.tools = tools;
    });
    world.model(|script| {
        script.answers = answers;
        script.tool_within = Duration::from_secs(60);
    });
    world
}

/// A caller who speaks so often, each time after what is said to them.
pub(super) fn speaks(times: u8) -> Vec<Step> {
    let once = |n: u8| {
        [
            Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS },
            Step::Say(pattern(500, 100 + n)),
            Step::WaitForSpeech { at_most: 10_000 * MS },
        ]
    };
    (0..times).flat_map(once).collect()
}

/// What the model was told, as far as it is outputs of functions and requests for responses.
pub(super) fn told(world: &World) -> Vec<String> {
    let texts = world.ladder.texts(0, Lane::Us, Lane::Model);
    texts
        .into_iter()
        .filter(|text| text.starts_with("call_") || text.starts_with("respond"))
        .map(str::to_owned)
        .collect()
}

pub(super) fn entries(world: &World) -> Vec<ToolEntry> {
    world.tasks[0].recorded.tools()
}

pub(super) fn in_order(world: &World) {
    assert!(world.violations().is_empty(), "{:?}", world.violations());
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn a_tool_is_carried_out_and_its_result_is_answered_with() {
    let find = tool("find", |tool| tool.effect = Effect::Read);
    let answers = vec![Answer::call("find", r#"{"day":"hoy"}"#), Answer::pattern("A las nueve.", 800, 3)];
    let mut world = world(vec![find], answers);
    world.brings("find", vec![Some((1_000, done("09:00")))]);
    world.dial(speaks(1));
    world.run_to(9_000);
    assert_eq!(told(&world)[1..], [r#"call_1: {"ok":true,"result":"09:00"}"#, "respond"]);
    assert!(world.heard(0).ends_with(&pattern(800, 3)), "the answer with the result");
    let [entry] = &entries(&world)[..] else { panic!("one tool") };
    assert_eq!((entry.outcome, entry.took, entry.attempts), ("ok", Duration::from_secs(1), 1));
    assert_eq!(entry.arguments.as_deref(), Some(r#"{"day":"hoy"}"#));
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn several_calls_of_one_answer_get_their_outputs_and_one_response() {
    let answer = Answer::pattern("Un momento.", 600, 2)
        .and(Answer::call("find", r#"{"day":"hoy"}"#))
        .and(Answer::call("book", r#"{"day":"hoy"}"#))
        .and(Answer::call("nada", "{}"));
    let mut world = world(
        vec![tool("find", |tool| tool.effect = Effect::Read), tool("book", |_| {})],
        vec![answer, Answer::pattern("Listo.", 600, 3)],
    );
    world.brings("find", vec![Some((2_000, done("09:00")))]);
    world.brings("book", vec![Some((500, done("4711")))]);
    world.dial(speaks(1));
    world.run_to(10_000);
    let expected = [
        r#"call_3: {"error":"there is no such function","ok":false}"#,
        r#"call_2: {"ok":true,"result":"4711"}"#,
        r#"call_1: {"ok":true,"result":"09:00"}"#,
        "respond",
    ];
    assert_eq!(told(&world)[1..], expected);
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn a_call_that_is_answered_at_once_does_not_ask_for_a_response_before_the_others_are_answered() {
    let answer = Answer::call("nada", "{}")
        .and(Answer::call("find", r#"{"day":"hoy"}"#))
        .and(Answer::call("nada", "{}"));
    let find = tool("find", |tool| tool.effect = Effect::Read);
    let mut world = world(vec![find], vec![answer, Answer::pattern("A las nueve.", 600, 3)]);
    world.brings("find", vec![Some((1_000, done("09:00")))]);
    world.dial(speaks(1));
    world.run_to(10_000);
    let nothing = |call| format!(r#"call_{call}: {{"error":"there is no such function","ok":false}}"#);
    let expected =
        [nothing(1), nothing(3), r#"call_2: {"ok":true,"result":"09:00"}"#.to_owned(), "respond".to_owned()];
    assert_eq!(told(&world)[1..], expected);
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn a_session_that_follows_is_told_what_is_still_to_come_and_gets_the_output_with_its_call() {
    let answers = vec![Answer::call("book", r#"{"day":"hoy"}"#), Answer::pattern("Listo.", 600, 3)];
    let mut world = world(vec![tool("book", |tool| tool.say_after = None)], answers);
    world.brings("book", vec![Some((4_000, done("4711")))]);
    world.dial(speaks(1));
    world.run_to(5_000);
    world.drop_session(0);
    world.run_to(7_500);
    let to_model = |world: &World| {
        let texts = world.ladder.texts(0, Lane::Us, Lane::Model);
        texts.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let told_again = to_model(&world);
    assert!(told_again.iter().any(|text| text.contains("You have called book")), "{told_again:?}");
    world.run_to(12_000);
    let rest = to_model(&world).split_off(told_again.len());
    let [call, output, respond, ..] = &rest[..] else { panic!("{rest:?}") };
    assert!(call.contains(r#"book{"day":"hoy"}"#), "{call}");
    assert_eq!((&**output, &**respond), (r#"call_1: {"ok":true,"result":"4711"}"#, "respond"));
    assert_eq!((world.toolbox.jobs.len(), entries(&world).len()), (1, 1));
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn a_tool_that_brings_nothing_is_answered_with_unknown_and_what_comes_later_is_told() {
    let answers = vec![Answer::call("book", r#"{"day":"hoy"}"#), Answer::pattern("No sé si quedó.", 600, 3)];
    let mut world = world(vec![tool("book", |_| {})], answers);
    world.brings("book", vec![Some((9_000, done("4711")))]);
    world.dial(speaks(1));
    world.run_to(18_000);
    let told = told(&world);
    let unknown = told.iter().find(|text| text.starts_with("call_1")).expect("an output");
    assert!(unknown.contains(r#""error":"unknown""#), "{unknown}");
    let all = world.ladder.texts(0, Lane::Us, Lane::Model);
    assert!(all.iter().any(|text| text.contains("The result of book") && text.contains("4711")), "{all:?}");
    let outputs = told.iter().filter(|text| text.starts_with("call_")).count();
    assert_eq!(outputs, 1, "exactly one output");
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn an_outcome_that_comes_just_after_the_time_out_is_still_the_outcome() {
    let answers = vec![Answer::call("book", r#"{"day":"hoy"}"#), Answer::pattern("Listo.", 600, 3)];
    let mut world = world(vec![tool("book", |_| {})], answers);
    // The daemon ends the tool at its time-out of six seconds, and says so a moment later.
    world.brings("book", vec![Some((6_500, done("4711")))]);
    world.dial(speaks(1));
    world.run_to(14_000);
    let outputs: Vec<_> = told(&world).into_iter().filter(|text| text.starts_with("call_")).collect();
    assert_eq!(outputs, [r#"call_1: {"ok":true,"result":"4711"}"#]);
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn a_tool_that_never_ends_is_in_the_record() {
    let answers = vec![Answer::call("book", r#"{"day":"hoy"}"#), Answer::pattern("No sé si quedó.", 600, 3)];
    let mut world = world(vec![tool("book", |_| {})], answers);
    world.brings("book", vec![None]);
    world.dial(speaks(1));
    world.run_to(18_000);
    assert_eq!(entries(&world).len(), 0, "the model knows that nobody knows, and the end may still come");
    world.hang_up(0);
    world.run_for(1_000);
    let [entry] = &entries(&world)[..] else { panic!("one tool") };
    assert_eq!((&*entry.name, entry.outcome), ("book", "unknown"));
    in_order(&world);
}

#[test]
fn while_a_tool_is_waited_for_something_is_said_twice_and_nobody_is_asked_whether_they_are_there() {
    let find = tool("find", |tool| {
        tool.effect = Effect::Read;
        tool.timeout = Duration::from_secs(50);
    });
    let answers = vec![Answer::call("find", r#"{"day":"hoy"}"#), Answer::pattern("A las nueve.", 600, 3)];
    let mut world = world(vec![find], answers);
    world.set(|settings| settings.limits.silence = Some(Duration::from_secs(10)));
    world.brings("find", vec![Some((40_000, done("09:00")))]);
    world.dial(speaks(1));
    world.run_to(50_000);
    let told = told(&world);
    let fillers = told.iter().filter(|text| text.contains("still looking")).count();
    assert_eq!(fillers, 2, "{told:?}");
    assert!(!told.iter().any(|text| text.contains("still there")), "{told:?}");
    assert!(world.heard(0).ends_with(&pattern(600, 3)), "the answer at the end");
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn a_caller_who_speaks_over_a_tool_is_answered_and_the_tool_goes_on() {
    let answers = vec![
        Answer::pattern("Un momento.", 600, 2).and(Answer::call("book", r#"{"day":"hoy"}"#)),
        Answer::pattern("Sí, claro.", 600, 3),
        Answer::pattern("Listo.", 600, 4),
    ];
    let mut world = world(vec![tool("book", |_| {})], answers);
    world.brings("book", vec![Some((5_000, done("4711")))]);
    world.dial(speaks(2));
    world.run_to(16_000);
    assert_eq!(world.toolbox.let_go, []);
    check(
        &world.ladder,
        Show::TALK.from(1_000),
        r#"
                       caller    Asterisk  us        model     tools
                2.686  ╞═════════╪════════▶│         │         │  voice 500 ms
                2.686  │         │         ╞════════▶│         │  voice 500 ms
                2.766  │         │         │◀────────┤         │  speech_started
                3.706  │         │         │◀────────┤         │  speech_stopped
                3.706  │         │         │◀────────┤         │  created resp_2
                4.006  │         │         │◀════════╡         │  item_2 600 ms
                4.006  │◀════════╪═════════╡         │         │  item_2 600 ms
                4.026  │         │         │◀────────┤         │  call_1 book{"day":"hoy"}
                4.026  │         │         ├─────────┼────────▶│  book {"day":"hoy"}
                4.026  │         │         │◀────────┤         │  done resp_2 completed
                5.306  ╞═════════╪════════▶│         │         │  voice 500 ms
                5.306  │         │         ╞════════▶│         │  voice 500 ms
                5.386  │         │         │◀────────┤         │  speech_started
                6.326  │         │         │◀────────┤         │  speech_stopped
                6.326  │         │         │◀────────┤         │  created resp_3
                6.626  │         │         │◀════════╡         │  item_3 600 ms
                6.626  │◀════════╪═════════╡         │         │  item_3 600 ms
                6.646  │         │         │◀────────┤         │  done resp_3 completed
                9.026  │         │         │◀────────┼─────────┤  ok "4711"
                9.026  │         │         ├────────▶│         │  call_1: {"ok":true,"result":"4711"}
                9.026  │         │         ├────────▶│         │  respond
                9.066  │         │         │◀────────┤         │  created resp_4
                9.366  │         │         │◀════════╡         │  item_4 600 ms
                9.386  │◀════════╪═════════╡         │         │  item_4 600 ms
                9.386  │         │         │◀────────┤         │  done resp_4 completed
        "#,
    );
    let heard = world.heard(0);
    assert!(world.heard_of(0, &pattern(600, 3)) > 500, "the caller is answered meanwhile");
    assert!(heard.ends_with(&pattern(600, 4)), "and told of the result");
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn when_the_caller_hangs_up_what_reads_is_let_go_and_what_writes_is_not() {
    let answer = Answer::call("find", r#"{"day":"hoy"}"#).and(Answer::call("book", r#"{"day":"hoy"}"#));
    let mut world =
        world(vec![tool("find", |tool| tool.effect = Effect::Read), tool("book", |_| {})], vec![answer]);
    world.brings("find", vec![None]);
    world.brings("book", vec![None]);
    world.dial(speaks(1));
    world.run_to(5_000);
    assert_eq!(world.toolbox.jobs.len(), 2);
    world.hang_up(0);
    world.run_for(1_000);
    let reads: Vec<_> = world
        .toolbox
        .jobs
        .iter()
        .filter(|(_, job)| job.tool.effect == Effect::Read)
        .map(|(task, job)| (*task, job.number))
        .collect();
    assert_eq!(world.toolbox.let_go, reads);
    check(
        &world.ladder,
        Show::ALL.from(2_500),
        r#"
                       caller    Asterisk  us        model     tools
                2.686  ╞═════════╪════════▶│         │         │  voice 500 ms
                2.686  │         │         ╞════════▶│         │  voice 500 ms
                2.766  │         │         │◀────────┤         │  speech_started
                3.706  │         │         │◀────────┤         │  speech_stopped
                3.706  │         │         │◀────────┤         │  created resp_2
                4.006  │         │         │◀────────┤         │  call_1 find{"day":"hoy"}
                4.006  │         │         ├─────────┼────────▶│  find {"day":"hoy"}
                4.006  │         │         │◀────────┤         │  call_2 book{"day":"hoy"}
                4.006  │         │         ├─────────┼────────▶│  book {"day":"hoy"}
                4.006  │         │         │◀────────┤         │  done resp_2 completed
                5.000  ├────────▶│         │         │         │  BYE
                5.001  │         ├────────▶│         │         │  StasisEnd
                5.001  │         │         ├─────────┼────────▶│  let go
                5.001  │         │◀────────┤         │         │  hang up media
                5.001  │         │◀────────┤         │         │  delete bridge
                5.001  │         │         ├────────▶│         │  close
                5.004  │         ├────────▶│         │         │  StasisEnd (media)
        "#,
    );
    let outcomes: Vec<_> = entries(&world).iter().map(|entry| (entry.name.clone(), entry.outcome)).collect();
    assert_eq!(outcomes, [("find".to_owned(), "unknown"), ("book".to_owned(), "unknown")]);
    assert_eq!(world.report(0).reason, EndReason::CallerHungUp);
}

#[test]
fn a_tool_of_which_nothing_was_heard_again_is_in_the_record_once() {
    let answers = vec![Answer::call("book", r#"{"day":"hoy"}"#), Answer::pattern("No sé si quedó.", 600, 3)];
    let mut world = world(vec![tool("book", |_| {})], answers);
    world.brings("book", vec![None]);
    world.dial(speaks(1));
    world.run_to(14_000);
    assert_eq!(entries(&world), []);
    world.hang_up(0);
    world.run_for(1_000);
    let [entry] = &entries(&world)[..] else { panic!("one tool: {:?}", entries(&world)) };
    assert_eq!((&*entry.name, entry.outcome, entry.attempts), ("book", "unknown", 0));
    assert_eq!(world.report(0).tools, entries(&world), "the call log has the same");
    in_order(&world);
}

#[test]
fn what_writes_is_not_let_go_when_a_supervisor_transfers_the_caller() {
    let mut world = world(vec![tool("book", |_| {})], vec![Answer::call("book", r#"{"day":"hoy"}"#)]);
    world.brings("book", vec![None]);
    world.dial(speaks(1));
    world.run_to(4_500);
    assert_eq!(world.toolbox.jobs.len(), 1);
    let place = "from-internal,200".parse().expect("a place");
    let wish = Wish::HandOver(Destination { name: "ventas".into(), place });
    world.happen(0, Happened::Told(Order::Supervisor(wish)));
    world.run_for(10_000);
    assert_eq!(
        (world.report(0).reason, &world.toolbox.let_go[..]),
        (EndReason::SupervisorTransferred, &[][..])
    );
    assert_eq!(entries(&world).iter().map(|entry| entry.outcome).collect::<Vec<_>>(), ["unknown"]);
}

#[test]
fn arguments_that_do_not_fit_are_told_and_a_model_in_a_loop_is_stopped() {
    let wrong = || Answer::call("book", r#"{"dia":"hoy"}"#);
    let answers = vec![wrong(), wrong(), wrong(), wrong(), Answer::pattern("Lo siento.", 600, 3)];
    let mut world = world(vec![tool("book", |_| {})], answers);
    world.dial(speaks(1));
    world.run_to(12_000);
    let outputs: Vec<_> = told(&world).into_iter().filter(|text| text.starts_with("call_")).collect();
    for output in &outputs[..3] {
        assert!(output.contains("invalid_arguments") && output.contains("day"), "{output}");
    }
    assert!(outputs[3].contains("too_often"), "{outputs:?}");
    assert_eq!(world.toolbox.jobs.len(), 0);
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn private_values_are_masked_and_without_words_only_the_outcome_is_kept() {
    let answers =
        vec![Answer::call("find", r#"{"day":"hoy","pin":"4321"}"#), Answer::pattern("A las nueve.", 800, 3)];
    for transcript in [true, false] {
        let mut world = world(vec![tool("find", |tool| tool.effect = Effect::Read)], answers.clone());
        world.set(|settings| settings.keep.transcript = transcript);
        world.brings("find", vec![Some((100, done("09:00 with the PIN 4321")))]);
        world.dial(speaks(1));
        world.run_to(9_000);
        assert!(
            told(&world).iter().any(|text| text.contains("4321")),
            "the model reads what the server says"
        );
        let [entry] = &entries(&world)[..] else { panic!("one tool") };
        let arguments = entry.arguments.clone();
        assert!(!entry.answer.clone().unwrap_or_default().contains("4321"), "the record does not hold it");
        assert_eq!(arguments.is_some() && entry.answer.is_some(), transcript);
        assert!(!arguments.unwrap_or_default().contains("4321"));
        assert_eq!(entry.outcome, "ok");
    }
}

#[test]
fn what_a_model_calls_without_end_is_kept_up_to_a_bound() {
    let calls = (0..300).fold(Answer::default(), |all, _| all.and(Answer::call("fly", "{}")));
    let mut world = world(vec![], vec![calls, Answer::pattern("No puedo.", 600, 3)]);
    world.dial(speaks(1));
    world.run_to(10_000);
    let outputs = told(&world).iter().filter(|text| text.starts_with("call_")).count();
    assert_eq!(outputs, 256);
}

#[test]
fn a_model_that_has_called_too_much_may_still_hang_up() {
    let calls = (0..300).fold(Answer::default(), |all, _| all.and(Answer::call("fly", "{}")));
    let goodbye = Answer::pattern("Adiós.", 600, 4).and(Answer::call("end_call", "{}"));
    let mut world = world(vec![], vec![calls, Answer::pattern("No puedo.", 600, 3), goodbye]);
    world.set(|settings| settings.may_hang_up = true);
    world.dial(speaks(2));
    world.run_to(20_000);
    assert_eq!(world.report(0).reason, EndReason::AssistantHungUp);
}
