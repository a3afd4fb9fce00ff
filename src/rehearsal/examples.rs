//! `agents test`: tries the examples of agents. The model gets what the caller says as text, and its calls of tools are compared with what
//! the example demands. No request is made.

use std::collections::{BTreeMap, VecDeque};

use clap::Args;
use serde_json::{Map, Value};

use super::cast::{Cast, Model};
use super::given::{Given, Values};
use super::hands::{Hands, StandIn};
use super::line::TextLine;
use super::stage::{Caller, Seen, Stage};
use super::words::Words;
use crate::call::ledger::Bill;
use crate::config::{AgentConfig, Config, Example};
use crate::logging::Operator;
use crate::operator::Said as _;
use crate::operator::foreign::{plain, plain_json};
use crate::output::print;
use crate::sim::realtime::{Answer, Script};
use crate::units::MicroUsd;

/// Which examples to try.
#[derive(Debug, Args)]
pub struct Options {
    /// The name of the agent. Without it, all agents are tried.
    name: Option<String>,
    /// Tries them with a simulated model, which calls what the example demands: shows that the examples and the tools fit together, and
    /// nothing about the instructions. No key is needed.
    #[arg(long)]
    pub(crate) fake: bool,
    #[command(flatten)]
    given: Given,
}

/// A call of a tool by the model.
#[derive(Debug, PartialEq)]
struct FunctionCall {
    name: String,
    arguments: String,
}

/// Tries the examples. Returns the exit code: 0 if all went as they demand, and 1 otherwise.
///
/// # Errors
/// stdout cannot be written, or a rehearsal cannot be set up.
pub async fn run(
    options: &Options,
    config: &Config,
    operator: Operator,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<u8> {
    let words = Words(config.log.language);
    if let Some(name) = options.name.as_ref().filter(|name| config.agents.find(name).is_none()) {
        print(&format!("✗ {}", plain(&words.no_agent(name, config.agents.names()))))?;
        return Ok(1);
    }
    let asked = |agent: &&AgentConfig| options.name.as_ref().is_none_or(|name| **name == *agent.name);
    let agents: Vec<_> = config.agents.all.iter().filter(asked).collect();
    tokio::pin!(stop);
    let (mut right, mut wrong, mut cost) = (0, 0, MicroUsd::ZERO);
    for agent in agents {
        for example in &agent.examples {
            let tried = tokio::select! {
                tried = attempt(example, agent, options, config, operator) => tried?,
                () = &mut stop => return Ok(1),
            };
            cost = cost.saturating_add(tried.cost);
            let title = format!("{}: {}", agent.name, example.name);
            if let Some(fault) = tried.fault {
                wrong += 1;
                print(&format!("✗ {}", plain(&title)))?;
                print(&format!("    {}", plain(&words.demanded(&demand(example)))))?;
                print(&format!("    {}", plain(&fault)))?;
                for said in tried.said {
                    print(&format!("    {} {}", words.assistant(), plain(&said)))?;
                }
            } else {
                right += 1;
                print(&format!("✓ {}", plain(&title)))?;
            }
        }
    }
    print(&words.tried(right, wrong, cost))?;
    Ok(u8::from(wrong > 0 || right == 0))
}

/// What came of an example.
struct Tried {
    /// What is wrong. `None`: nothing.
    fault: Option<String>,
    said: Vec<String>,
    cost: MicroUsd,
}

async fn attempt(
    example: &Example,
    agent: &AgentConfig,
    options: &Options,
    config: &Config,
    operator: Operator,
) -> anyhow::Result<Tried> {
    let model = if options.fake { Model::simulated(obedient(example))? } else { Model::Real };
    let cast = Cast::new(config, &agent.name, &model, operator).await?;
    let cast = cast.ok_or_else(|| anyhow::anyhow!("no agent"))?;
    let mut values = cast.values(&options.given);
    values.look_up(&example.lookup);
    let stand = StandIn::new(&values, results(&example.answers));
    let mut stage = cast.stage(Caller::Types(TextLine::default()), &values, Hands::Stand(stand), operator);
    let (mut calls, mut said) = (Vec::new(), Vec::new());
    rest(&mut stage).await;
    for words in &example.says {
        if stage.is_over() {
            break;
        }
        stage.take_seen();
        stage.say(words);
        rest(&mut stage).await;
        (calls, said) = sort(stage.take_seen());
    }
    let was_over = stage.is_over();
    stage.hang_up();
    while !stage.is_over() {
        stage.step().await;
    }
    let words = cast.words;
    let reason = stage.report().reason;
    let ended_itself = example.tool.as_deref().is_some_and(|tool| crate::tool::BUILT_IN.contains(&tool));
    let fault = if was_over && !ended_itself {
        Some(words.ended_early(&reason.said(words.0)))
    } else {
        fault(example, &calls).map(|found| words.came_instead(&found))
    };
    let cost = stage.bill().map_or(MicroUsd::ZERO, |bill: &Bill| bill.at_least);
    stage.finish().await;
    Ok(Tried { fault, said, cost })
}

/// Waits until the assistant has said and done everything.
async fn rest(stage: &mut Stage) {
    while !stage.is_over() && !stage.is_at_rest() {
        stage.step().await;
    }
}

/// The calls and the words of a turn.
fn sort(seen: Vec<Seen>) -> (Vec<FunctionCall>, Vec<String>) {
    let (mut calls, mut said) = (Vec::new(), Vec::new());
    for seen in seen {
        match seen {
            Seen::Called { name, arguments } => calls.push(FunctionCall { name, arguments }),
            Seen::Said(text) => said.push(text),
            Seen::NotSent(_) | Seen::Got { .. } | Seen::GoesOn(_) => {}
        }
    }
    (calls, said)
}

/// What came in place of what the example demands. `None`: what it demands has come.
fn fault(example: &Example, calls: &[FunctionCall]) -> Option<String> {
    let is_it = |call: &FunctionCall| match &example.tool {
        None => false,
        Some(tool) => call.name == *tool && has(&call.arguments, &example.arguments),
    };
    let is_right = if example.tool.is_some() { calls.iter().any(is_it) } else { calls.is_empty() };
    let shown = |call: &FunctionCall| format!("{} {}", call.name, plain_json(&call.arguments));
    let came = calls.iter().map(shown).collect::<Vec<_>>().join("; ");
    (!is_right).then_some(if came.is_empty() { "-".to_owned() } else { came })
}

/// Whether the arguments have all of these values. Numbers are equal if their values are.
fn has(text: &str, wanted: &Map<String, Value>) -> bool {
    let Ok(Value::Object(arguments)) = serde_json::from_str(text) else { return wanted.is_empty() };
    wanted.iter().all(|(name, value)| arguments.get(name).is_some_and(|found| is_same(found, value)))
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| is_same(value, other)))
        }
        _ => one == other,
    }
}

/// What the example demands, in one line.
fn demand(example: &Example) -> String {
    match &example.tool {
        None => "-".to_owned(),
        Some(tool) => format!("{tool} {}", Value::Object(example.arguments.clone())),
    }
}

/// The results of tools: each answers the same each time.
pub(super) fn results(answers: &BTreeMap<String, Value>) -> BTreeMap<String, VecDeque<Value>> {
    answers.iter().map(|(tool, answer)| (tool.clone(), VecDeque::from([answer.clone()]))).collect()
}

/// A simulated model that does what the example demands after its last turn.
fn obedient(example: &Example) -> Script {
    let spoken = |n: usize| Answer::pattern(&format!("({n})"), 200, 1);
    let before = example.says.len() - 1;
    let mut answers: Vec<_> = (1..=before).map(spoken).collect();
    if let Some(tool) = &example.tool {
        answers.push(Answer::call(tool, &Value::Object(example.arguments.clone()).to_string()));
    }
    answers.push(spoken(example.says.len()));
    Script { answers, ..Script::default() }
}

impl Values {
    /// Takes these for what was looked up, besides what was given.
    fn look_up(&mut self, found: &Map<String, Value>) {
        for (name, value) in found {
            self.lookup.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn example(tool: Option<&str>, arguments: &Value) -> Example {
        Example {
            name: "x".into(),
            says: vec!["x".into()],
            tool: tool.map(str::to_owned),
            arguments: arguments.as_object().cloned().unwrap_or_default(),
            answers: BTreeMap::new(),
            lookup: Map::new(),
        }
    }

    #[test]
    fn the_tool_with_the_arguments_must_follow_and_others_may() {
        let call =
            |name: &str, arguments: &str| FunctionCall { name: name.into(), arguments: arguments.into() };
        let book = example(Some("book"), &json!({"day": "x", "n": 2, "list": [1]}));
        let right = call("book", r#"{"day":"x","n":2.0,"list":[1.0],"note":"y"}"#);
        assert_eq!(fault(&book, &[call("find", "{}"), right]), None);
        for wrong in [
            call("book", r#"{"day":"y","n":2,"list":[1]}"#),
            call("book", r#"{"day":"x","n":2,"list":[1,2]}"#),
            call("book", r#"{"day":"x","n":2}"#),
            call("boook", r#"{"day":"x","n":2,"list":[1]}"#),
            call("book", "no JSON"),
        ] {
            let shown = format!("{} {}", wrong.name, wrong.arguments);
            assert_eq!(fault(&book, &[wrong]), Some(shown));
        }
        assert_eq!(fault(&book, &[]).as_deref(), Some("-"));
        let none = example(None, &Value::Null);
        assert_eq!(fault(&none, &[]), None);
        assert_eq!(fault(&none, &[call("find", "{}")]).as_deref(), Some("find {}"));
        assert_eq!(fault(&example(Some("find"), &Value::Null), &[call("find", "no JSON")]), None);
    }
}
