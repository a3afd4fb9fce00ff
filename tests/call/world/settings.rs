//! What the operator of most tests has decided.

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::agents::Roster;
use openai_inbound_calls::call::Settings;
use openai_inbound_calls::call::ledger::{Price, Prices, Rates};
use openai_inbound_calls::call::limits::Limits;
use openai_inbound_calls::call::source::Trust;
use openai_inbound_calls::exchange::{Agent, Agents, Rules};
use openai_inbound_calls::realtime::dialect::{
    Dialect, LanguageKey, SessionSettings, Transcription, TurnDetection,
};
use openai_inbound_calls::units::MicroUsd;

/// A micro-dollar for each token and for each millisecond of transcribed sound.
pub(crate) fn prices() -> Prices {
    let rate = MicroUsd::from_usd(1.0);
    let rates = Rates {
        text_in: rate,
        audio_in: rate,
        cached_text_in: rate,
        cached_audio_in: rate,
        text_out: rate,
        audio_out: rate,
    };
    Prices {
        conversation: Some(Price::Tokens(rates)),
        transcription: Some(Price::Minute(MicroUsd::new(60_000))),
        dated: "2026-11-20".into(),
    }
}

/// The settings most tests use.
pub(crate) fn settings() -> Settings {
    Settings {
        app: "openai-app".into(),
        model: "gpt-realtime-2.1".into(),
        session: SessionSettings {
            dialect: Dialect::Ga,
            instructions: "Atiende el teléfono.".into(),
            voice: "marin".into(),
            transcription: Some(Transcription {
                model: "gpt-transcribe".into(),
                language: Some("es".into()),
                language_key: LanguageKey::Languages,
                keywords: Vec::new(),
                prompt: None,
            }),
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
        greeting: Some("Hola, ¿en qué puedo ayudarle?".into()),
        recording_notice: None,
        uplink_frames_per_append: 1,
        keep: openai_inbound_calls::call::record::Keep::ALL,
        apology: None,
        fallback: None,
        limits: Limits::default(),
        prices: prices(),
        tells_keys: false,
        may_hang_up: false,
        destinations: Vec::new(),
        trust: Trust::Learn,
        dial: None,
        media_networks: Some(["127.0.0.0/8".parse().expect("a network")].into()),
    }
}

/// The agents, of which there is only the one that the environment describes.
pub(crate) fn only_agent(settings: &Arc<Settings>) -> Agents {
    Agents::new(Agent::of_environment(Arc::clone(settings)), Vec::new(), Roster::default())
}

/// What the exchange of most tests goes by.
pub(crate) fn rules() -> Rules {
    Rules {
        settings: Arc::new(settings()),
        agents: only_agent(&Arc::new(settings())),
        max_calls: usize::MAX,
        max_day_cost: None,
        max_calls_per_caller_hour: None,
        judges_strain: true,
        spends_without_limit: true,
        shutdown_grace: Duration::from_secs(60),
        asterisk: "asterisk:8088".into(),
        local_ip: [10, 0, 0, 1].into(),
        ports: 10_000..=20_000,
    }
}
