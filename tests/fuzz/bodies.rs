//! What the fuzz targets do with their bytes. The targets of `tests/fuzz/fuzz_targets` (explored with `cargo
//! fuzz`) and `tests/fuzz.rs` (replayed with the committed corpus by `cargo test`) use these functions.
//!
//! The functions check only promises that hold for all bytes: no panic, and results that make sense.

#[path = "bodies/files.rs"]
pub(crate) mod files;
#[path = "bodies/http.rs"]
pub(crate) mod http;
#[path = "bodies/settings.rs"]
pub(crate) mod settings;
#[path = "bodies/sip.rs"]
pub(crate) mod sip;
#[path = "bodies/tools.rs"]
pub(crate) mod tools;

use std::sync::Arc;
use std::time::{Duration, Instant};

use openai_inbound_calls::ari::lists::Application;
use openai_inbound_calls::ari::request::{Reply, Request, media_address};
use openai_inbound_calls::ari::{ChannelId, event};
use openai_inbound_calls::call::ledger::{Price, Prices, Rates};
use openai_inbound_calls::call::limits::Limits;
use openai_inbound_calls::call::{Call, Hold, Input, LegEvent, Output, Seed, SessionEnd, Settings};
use openai_inbound_calls::media::rtp::Packet;
use openai_inbound_calls::operator::LinkFault;
use openai_inbound_calls::realtime::dialect::{Dialect, SessionSettings, TurnDetection};
use openai_inbound_calls::realtime::server;
use openai_inbound_calls::units::MicroUsd;

/// A target: its name, which is also that of its corpus and its binary, and its function for any bytes.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All targets.
pub(crate) const TARGETS: [Target; 19] = [
    ("rtp", rtp),
    ("ari_event", ari_event),
    ("realtime_event", realtime_event),
    ("call", call),
    ("query", http::query),
    ("admission", http::admission),
    ("masking", http::masked),
    ("csv_cell", http::csv_cell),
    ("event_log", files::event_log),
    ("wav_file", files::wav_file),
    ("sealed_pieces", files::sealed_pieces),
    ("env_file", settings::env_file),
    ("prices", settings::prices),
    ("api_token", settings::api_token),
    ("database_url", settings::database_url),
    ("tool_request", tools::request),
    ("webhook", sip::webhook),
    ("sip_headers", sip::headers),
    ("calls_answer", sip::answer),
];

/// Any datagram.
pub(crate) fn rtp(bytes: &[u8]) {
    if let Ok(packet) = Packet::parse(bytes) {
        assert!(packet.payload.len() + 12 <= bytes.len());
        assert!(packet.payload_type < 128);
    }
}

/// Any text on the ARI WebSocket, or in the body of a reply.
pub(crate) fn ari_event(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    drop(event::parse(text));
    drop(event::parse_channel(text));
    drop(Application::parse(text));
    assert!(media_address(text).is_none_or(|address| address.port() != 0));
}

/// Any text of the Realtime server.
pub(crate) fn realtime_event(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    drop(server::parse(text));
}

/// A call whose surroundings do what the bytes say: the first byte of each step selects the input and the
/// time that passes, and a line of text or a datagram follows.
pub(crate) fn call(bytes: &[u8]) {
    let (mut now, media) = (epoch(), ([127, 0, 0, 1], 30_000).into());
    let mut call = Call::new(now, Arc::new(settings_of_call()), seed());
    let body = r#"{"channelvars":{"UNICASTRTP_LOCAL_ADDRESS":"127.0.0.1","UNICASTRTP_LOCAL_PORT":"30000"}}"#;
    let mut asked: Vec<Request> = Vec::new();
    let mut rest = bytes;
    while let Some((&step, after)) = rest.split_first() {
        let end = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
        let (argument, after) = after.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        now += Duration::from_millis(u64::from(step >> 3) * 7);
        let text = std::str::from_utf8(argument).unwrap_or_default();
        let read = server::parse(text);
        let request = asked.pop();
        let reply = match step & 3 {
            0 => Reply::Refused { status: 404, message: String::new() },
            1 => Reply::Lost(String::new()),
            _ => Reply::Done(body.to_owned()),
        };
        let input = match (step & 7, &request) {
            (0, _) => Input::Tick,
            (1, _) => Input::Rtp { from: media, datagram: argument },
            (2, _) => match &read {
                Ok(event) => Input::Session(event.clone()),
                Err(malformed) => Input::Unreadable(malformed),
            },
            (3, _) => Input::SessionOpened,
            (4, Some(request)) => Input::Ari { request, reply: &reply },
            (5, _) => Input::Leg(leg(argument)),
            (6, _) if argument.is_empty() => Input::Shutdown,
            (7, _) if argument.is_empty() => {
                Input::SessionEnded(SessionEnd { refusal: None, cause: LinkFault::Broken })
            }
            _ => Input::Rtp { from: media, datagram: bytes },
        };
        asked.extend(call.handle(now, input).filter_map(|output| match output {
            Output::Ari(request) => Some(request),
            _ => None,
        }));
        assert!(call.deadline().is_none_or(|at| at > now), "a deadline in the past");
    }
    drop(call.report());
}

fn leg(argument: &[u8]) -> LegEvent {
    match argument.first() {
        Some(b'u') => LegEvent::CallerUp,
        Some(b'r') => LegEvent::CallerReturned,
        Some(b'm') => LegEvent::MediaEntered,
        Some(b'l') => LegEvent::MediaLeft { cause: 34 },
        Some(b'h') => LegEvent::Hold(Hold::On),
        Some(b'k') => LegEvent::Key('1'),
        _ => LegEvent::CallerLeft,
    }
}

fn seed() -> Seed {
    Seed {
        wall: 1_795_180_048,
        channel: ChannelId::from("1795180048.0"),
        channel_name: "PJSIP/voip-00000000".into(),
        answered: true,
        local: ([127, 0, 0, 1], 10_000).into(),
        advertised: ([127, 0, 0, 1], 10_000).into(),
        other_ports: [].into(),
        ssrc: 1,
        sequence: u16::MAX,
        timestamp: u32::MAX,
        known: openai_inbound_calls::call::Known::default(),
    }
}

fn settings_of_call() -> Settings {
    Settings {
        app: "openai-app".into(),
        model: "gpt-realtime-2.1".into(),
        session: SessionSettings {
            dialect: Dialect::Ga,
            instructions: "Be brief.".into(),
            voice: "marin".into(),
            transcription: None,
            turn_detection: TurnDetection::Server { threshold: 0.5, prefix_padding_ms: 300, silence_ms: 500 },
            interrupt: true,
            noise_reduction: None,
            speed: 1.0,
            reasoning_effort: None,
            max_output_tokens: None,
            truncation: None,
            parallel_tool_calls: None,
            tools: Vec::new(),
        },
        greeting_template: None,
        form: None,
        tools: Vec::new(),
        greeting: Some("Hello.".into()),
        recording_notice: None,
        uplink_frames_per_append: 2,
        keep: openai_inbound_calls::call::record::Keep::ALL,
        apology: None,
        fallback: None,
        limits: Limits { cost: Some(MicroUsd::from_usd(1.0)), ..Limits::default() },
        prices: Prices {
            conversation: Some(Price::Tokens(Rates {
                audio_out: MicroUsd::from_usd(64.0),
                ..Rates::default()
            })),
            ..Prices::default()
        },
        tells_keys: false,
        may_hang_up: false,
        destinations: Vec::new(),
        trust: openai_inbound_calls::call::source::Trust::Learn,
        media_networks: None,
        dial: None,
    }
}

#[expect(clippy::disallowed_methods, reason = "the fuzzed call needs some instant to begin at")]
fn epoch() -> Instant {
    Instant::now()
}
