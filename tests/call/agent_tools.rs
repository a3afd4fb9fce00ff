//! The tools of an agent: carried out once, with the caller's yes, while the conversation goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::call::record::ToolEntry;
use openai_inbound_calls::call::tools::offered;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, pattern};
use openai_inbound_calls::tool::{
    Access, Confirm, Effect, HttpTool, Mapping, McpServer, McpTool, Node, Outcome, Parameters, Pattern,
    Request, Target, Template, Tool, Way,
};
use serde_json::json;

use super::ladder::Lane;
use super::world::{MS, World};

/// A tool with one parameter, `day`.
fn tool(name: &str, change: impl FnOnce(&mut Tool)) -> Arc<Tool> {
    let schema = json!({
        "type": "object",
        "properties": {"day": {"type": "string", "maxLength": 20}, "pin": {"type": "string"}},
        "required": ["day"],
    });
    let mut tool = Tool {
        name: name.into(),
        description: "A tool.".into(),
        effect: Effect::Write,
        parameters: Parameters::new(schema, ["pin".to_owned()].into()).expect("a schema"),
        way: Way::Http(Box::new(HttpTool {
            request: Request {
                target: Target::parse("POST http://127.0.0.1:8099/x").expect("a target"),
                query: Vec::new(),
                headers: Vec::new(),
                body: Some(Node::Text(Template::new("{{ args.day }}").expect("a template"))),
            },
            idempotency: None,
            mapping: Mapping { result: None, error: None },
        })),
        timeout: Duration::from_secs(6),
        say_after: Some(Duration::from_millis(2_500)),
        confirm: Confirm::Nobody,
        repeatable: false,
    };
    change(&mut tool);
    Arc::new(tool)
}

/// A world whose agent has these tools.
fn world(tools: Vec<Arc<Tool>>, answers: Vec<Answer>) -> World {
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

fn done(result: &str) -> Outcome {
    Outcome::Done { result: json!(result) }
}

/// A caller who speaks so often, each time after what is said to them.
fn speaks(times: u8) -> Vec<Step> {
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
fn told(world: &World) -> Vec<String> {
    let texts = world.ladder.texts(0, Lane::Us, Lane::Model);
    texts
        .into_iter()
        .filter(|text| text.starts_with("call_") || text.starts_with("respond"))
        .map(str::to_owned)
        .collect()
}

fn entries(world: &World) -> Vec<ToolEntry> {
    world.tasks[0].recorded.tools()
}

fn in_order(world: &World) {
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
        .map(|(_, job)| job.number)
        .collect();
    assert_eq!(world.toolbox.let_go, reads);
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
fn nobody_hangs_up_while_something_is_being_written() {
    let answers = vec![
        Answer::call("book", r#"{"day":"hoy"}"#).and(Answer::call("end_call", "{}")),
        Answer::pattern("Listo.", 600, 3),
    ];
    let mut world = world(vec![tool("book", |_| {})], answers);
    world.brings("book", vec![Some((1_000, done("4711")))]);
    world.dial(speaks(1));
    world.run_to(10_000);
    assert!(world.outcome(0).ended.is_none());
    assert!(told(&world).iter().any(|text| text.contains("busy")), "{:?}", told(&world));
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
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
        world.brings("find", vec![Some((100, done("09:00")))]);
        world.dial(speaks(1));
        world.run_to(9_000);
        let [entry] = &entries(&world)[..] else { panic!("one tool") };
        let arguments = entry.arguments.clone();
        assert_eq!(arguments.is_some() && entry.answer.is_some(), transcript);
        assert!(!arguments.unwrap_or_default().contains("4321"));
        assert_eq!(entry.outcome, "ok");
    }
}

/// The same tool of a server that lists its tools itself.
fn of_server(name: &str, change: impl FnOnce(&mut Tool)) -> Arc<Tool> {
    let server = McpServer {
        name: "tickets".into(),
        access: Access::Command {
            program: "/usr/bin/tickets-mcp".into(),
            arguments: Vec::new(),
            variables: Vec::new(),
        },
        tools: vec![Pattern::new("*")],
        fixed: BTreeMap::new(),
        set: Vec::new(),
    };
    tool(name, |tool| {
        tool.way = Way::Mcp(McpTool { server: Arc::new(server), name: name.into(), idempotent: false });
        change(tool);
    })
}

#[test]
fn a_server_that_is_away_or_dies_in_a_call_is_something_to_speak_about() {
    let find = of_server("find", |tool| tool.effect = Effect::Read);
    let open = of_server("open", |_| {});
    let ask = || Answer::call("open", r#"{"day":"hoy"}"#);
    let answers = vec![
        Answer::call("find", r#"{"day":"hoy"}"#),
        Answer::pattern("Ahora no puedo buscar.", 600, 3),
        ask(),
        Answer::pattern("No sé si quedó abierto.", 600, 4),
        ask(),
        Answer::pattern("Le paso con una persona.", 600, 5),
    ];
    let mut world = world(vec![find, open], answers);
    // The one is away, and is not waited for; the other one dies after a while.
    world.brings("find", vec![Some((0, Outcome::Unavailable))]);
    world.brings("open", vec![Some((1_500, Outcome::Unknown))]);
    world.dial(speaks(3));
    world.run_to(20_000);
    let outputs: Vec<_> = told(&world).into_iter().filter(|text| text.starts_with("call_")).collect();
    let [away, dead, again] = &outputs[..] else { panic!("three outputs: {outputs:?}") };
    assert!(away.contains(r#""error":"unavailable""#), "{away}");
    assert!(dead.contains(r#""error":"unknown""#) && !dead.contains("repeated"), "{dead}");
    assert!(again.contains(r#""error":"unknown""#) && again.contains(r#""repeated":true"#), "{again}");
    assert_eq!(world.toolbox.jobs.len(), 2, "what may have been written is not written again");
    assert!(world.heard(0).ends_with(&pattern(600, 5)), "the call goes on");
    let outcomes: Vec<_> = entries(&world).iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, ["unavailable", "unknown"]);
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn only_what_reads_is_cancelled_when_the_caller_leaves_a_server() {
    for (effect, let_go) in [(Effect::Read, 1), (Effect::Write, 0)] {
        let find = of_server("find", |tool| tool.effect = effect);
        let mut world = world(vec![find], vec![Answer::call("find", r#"{"day":"hoy"}"#)]);
        world.brings("find", vec![None]);
        world.dial(speaks(1));
        world.run_to(5_000);
        assert_eq!(world.toolbox.jobs.len(), 1);
        world.hang_up(0);
        world.run_for(1_000);
        assert_eq!(world.toolbox.let_go.len(), let_go, "{effect:?}");
        in_order(&world);
    }
}
