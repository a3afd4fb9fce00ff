//! `agents replay`: the caller of a recording talks to an agent again, in real time, and both transcripts are shown side by side. No request
//! of a tool is made: the tools answer what they answered in the recording.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read as _;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::cast::{Cast, Model};
use super::columns::{Row, beside};
use super::given::Given;
use super::hands::{Hands, StandIn};
use super::sound::Sound;
use super::stage::{Caller, Seen, Stage};
use super::words::Words;
use crate::call::transcript::{Speaker, Utterance};
use crate::clock::now;
use crate::config::Config;
use crate::logging::Operator;
use crate::media::wav::HEADER_BYTES;
use crate::operator::Said as _;
use crate::operator::foreign::{plain, plain_json};
use crate::output::print;
use crate::recordings::{Library, LibraryError, RecordingId, Side};
use crate::sim::realtime::Script;

/// How long the assistant may go on after the caller's last sound. Longer waits for a model that does not end.
const TAIL: Duration = Duration::from_secs(20);

/// What to replay.
#[derive(Debug, Args)]
pub struct Options {
    /// The id of the recording, as `recordings list` shows it.
    recording: String,
    /// The agent that the caller talks to.
    #[arg(long, value_name = "NAME")]
    agent: String,
    /// Talks with a simulated model, which repeats what is said. No key is needed.
    #[arg(long)]
    pub(crate) fake: bool,
    #[command(flatten)]
    given: Given,
}

/// What is read of the conversation of a recording.
#[derive(Debug, Default, Deserialize)]
struct Conversation {
    conversation: Vec<Message>,
    #[serde(default)]
    tools: Vec<ToolUse>,
}

/// What somebody said.
#[derive(Debug, Deserialize)]
struct Message {
    speaker: String,
    text: String,
}

/// A tool that was carried out.
#[derive(Debug, Deserialize)]
struct ToolUse {
    name: String,
    arguments: Option<Value>,
    answer: Option<Value>,
}

/// Runs the replay. Returns the exit code: 0, or 1 if there is no such recording or agent, or if the recording has no sound.
///
/// # Errors
/// stdout cannot be written, or the rehearsal cannot be set up.
pub async fn run(
    options: &Options,
    config: &Config,
    operator: Operator,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<u8> {
    let words = Words(config.log.language);
    let refuse = |line: String| print(&format!("✗ {}", plain(&line))).map(|()| 1);
    let library = Library::new(config.recordings.clone());
    let read = match options.recording.parse::<RecordingId>() {
        Ok(id) => tokio::task::spawn_blocking(move || read(&library, &id)).await?,
        Err(_) => Err(LibraryError::NotFound),
    };
    let (sound, conversation) = match read {
        Ok(read) => read,
        Err(error) => return Ok(refuse(words.no_recording(&options.recording, &error.to_string()))?),
    };
    let model = if options.fake { Model::simulated(repeating(&conversation))? } else { Model::Real };
    let Some(cast) = Cast::new(config, &options.agent, &model, operator).await? else {
        return Ok(refuse(words.no_agent(&options.agent, config.agents.names()))?);
    };
    let values = cast.values(&options.given);
    print(&plain(&words.pretended(&options.agent, &values.told_examples())))?;
    print(&words.replays(Duration::from_millis(sound.len() as u64 / 8)))?;
    let hands = Hands::Stand(StandIn::new(&values, results(&conversation.tools)));
    let stage = cast.stage(Caller::Plays(Sound::new(&sound, now())), &values, hands, operator);
    let (stage, calls) = play(stage, stop).await;
    let report = stage.report();
    let (before, after) = (told(&conversation.conversation), said(&report.transcript));
    let rows = beside(&before, &after, [words.before(), words.after()], [words.caller(), words.assistant()]);
    print(&format!("\n{}", rows.join("\n")))?;
    for (title, calls) in [(words.before(), called(&conversation.tools)), (words.after(), calls)] {
        print(&format!("{title}: {}", plain(&words.tools_called(&calls))))?;
    }
    print(&words.over(&report.reason.said(words.0), &report.bill.said().said(words.0)))?;
    stage.finish().await;
    Ok(0)
}

/// Plays the call to its end. Returns the tools that were called.
async fn play(mut stage: Stage, stop: impl Future<Output = ()>) -> (Stage, Vec<String>) {
    let mut calls = Vec::new();
    let mut until = None;
    tokio::pin!(stop);
    while !stage.is_over() {
        tokio::select! {
            () = stage.step() => {}
            () = &mut stop => stage.hang_up(),
        }
        for seen in stage.take_seen() {
            if let Seen::Called { name, arguments } = seen {
                calls.push(format!("{name} {}", plain_json(&arguments)));
            }
        }
        if stage.has_played() {
            let end = *until.get_or_insert_with(|| now() + TAIL);
            if stage.is_at_rest() || end <= now() {
                stage.hang_up();
            }
        }
    }
    (stage, calls)
}

/// The caller's sound and the conversation.
fn read(library: &Library, id: &RecordingId) -> Result<(Vec<u8>, Conversation), LibraryError> {
    let mut sound = Vec::new();
    library.audio(id, Side::Caller)?.read_to_end(&mut sound)?;
    let sound = sound.split_off(HEADER_BYTES.min(sound.len()));
    let conversation = library.conversation(id)?;
    Ok((sound, serde_json::from_str(&conversation.text).unwrap_or_default()))
}

/// A simulated model that hears what was heard in the recording.
fn repeating(conversation: &Conversation) -> Script {
    let of_caller = conversation.conversation.iter().filter(|message| message.speaker == "user");
    let transcripts = of_caller.map(|message| message.text.clone()).collect();
    Script { transcripts, parrots: true, ..Script::default() }
}

/// What the tools answered, in turn.
fn results(tools: &[ToolUse]) -> BTreeMap<String, VecDeque<Value>> {
    let mut results: BTreeMap<String, VecDeque<Value>> = BTreeMap::new();
    for tool in tools {
        let answer = tool.answer.as_ref().and_then(|answer| answer.get("result")).cloned();
        results.entry(tool.name.clone()).or_default().push_back(answer.unwrap_or_default());
    }
    results
}

fn called(tools: &[ToolUse]) -> Vec<String> {
    let shown = |tool: &ToolUse| {
        let arguments = tool.arguments.as_ref().map(Value::to_string).unwrap_or_default();
        format!("{} {}", tool.name, plain_json(&arguments))
    };
    tools.iter().map(shown).collect()
}

fn told(messages: &[Message]) -> Vec<Row> {
    let row = |message: &Message| Row { is_callers: message.speaker == "user", text: message.text.clone() };
    messages.iter().map(row).collect()
}

fn said(utterances: &[Utterance]) -> Vec<Row> {
    let row = |said: &Utterance| Row {
        is_callers: said.speaker == Speaker::Caller,
        text: said.text.trim().to_owned(),
    };
    utterances.iter().filter(|said| !said.text.trim().is_empty()).map(row).collect()
}
