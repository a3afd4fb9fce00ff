//! The tools of servers that list their tools themselves: the call treats them like all others.

use std::collections::BTreeMap;
use std::sync::Arc;

use openai_inbound_calls::sim::realtime::{Answer, pattern};
use openai_inbound_calls::tool::{Access, Effect, McpServer, McpTool, Outcome, Pattern, Tool, Way};

use super::agent_tools::{entries, in_order, speaks, told, world};
use super::toolbox::tool;

/// A tool of a server that lists its tools itself.
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
