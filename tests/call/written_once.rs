//! What a tool writes is written once, and only after the caller's yes where the tool needs one.

use openai_inbound_calls::call::tools::Destination;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::Answer;
use openai_inbound_calls::tool::{Confirm, Outcome};

use super::agent_tools::{entries, in_order, speaks, told, world};
use super::ladder::{Show, check};
use super::toolbox::{done, recognizes_its_key, tool};
use super::world::{MS, World};

/// What the metrics count of the calls of tools.
fn counted(world: &World) -> Vec<&'static str> {
    world.tasks[0].glance.tools.iter().map(|used| used.outcome).collect()
}

#[test]
fn a_yes_to_one_thing_is_none_to_another() {
    let book = |day: &str| Answer::call("book", &format!(r#"{{"day":"{day}"}}"#));
    let ask = |n| Answer::pattern("¿Le parece bien?", 600, n);
    let answers = vec![book("hoy"), ask(3), book("mañana"), ask(4), book("hoy"), ask(5), book("hoy"), ask(6)];
    let mut world = world(vec![tool("book", |tool| tool.confirm = Confirm::Caller)], answers);
    world.brings("book", vec![Some((300, done("4711")))]);
    world.dial(speaks(4));
    world.run_to(26_000);
    let codes: Vec<_> = told(&world)
        .into_iter()
        .filter(|text| text.starts_with("call_"))
        .map(|text| text.contains("ask_first"))
        .collect();
    assert_eq!(codes, [true, true, true, false], "each other thing begins again");
    assert_eq!(counted(&world), ["ask_first", "ask_first", "ask_first", "ok"]);
    assert_eq!(world.toolbox.jobs.len(), 1);
}

#[test]
fn what_may_have_been_written_is_not_written_again() {
    let book = || Answer::call("book", r#"{"day":"hoy"}"#);
    let answers = vec![book(), Answer::pattern("No sé.", 600, 3), book(), Answer::pattern("No sé.", 600, 4)];
    let mut world = world(vec![tool("book", |_| {})], answers);
    world.brings("book", vec![Some((300, Outcome::Unknown)), Some((300, done("4711")))]);
    world.dial(speaks(2));
    world.run_to(14_000);
    let outputs: Vec<_> = told(&world).into_iter().filter(|text| text.starts_with("call_")).collect();
    let is_unknown = |output: &String| output.contains(r#""error":"unknown""#);
    assert!(outputs.len() == 2 && outputs.iter().all(is_unknown), "{outputs:?}");
    assert!(outputs[1].contains(r#""repeated":true"#), "{outputs:?}");
    assert_eq!(world.toolbox.jobs.len(), 1);
    assert_eq!(counted(&world), ["unknown", "repeated"]);
}

#[test]
fn what_brings_nothing_in_time_is_not_written_again() {
    let book = || Answer::call("book", r#"{"day":"hoy"}"#);
    let answers = vec![book(), Answer::pattern("No sé.", 600, 3), book(), Answer::pattern("No sé.", 600, 4)];
    let mut world = world(vec![tool("book", |_| {})], answers);
    world.brings("book", vec![None]);
    let [first, second] = [speaks(1), speaks(1)];
    // The first call is given up seven seconds after it was made.
    let meanwhile = vec![Step::Pause(12_000 * MS)];
    world.dial([first, meanwhile, second].concat());
    world.run_to(30_000);
    let outputs: Vec<_> = told(&world).into_iter().filter(|text| text.starts_with("call_")).collect();
    let is_unknown = |output: &String| output.contains(r#""error":"unknown""#);
    assert!(outputs.len() == 2 && outputs.iter().all(is_unknown), "{outputs:?}");
    assert!(outputs[1].contains(r#""repeated":true"#), "{outputs:?}");
    assert_eq!(world.toolbox.jobs.len(), 1);
}

#[test]
fn what_is_not_known_is_asked_again_where_the_server_knows_the_key() {
    let book = || Answer::call("book", r#"{"day":"hoy"}"#);
    let say = |n| Answer::pattern("Un momento.", 600, n);
    let answers = vec![book(), say(3), book(), say(4), book(), say(5), book(), say(6)];
    let mut world = world(
        vec![tool("book", |tool| {
            tool.confirm = Confirm::Caller;
            recognizes_its_key(tool);
        })],
        answers,
    );
    // The first request has no answer in time, and the server answers the second one.
    world.brings("book", vec![Some((300, Outcome::Unknown)), Some((300, done("4711")))]);
    world.dial(speaks(4));
    world.run_to(26_000);
    let outputs: Vec<_> = told(&world).into_iter().filter(|text| text.starts_with("call_")).collect();
    let codes =
        ["ask_first", "exactly the same arguments", r#"{"ok":true,"result":"4711"}"#, r#""repeated":true"#];
    assert!(
        outputs.len() == 4 && outputs.iter().zip(codes).all(|(output, code)| output.contains(code)),
        "{outputs:?}"
    );
    let [(_, first), (_, second)] = &world.toolbox.jobs[..] else { panic!("{:?}", world.toolbox.jobs) };
    assert_eq!(first.key, second.key);
    let agreed: Vec<_> = entries(&world).iter().map(|entry| entry.agreed_in_turn).collect();
    assert_eq!(agreed, [Some(2), Some(2)], "the yes holds for both requests");
}

#[test]
fn what_stays_unknown_is_not_asked_without_end() {
    let book = || Answer::call("book", r#"{"day":"hoy"}"#);
    let say = |n| Answer::pattern("Un momento.", 600, n);
    let answers = vec![book(), say(3), book(), say(4), book(), say(5), book(), say(6)];
    let mut world = world(vec![tool("book", recognizes_its_key)], answers);
    world.brings("book", vec![Some((300, Outcome::Unknown))]);
    world.dial(speaks(4));
    world.run_to(26_000);
    let outputs: Vec<_> = told(&world).into_iter().filter(|text| text.starts_with("call_")).collect();
    assert_eq!((outputs.len(), world.toolbox.jobs.len()), (4, 3), "{outputs:?}");
    assert!(
        outputs[3].contains("offer a person") && outputs[3].contains(r#""repeated":true"#),
        "{outputs:?}"
    );
}

#[test]
fn the_same_deed_has_another_key_in_another_call() {
    let answers = vec![Answer::call("book", r#"{"day":"hoy"}"#), Answer::pattern("Listo.", 600, 3)];
    let mut world = world(vec![tool("book", |_| {})], answers);
    world.brings("book", vec![Some((300, done("4711")))]);
    for _ in 0..2 {
        world.dial(speaks(1));
    }
    world.run_to(8_000);
    let [(_, first), (_, second)] = &world.toolbox.jobs[..] else { panic!("two jobs") };
    assert_eq!(first.arguments, second.arguments);
    assert_ne!(first.key, second.key);
}

#[test]
fn a_call_that_is_made_twice_at_once_is_carried_out_once() {
    let book = || Answer::call("book", r#"{"day":"hoy"}"#);
    let mut world =
        world(vec![tool("book", |_| {})], vec![book().and(book()), Answer::pattern("Listo.", 600, 3)]);
    world.brings("book", vec![Some((500, done("4711")))]);
    world.dial(speaks(1));
    world.run_to(10_000);
    let outputs: Vec<_> = told(&world).into_iter().filter(|text| text.starts_with("call_")).collect();
    assert!(outputs[0].starts_with("call_2") && outputs[0].contains("busy"), "{outputs:?}");
    assert_eq!(outputs[1..], [r#"call_1: {"ok":true,"result":"4711"}"#]);
    assert_eq!(world.toolbox.jobs.len(), 1);
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn two_calls_at_once_with_other_arguments_are_two_deeds() {
    let book = |day: &str| Answer::call("book", &format!(r#"{{"day":"{day}"}}"#));
    let answers = vec![book("hoy").and(book("mañana")), Answer::pattern("Listo.", 600, 3)];
    let mut world = world(vec![tool("book", |_| {})], answers);
    world.brings("book", vec![Some((500, done("4711"))), Some((600, done("4712")))]);
    world.dial(speaks(1));
    world.run_to(10_000);
    let outputs: Vec<_> = told(&world).into_iter().filter(|text| text.starts_with("call_")).collect();
    assert_eq!(outputs, [r#"call_1: {"ok":true,"result":"4711"}"#, r#"call_2: {"ok":true,"result":"4712"}"#]);
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn a_writing_tool_runs_only_after_the_caller_has_spoken_since_the_question() {
    let book = || Answer::call("book", r#"{"day":"hoy"}"#);
    let answers = vec![
        book(),
        // Without a word of the caller, the same call is refused again.
        book(),
        Answer::pattern("¿Hoy a las nueve?", 800, 3),
        book(),
        Answer::pattern("Listo.", 800, 4),
    ];
    let mut world = world(vec![tool("book", |tool| tool.confirm = Confirm::Caller)], answers);
    world.brings("book", vec![Some((300, done("4711")))]);
    world.dial(speaks(2));
    world.run_to(16_000);
    let outputs: Vec<_> = told(&world).into_iter().filter(|text| text.starts_with("call_")).collect();
    assert!(outputs[0].contains("ask_first") && outputs[1].contains("ask_first"), "{outputs:?}");
    assert_eq!(outputs[2..], [r#"call_3: {"ok":true,"result":"4711"}"#]);
    assert_eq!(world.toolbox.jobs.len(), 1);
    assert_eq!(entries(&world)[0].agreed_in_turn, Some(2));
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
                4.006  │         │         │◀────────┤         │  call_1 book{"day":"hoy"}
                4.006  │         │         ├────────▶│         │  call_1: {"error":"ask_first","hint":"Read it back and ask. Call again after the caller has agreed.","ok":false}
                4.006  │         │         │◀────────┤         │  done resp_2 completed
                4.006  │         │         ├────────▶│         │  respond
                4.046  │         │         │◀────────┤         │  created resp_3
                4.346  │         │         │◀────────┤         │  call_2 book{"day":"hoy"}
                4.346  │         │         ├────────▶│         │  call_2: {"error":"ask_first","hint":"Read it back and ask. Call again after the caller has agreed.","ok":false}
                4.346  │         │         │◀────────┤         │  done resp_3 completed
                4.346  │         │         ├────────▶│         │  respond
                4.386  │         │         │◀────────┤         │  created resp_4
                4.686  │         │         │◀════════╡         │  item_2 800 ms
                4.686  │◀════════╪═════════╡         │         │  item_2 800 ms
                4.712  │         │         │◀────────┤         │  done resp_4 completed
                6.186  ╞═════════╪════════▶│         │         │  voice 500 ms
                6.186  │         │         ╞════════▶│         │  voice 500 ms
                6.266  │         │         │◀────────┤         │  speech_started
                7.206  │         │         │◀────────┤         │  speech_stopped
                7.206  │         │         │◀────────┤         │  created resp_5
                7.506  │         │         │◀────────┤         │  call_3 book{"day":"hoy"}
                7.506  │         │         ├─────────┼────────▶│  book {"day":"hoy"}
                7.506  │         │         │◀────────┤         │  done resp_5 completed
                7.806  │         │         │◀────────┼─────────┤  ok "4711"
                7.806  │         │         ├────────▶│         │  call_3: {"ok":true,"result":"4711"}
                7.806  │         │         ├────────▶│         │  respond
                7.846  │         │         │◀────────┤         │  created resp_6
                8.146  │         │         │◀════════╡         │  item_3 800 ms
                8.146  │◀════════╪═════════╡         │         │  item_3 800 ms
                8.172  │         │         │◀────────┤         │  done resp_6 completed
        "#,
    );
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn what_was_written_is_not_written_twice() {
    let book = || Answer::call("book", r#"{"day": "hoy"}"#);
    let answers =
        vec![book(), Answer::pattern("Listo.", 600, 3), book(), Answer::pattern("Ya está.", 600, 4)];
    let mut world = world(vec![tool("book", |_| {})], answers);
    world.brings("book", vec![Some((300, done("4711"))), Some((300, done("4712")))]);
    world.dial(speaks(2));
    world.run_to(14_000);
    let outputs: Vec<_> = told(&world).into_iter().filter(|text| text.starts_with("call_")).collect();
    let expected =
        [r#"call_1: {"ok":true,"result":"4711"}"#, r#"call_2: {"ok":true,"repeated":true,"result":"4711"}"#];
    assert_eq!((outputs, world.toolbox.jobs.len()), (expected.map(str::to_owned).to_vec(), 1));
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn nobody_hangs_up_while_something_is_being_written() {
    let answers = vec![
        Answer::call("book", r#"{"day":"hoy"}"#)
            .and(Answer::call("end_call", "{}"))
            .and(Answer::call("transfer_call", r#"{"destination":"ventas","summary":"Ana."}"#)),
        Answer::pattern("Listo.", 600, 3),
    ];
    let mut world = world(vec![tool("book", |_| {})], answers);
    world.set(|settings| {
        let place = "from-internal,200".parse().expect("a place");
        settings.destinations = vec![Destination { name: "ventas".into(), place }];
    });
    world.brings("book", vec![Some((1_000, done("4711")))]);
    world.dial(speaks(1));
    world.run_to(10_000);
    assert!(world.outcome(0).ended.is_none());
    let refused = told(&world).iter().filter(|text| text.contains("busy")).count();
    assert_eq!(refused, 2, "{:?}", told(&world));
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}
