//! Tests of tools whose server lists them itself (MCP): the shipped example opens a ticket, and a server that is away costs its
//! tools and not the call.

use std::path::Path;

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::live::realtime::LiveSession;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};
use serde_json::{Value, json};

use crate::api::Api;
use crate::world::{World, assert_no_violations, listen, ms, until};

const HERE: &str = "El servidor MCP tickets está disponible: lista 3 herramientas";
const AWAY: &str = "El servidor MCP tickets no está disponible";

/// The file of an agent whose server is started by this command. The tickets are kept in the folder.
pub(crate) fn agent(folder: &Path, program: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agents/help-desk/tickets.py");
    format!(
        r#"
numbers = ["3241000752"]

[[mcp]]
name = "tickets"
command = ["{program}", "{}", "{}"]
tools = ["open_ticket", "find_*", "close_ticket"]
[mcp.fixed]
open_ticket = {{ phone = "{{{{ call.caller }}}}" }}
find_tickets = {{ phone = "{{{{ call.caller }}}}" }}
[mcp.set]
open_ticket = {{ confirm = "caller" }}
"find_*" = {{ effect = "read" }}
"#,
        script.display(),
        folder.join("tickets.jsonl").display(),
    )
}

/// The functions that the model was offered, by name.
fn offered(session: &LiveSession) -> Vec<(String, Value)> {
    let said = session.said();
    let messages = said.iter().filter(|said| said.by_client);
    let updates = messages.map(|said| serde_json::from_str::<Value>(&said.text).expect("JSON"));
    let first = updates.into_iter().find(|message| message["type"] == "session.update").expect("an update");
    let tools = first["session"]["tools"].as_array().expect("tools").iter();
    tools
        .map(|tool| (tool["name"].as_str().expect("a name").to_owned(), tool["parameters"].clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_is_opened_by_a_server_that_lists_its_tools_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("mesa.toml"), agent(folder.path(), "/usr/bin/python3"))
        .expect("a file");
    let open = || Answer::call("open_ticket", r#"{"title":"Sin red"}"#);
    let answers = vec![
        Answer::call("find_tickets", "{}"),
        Answer::pattern("No tiene tickets. ¿Abro uno?", 700, 3),
        open(),
        Answer::pattern("¿Sin red, entonces?", 700, 4),
        open(),
        Answer::pattern("Listo.", 700, 5),
        // The number is not the model's to choose.
        Answer::call("open_ticket", r#"{"title":"Otro","phone":"999"}"#),
        Answer::pattern("No se puede.", 700, 6),
    ];
    let world = World::new(Script { answers, ..Script::default() });
    world.openai.watch();
    let path = folder.path().display().to_string();
    let program = world.program(&[("AGENTS_DIR", &path)]).await;
    program.says("INFO", HERE).await;
    let absent = "El agente mesa no ofrece la herramienta close_ticket del servidor MCP tickets: el servidor no la tiene";
    program.says("WARNING", absent).await;
    let turn = |n: u8| [&listen()[..], &[Step::Say(pattern(600, 100 + n))]].concat();
    let script = [turn(1), turn(2), turn(3), turn(4), listen().to_vec(), vec![Step::HangUp]].concat();
    let call = world.call(script);
    world.over(call).await;
    assert_no_violations(&world.session());

    assert_eq!(program.count("WARNING", absent), 1);
    let offered = offered(&world.session());
    let names: Vec<_> = offered.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"open_ticket") && names.contains(&"find_tickets"), "{names:?}");
    assert!(!names.contains(&"delete_all"), "it was not asked for");
    let seen: Vec<_> = offered.iter().filter(|(name, _)| name.ends_with("_ticket")).collect();
    assert!(seen.iter().all(|(_, schema)| schema["properties"].get("phone").is_none()), "{seen:?}");
    let tickets = std::fs::read_to_string(folder.path().join("tickets.jsonl")).expect("tickets");
    let tickets: Vec<Value> = tickets.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [ticket] = &tickets[..] else { panic!("one ticket: {tickets:?}") };
    assert_eq!((&ticket["title"], &ticket["phone"]), (&json!("Sin red"), &json!("3001234567")));

    let api = Api::of(&program).await;
    let finished = api.only("finished").await;
    let path = format!("/recordings/{}/conversation", finished["id"].as_str().expect("an id"));
    let tools = api.get(&path).await.json()["tools"].clone();
    let of = |tool: &Value| (tool["name"].clone(), tool["outcome"].clone());
    let tools: Vec<_> = tools.as_array().expect("a list").iter().map(of).collect();
    let done = |name: &str| (json!(name), json!("ok"));
    assert_eq!(tools, [done("find_tickets"), done("open_ticket")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_costs_its_tools_and_one_line_and_comes_back_by_a_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mesa.toml");
    std::fs::write(&file, agent(folder.path(), "/nowhere/tickets-mcp")).expect("a file");
    let world = World::new(Script::default());
    world.openai.watch();
    let path = folder.path().display().to_string();
    let program = world.program_with_env_file(&[("AGENTS_DIR", &path)]).await;
    program.says("WARNING", AWAY).await;
    let hears_the_greeting = async || {
        let call = world.call(vec![Step::Pause(ms(60_000))]);
        until("the caller hears the greeting", || {
            world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
        })
        .await;
        world.asterisk.hang_up(call);
        world.over(call).await;
        let session = world.openai.sessions().pop().expect("a session");
        assert_no_violations(&session);
        offered(&session).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert!(!hears_the_greeting().await.contains(&"open_ticket".to_owned()));
    std::fs::write(&file, agent(folder.path(), "/usr/bin/python3")).expect("a file");
    program.signal("HUP");
    program.says("INFO", HERE).await;
    assert!(hears_the_greeting().await.contains(&"open_ticket".to_owned()));
    assert_eq!(program.count("WARNING", AWAY), 1, "{}", program.log());
}

/// A server with so many tools, which have parameters that are none.
const MANY_TOOLS: &str = r#"
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    answer = {"jsonrpc": "2.0", "id": asked["id"]}
    if asked["method"] == "initialize":
        answer["result"] = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "many", "version": "1"}}
    elif asked["method"] == "tools/list":
        answer["result"] = {"tools": [{"name": f"tool_{n}", "inputSchema": {"type": "object", "properties": 1}} for n in range(300)]}
    else:
        answer["error"] = {"code": -32601, "message": "no such method"}
    print(json.dumps(answer), flush=True)
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_many_tools_does_not_fill_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("many.py");
    std::fs::write(&script, MANY_TOOLS).expect("a file");
    let agent = format!(
        "numbers = [\"3241000752\"]\n[[mcp]]\nname = \"many\"\ncommand = [\"/usr/bin/python3\", \"{}\"]\ntools = [\"*\"]\n",
        script.display()
    );
    std::fs::write(folder.path().join("mesa.toml"), agent).expect("a file");
    let world = World::new(Script::default());
    let path = folder.path().display().to_string();
    let program = world.program(&[("AGENTS_DIR", &path)]).await;
    program
        .says("WARNING", "El agente mesa tampoco ofrece otras 280 herramientas del servidor MCP many")
        .await;
    assert_eq!(program.count("WARNING", "El agente mesa no ofrece la herramienta tool_"), 20);
}
