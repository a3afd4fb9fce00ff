//! The tools in the worlds of the soak: what the models call, what the tools bring and when, and what must be true of them when all
//! is over. What must be true at any moment is held by `toolbox` and by the model's strict server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::tool::{Confirm, Effect, Outcome, Tool};
use serde_json::json;

use crate::toolbox::{Brings, done, recognizes_its_key, tool};
use crate::world::{Dice, MS, World};

/// Calls of each tool in a world until the last of what it brings repeats.
const ENDS: usize = 12;

/// A tool that reads, one that writes, and one that writes after the caller's yes, whose server recognizes a repeated request.
pub(super) fn kit() -> Vec<Arc<Tool>> {
    let quick = |tool: &mut Tool, ms: u64| {
        tool.timeout = Duration::from_millis(ms);
        tool.say_after = Some(400 * MS);
    };
    vec![
        tool("find", |tool| {
            tool.effect = Effect::Read;
            quick(tool, 700);
        }),
        tool("note", |tool| quick(tool, 900)),
        tool("book", |tool| {
            tool.confirm = Confirm::Caller;
            recognizes_its_key(tool);
            quick(tool, 500);
        }),
    ]
}

/// What the tools of a world bring, and when: soon, late, twice or never.
pub(super) fn fill(world: &mut World, dice: &mut Dice) {
    for tool in kit() {
        let brings: Vec<Brings> = (0..ENDS).map(|_| brings(dice)).collect();
        world.brings_each(&tool.name, brings.into_iter());
    }
}

fn brings(dice: &mut Dice) -> Brings {
    let outcome = match dice.below(8) {
        0 => Outcome::Unknown,
        1 => Outcome::Unavailable,
        2 => Outcome::Refused { message: json!("completo") },
        _ => done("4711"),
    };
    let most = if dice.one_in(2) { 6_000 } else { 1_000 };
    let end = (dice.ms(most), outcome);
    match dice.below(8) {
        0 => Vec::new(),
        1 => vec![end.clone(), (end.0 + dice.ms(1_000), end.1)],
        _ => vec![end],
    }
}

/// A call of a tool, with arguments that occur again, or none that fit.
pub(super) fn call(dice: &mut Dice) -> (&'static str, &'static str) {
    let name = ["find", "note", "book", "book"][dice.below(4) as usize];
    let arguments = match dice.below(8) {
        0 => r#"{"dia":"hoy"}"#,
        1 | 2 => r#"{"day":"mañana"}"#,
        _ => r#"{"day":"hoy"}"#,
    };
    (name, arguments)
}

/// Every job that was begun is in the record of its call, once.
pub(super) fn judge(world: &World) {
    for (index, task) in world.tasks.iter().enumerate() {
        // A daemon that was killed does not complete the records of its calls.
        if task.report.is_none() || task.recorded.ended_at().is_none() {
            continue;
        }
        let mut jobs = BTreeMap::<&str, i32>::new();
        for (_, job) in world.toolbox.jobs.iter().filter(|(of, _)| *of == index) {
            *jobs.entry(&job.tool.name).or_default() += 1;
        }
        let entries = task.recorded.tools();
        for entry in &entries {
            *jobs.entry(&entry.name).or_default() -= 1;
        }
        assert!(jobs.values().all(|rest| *rest == 0), "jobs less entries of call {index}: {jobs:?}");
    }
}

/// What the tools of a world have met.
pub(super) fn met(world: &World) -> Vec<&'static str> {
    let toolbox = &world.toolbox;
    let told = |what: &str| toolbox.outputs.values().any(|output| output.contains(what));
    let lets_go = !toolbox.let_go.is_empty();
    // Its end was not waited for: no request is counted.
    let ends_before = |reason: &str| {
        world.tasks.iter().any(|task| {
            let is_over = task.report.as_ref().is_some_and(|report| report.reason.code() == reason);
            is_over && task.recorded.tools().iter().any(|entry| entry.attempts == 0)
        })
    };
    let is_told_late = world.tasks.iter().any(|task| {
        task.recorded
            .tools()
            .iter()
            .any(|entry| entry.took > Duration::from_millis(1_900) && entry.outcome == "ok")
    });
    [
        (told("4711"), "a tool's result"),
        (told(r#""error":"unknown""#), "a tool whose end nobody knows"),
        (told("ask_first"), "a tool that waits for the caller's yes"),
        (told("repeated"), "a tool that is called again"),
        (told("busy"), "a tool that is busy"),
        (told("invalid_arguments"), "a tool with wrong arguments"),
        (toolbox.jobs.iter().any(|(_, job)| job.tool.confirm == Confirm::Caller), "a caller's yes"),
        (is_told_late, "a tool's late result"),
        (lets_go, "a tool that is let go"),
        (ends_before("caller_hung_up"), "a tool when the caller leaves"),
        (ends_before("shutdown"), "a tool at the end of the daemon"),
    ]
    .into_iter()
    .filter_map(|(is_met, what)| is_met.then_some(what))
    .collect()
}
