//! The API over a folder of made-up recordings and a call log of made-up calls, the live calls before it, and
//! a browser.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use openai_inbound_calls::archive::{Archive, OfAgentFiles};
use openai_inbound_calls::call::record::Keep;
use openai_inbound_calls::clock::Clock;
use openai_inbound_calls::clock::{now, wall};
use openai_inbound_calls::config::{ApiConfig, ApiToken, ArchiveConfig, Role, Secret};
use openai_inbound_calls::logging::Operator;
use openai_inbound_calls::media::wav;
use openai_inbound_calls::operator::Language;
use openai_inbound_calls::recordings::RecordingSettings;
use openai_inbound_calls::registry::{self, Row, Tokens};
use openai_inbound_calls::units::{MicroUsd, Milliseconds};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::{Browser, With};
use crate::live::{Front, Live};

/// The time limit of a wait: longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// The interval at which a condition is checked.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The id of the recorded call.
pub(crate) const ID: &str = "1795180048.12";
pub(crate) const RECORDING: &str = "20261120_143025_1795180048.12";
pub(crate) const CALLER: &str = "+573001234567";

/// The bytes of G.711 in a millisecond.
const BYTES_PER_MS: usize = 8;

/// The whole set-up. Its fields are dropped in this order.
pub(crate) struct World {
    pub(crate) browser: Browser,
    front: Front,
    archive: Option<Archive>,
    pub(crate) folder: TempDir,
}

/// The differences of a world from the default.
#[derive(Default)]
pub(crate) struct Setting {
    pub(crate) tokens: Vec<ApiToken>,
    pub(crate) browser: With,
    pub(crate) rows: Vec<Row>,
    /// The conversation of [`RECORDING`]. None: there is no recording.
    pub(crate) conversation: Option<Value>,
}

/// A token with this role.
pub(crate) fn token(name: &str, role: Role, secret: &str) -> ApiToken {
    ApiToken { name: name.to_owned(), role, secret: Secret::new(secret.to_owned()) }
}

impl World {
    /// None: there is no browser.
    pub(crate) fn new(setting: Setting) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = setting.tokens.first().map_or(String::new(), |token| token.secret.expose().to_owned());
        if let Some(conversation) = &setting.conversation {
            record(folder.path(), conversation);
        }
        let config = ArchiveConfig {
            call_log: registry::Settings { file: folder.path().join("calls.db"), server: None },
            country: None,
            index: folder.path().join("calls-index.db"),
            api: ApiConfig {
                listen: ([127, 0, 0, 1], 0).into(),
                tokens: setting.tokens,
                group: None,
                trusted_proxies: Vec::new(),
            },
        };
        let recordings = RecordingSettings {
            folder: folder.path().to_owned(),
            keep: Keep::ALL,
            language: Language::English,
            recipient: None,
            identity: None,
            retention_days: None,
        };
        let operator = Operator::new(Language::English);
        let (recorder, clock) = (Box::new(|| None), || Clock::Synchronised);
        let follows = OfAgentFiles { retention: tokio::sync::watch::channel(None).1, courier: None };
        let mut archive =
            Archive::start(recordings, &config, operator, recorder, None, clock, follows).expect("it starts");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let address = runtime.block_on(archive.address()).expect("it listens");
        let log = archive.log();
        let count = setting.rows.len();
        for row in setting.rows {
            log.offer(row);
        }
        let front = Front::before(address);
        let browser = Browser::new(&format!("http://{}", front.address), setting.browser);
        let world = Self { browser: browser?, front, archive: Some(archive), folder };
        let tls = openai_inbound_calls::net::tls::client_config().expect("a trust store");
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls.as_ref().clone()).no_proxy();
        let client = client.build().expect("a client");
        let in_log = || {
            let asked = client.get(format!("http://{address}/stats?by=model")).bearer_auth(&secret).send();
            let answer =
                runtime.block_on(async { asked.await.expect("an answer").bytes().await.expect("all of it") });
            let sums: Value = serde_json::from_slice(&answer).expect("JSON");
            let rows = sums["stats"].as_array().map_or(&[][..], Vec::as_slice).iter();
            rows.map(|row| row["calls"].as_u64().expect("a number")).sum::<u64>()
        };
        until("the calls are in the log", || in_log() == count as u64);
        Some(world)
    }

    /// The live calls.
    pub(crate) fn live(&self) -> &Live {
        &self.front.live
    }

    /// Kills the daemon.
    pub(crate) fn kill(&mut self) {
        self.front.kill();
    }

    /// The names of the recording's files.
    pub(crate) fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).expect("a folder");
        let names = names.map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
        names.filter(|name| name.starts_with(RECORDING)).collect()
    }
}

/// Repeats the check until it succeeds.
#[track_caller]
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = now() + PATIENCE;
    while !is_so() {
        assert!(now() < end, "waited in vain until {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(archive) = self.archive.take() {
            archive.stop();
        }
    }
}

/// Noon of the day this many days ago.
pub(crate) fn days_ago(days: i64) -> DateTime<Utc> {
    let day = wall().date_naive() - TimeDelta::days(days);
    day.and_hms_opt(12, 0, 0).expect("noon").and_utc()
}

/// A call that has ended.
pub(crate) fn row(call_id: &str, caller: &str, at: DateTime<Utc>) -> Row {
    let offered_us = at.timestamp_micros();
    Row {
        row_id: format!("row-{call_id}"),
        call_id: call_id.into(),
        host: "pbx".into(),
        caller: caller.into(),
        called: "200".into(),
        model: "gpt-realtime-2.1".into(),
        agent: "default".into(),
        agent_version: "3f9a2c01b7de".into(),
        offered_us,
        answered_us: Some(offered_us + 40_000),
        ended_us: Some(offered_us + 90_000_000),
        duration: Some(Milliseconds::new(90_000)),
        end_reason: Some("caller_hung_up".into()),
        turns: 7,
        interruptions: 2,
        greeting: Some(Milliseconds::new(860)),
        turn_p50: Some(Milliseconds::new(640)),
        turn_p95: Some(Milliseconds::new(1_200)),
        tokens: Some(Tokens {
            text_in: 1_000,
            audio_in: 600,
            cached_text_in: 500,
            cached_audio_in: 100,
            text_out: 90,
            audio_out: 400,
            estimated: false,
        }),
        cost: Some(MicroUsd::new(43_210)),
        ..Row::default()
    }
}

/// The row of [`RECORDING`].
pub(crate) fn recorded_row() -> Row {
    Row {
        recording_id: Some(RECORDING.into()),
        duration: Some(Milliseconds::new(22_500)),
        ..row(ID, CALLER, "2026-11-20T19:30:25Z".parse().expect("a time"))
    }
}

/// A sentence: the speaker, the audio, its start and end in milliseconds, and the text.
type Clip = (&'static str, &'static [u8], u64, u64, &'static str);

/// The conversation of the recording in real speech.
const TALK: [Clip; 7] = [
    (
        "assistant",
        include_bytes!("../../src/sim/speech/assistant_greeting.ulaw"),
        0,
        2_980,
        "Hola, gracias por llamar. ¿En qué puedo ayudarle?",
    ),
    (
        "user",
        include_bytes!("../../src/sim/speech/caller_question.ulaw"),
        3_200,
        7_160,
        "Hola, buenas tardes. Quiero agendar una cita para el martes, por favor.",
    ),
    (
        "assistant",
        include_bytes!("../../src/sim/speech/assistant_offer.ulaw"),
        8_100,
        12_200,
        "Con mucho gusto. Para el martes tengo tres horarios libres: a las nueve y media de la mañana, a las doce del día, y a las cuatro y cuarto de la tarde. ¿Cuál le queda mejor?",
    ),
    (
        "user",
        include_bytes!("../../src/sim/speech/caller_interrupt.ulaw"),
        12_000,
        13_600,
        "Perdón, mejor el miércoles.",
    ),
    (
        "assistant",
        include_bytes!("../../src/sim/speech/assistant_wednesday.ulaw"),
        14_500,
        18_000,
        "Claro. El miércoles tengo a las diez de la mañana.",
    ),
    (
        "user",
        include_bytes!("../../src/sim/speech/caller_thanks.ulaw"),
        18_200,
        19_820,
        "Muchas gracias, hasta luego.",
    ),
    (
        "assistant",
        include_bytes!("../../src/sim/speech/assistant_goodbye.ulaw"),
        20_000,
        22_400,
        "Con mucho gusto, hasta luego.",
    ),
];

/// The words of the conversation. The third utterance was cut off.
pub(crate) fn conversation() -> Value {
    let talk = TALK.iter().enumerate().map(|(n, (speaker, _, start, end, text))| {
        let kind = if *speaker == "user" { "transcript_completed" } else { "transcript_delta" };
        let mut said = json!({"timestamp": "2026-11-20T14:30:26.000000", "speaker": speaker, "text": text,
            "type": kind, "item": format!("item_{n}"), "start_ms": start, "end_ms": end, "interrupted": n == 2});
        if n == 2 {
            said["heard_ms"] = json!(4_100);
            said["said_ms"] = json!(9_720);
            said["heard_text"] = json!("Con mucho gusto. Para el martes tengo tres horarios libres: a las nueve");
        }
        said
    });
    let turn = |at: f64, stopped: u64, first: u64| {
        json!({"at_seconds": at, "speech_stopped_ms": stopped, "first_delta_ms": first, "first_frame_ms": first + 6,
            "own_ms": 6})
    };
    json!({
        "call_id": ID, "start_time": "2026-11-20T14:30:25.123456", "end_time": "2026-11-20T14:30:47.623456",
        "duration_seconds": 22.5, "conversation": talk.collect::<Vec<_>>(), "total_messages": 7,
        "audio_chunks_count": 42, "utc_offset": "-05:00", "caller": CALLER, "called": "200",
        "end_reason": "caller_hung_up", "recovered": false, "model": "gpt-realtime-2.1", "agent": "default",
        "interruptions": 1, "usage": null,
        "tools": [
            {"at_ms": 9_000, "timestamp": "2026-11-20T14:30:34.200000", "name": "book", "arguments": {"start": "09:30"},
                "outcome": "ok", "answer": {"ok": true, "result": {"id": 4711}}, "ms": 840, "attempts": 2,
                "agreed_in_turn": 2},
        ],
        "events": [
            {"at_ms": -40, "timestamp": "2026-11-20T14:30:25.200000", "type": "connected", "detail": ""},
            {"at_ms": 12_200, "timestamp": "2026-11-20T14:30:37.400000", "type": "interrupted", "detail": ""},
            {"at_ms": 22_500, "timestamp": "2026-11-20T14:30:47.600000", "type": "ended", "detail": "caller_hung_up"},
        ],
        "latency": {"greeting_ms": 812, "turns": [turn(7.16, 620, 934), turn(13.6, 540, 890), turn(19.82, 300, 1_180)],
            "barge_ins": [{"at_seconds": 12.0, "ms": 180}]},
    })
}

/// Writes the recording with this conversation.
fn record(folder: &Path, conversation: &Value) {
    let mut sides = [vec![0xFF; 22_500 * BYTES_PER_MS], vec![0xFF; 22_500 * BYTES_PER_MS]];
    for (speaker, clip, start, end, _) in TALK {
        let heard = &clip[..clip.len().min((end - start) as usize * BYTES_PER_MS)];
        let at = start as usize * BYTES_PER_MS;
        sides[usize::from(speaker == "assistant")][at..at + heard.len()].copy_from_slice(heard);
    }
    let write = |suffix: &str, bytes: &[u8]| {
        std::fs::write(folder.join(format!("{RECORDING}{suffix}")), bytes).expect("a file");
    };
    write("_audio.wav", &wav::stereo(&sides[0], &sides[1]));
    write("_audio.bin", &sides[1]);
    write("_summary.txt", "Llamada de Íñigo\n".as_bytes());
    write("_conversation.json", conversation.to_string().as_bytes());
}
