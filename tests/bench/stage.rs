//! A call in the middle of its conversation, without anything else. Every request is answered at once and
//! successfully.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openai_inbound_calls::ari::request::{Reply, Request};
use openai_inbound_calls::call::ledger::Prices;
use openai_inbound_calls::call::limits::Limits;
use openai_inbound_calls::call::record::Keep;
use openai_inbound_calls::call::{Call, Input, LegEvent, Output, Seed, Settings};
use openai_inbound_calls::media::rtp::{PACKET_BYTES, Stream};
use openai_inbound_calls::media::{FRAME_DURATION, Frame};
use openai_inbound_calls::realtime::client::ClientEvent;
use openai_inbound_calls::realtime::dialect::{Dialect, SessionSettings, TurnDetection};
use openai_inbound_calls::realtime::server;
use serde_json::json;

/// The length of the audio in one delta, in milliseconds.
const DELTA_MS: usize = 200;

/// The call, its clock, and the caller's packets.
pub(crate) struct Stage {
    call: Call,
    now: Instant,
    asterisk: SocketAddr,
    caller: Stream,
    voice: Frame,
    delta: String,
    /// The number of ticks until the next delta comes.
    until_delta: u32,
}

fn settings(keep: Keep) -> Settings {
    Settings {
        app: "openai-app".into(),
        model: "gpt-realtime-2.1".into(),
        session: SessionSettings {
            dialect: Dialect::Ga,
            instructions: "Atiende el teléfono.".into(),
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
        greeting: None,
        recording_notice: None,
        uplink_frames_per_append: 1,
        keep,
        apology: None,
        fallback: None,
        limits: Limits::default(),
        prices: Prices::default(),
        tells_keys: false,
        may_hang_up: false,
        destinations: Vec::new(),
        trust: openai_inbound_calls::call::source::Trust::Learn,
        media_networks: None,
        dial: None,
    }
}

/// Audio like speech: a tone that never repeats within a frame.
fn voice() -> Frame {
    Frame(std::array::from_fn(|at| (at as u8).wrapping_mul(37) | 0x10))
}

/// An audio delta as the server sends it.
pub(crate) fn delta(ms: usize) -> String {
    let audio = STANDARD.encode(voice().0.repeat(ms / 20));
    json!({
        "type": "response.output_audio.delta", "event_id": "event_1", "response_id": "resp_1", "item_id": "item_1",
        "output_index": 0, "content_index": 0, "delta": audio, "obfuscation": "aaaaaaaaaaaa",
    })
    .to_string()
}

impl Stage {
    /// A call in which both sides talk.
    pub(crate) fn new(keep: Keep) -> Self {
        let asterisk = SocketAddr::from(([127, 0, 0, 1], 12_000));
        #[expect(clippy::disallowed_methods, reason = "time has to begin at some instant")]
        let now = Instant::now();
        let seed = Seed {
            channel: "1795180048.12".into(),
            wall: 0,
            channel_name: "PJSIP/trunk-00000001".into(),
            answered: true,
            local: ([127, 0, 0, 1], 10_000).into(),
            advertised: ([127, 0, 0, 1], 10_000).into(),
            other_ports: [].into(),
            ssrc: 1,
            sequence: 1,
            timestamp: 1,
            known: openai_inbound_calls::call::Known::default(),
        };
        let call = Call::new(now, Arc::new(settings(keep)), seed);
        let caller = Stream::new(2, 1, 1);
        let delta = delta(DELTA_MS);
        let mut stage = Self { call, now, asterisk, caller, voice: voice(), delta, until_delta: 0 };
        stage.set_up();
        let created = json!({"type": "response.created", "event_id": "e",
            "response": {"id": "resp_1", "status": "in_progress", "output": [], "metadata": null}});
        stage.hear(&created.to_string());
        // These rounds let every buffer grow to the size that it needs.
        for _ in 0..1_000 {
            stage.frame_each_way();
        }
        stage
    }

    /// Simulates 20 ms: a packet of the caller arrives, a packet for the caller leaves, and now and then a
    /// delta of the assistant arrives. Returns the number of outputs.
    pub(crate) fn frame_each_way(&mut self) -> usize {
        self.now += FRAME_DURATION;
        let mut outputs = 0;
        if self.until_delta == 0 {
            self.until_delta = (DELTA_MS / 20) as u32;
            let event = server::parse(&self.delta).expect("a delta");
            outputs += self.call.handle(self.now, Input::Session(event)).count();
        }
        self.until_delta -= 1;
        let packet: [u8; PACKET_BYTES] = self.caller.packet(&self.voice);
        let input = Input::Rtp { from: self.asterisk, datagram: &packet };
        outputs + self.call.handle(self.now, input).count()
    }

    fn hear(&mut self, text: &str) -> Vec<Output> {
        let event = server::parse(text).expect("an event");
        self.call.handle(self.now, Input::Session(event)).collect()
    }

    /// Answers everything that the call requests, until nothing is left.
    fn set_up(&mut self) {
        let mut outputs: Vec<_> = self.call.handle(self.now, Input::Tick).collect();
        while !outputs.is_empty() {
            self.now += Duration::from_millis(1);
            let mut next = Vec::new();
            for output in outputs {
                next.extend(self.answer(output));
            }
            outputs = next;
        }
    }

    fn answer(&mut self, output: Output) -> Vec<Output> {
        match output {
            Output::Ari(request) => {
                let is_media = matches!(request, Request::ExternalMedia { .. });
                let body = if is_media {
                    json!({"id": "m", "channelvars": {"UNICASTRTP_LOCAL_ADDRESS": self.asterisk.ip().to_string(),
                        "UNICASTRTP_LOCAL_PORT": self.asterisk.port().to_string()}})
                } else {
                    json!({})
                };
                let reply = Reply::Done(body.to_string());
                let input = Input::Ari { request: &request, reply: &reply };
                let mut outputs: Vec<_> = self.call.handle(self.now, input).collect();
                if is_media {
                    outputs.extend(self.call.handle(self.now, Input::Leg(LegEvent::MediaEntered)));
                }
                outputs
            }
            Output::OpenSession => {
                let mut outputs: Vec<_> = self.call.handle(self.now, Input::SessionOpened).collect();
                outputs.extend(self.hear(r#"{"type":"session.created","event_id":"e","session":{}}"#));
                outputs
            }
            Output::Session(ClientEvent::SessionUpdate { session, .. }) => {
                let echo = json!({"type": "session.updated", "event_id": "e", "session": session});
                self.hear(&echo.to_string())
            }
            _ => Vec::new(),
        }
    }
}
