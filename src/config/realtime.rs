//! The section of the session with the model: server, model, voice, instructions, transcription and turns.

use std::ops::RangeInclusive;

use super::models::{self, Fate};
use super::reader::{Reader, is_none};
use super::sip::dial;
use super::words::{TruncationKind, VadKind};
use super::{RealtimeConfig, Secret, file, prices, url};
use crate::operator::{Allowed, Detail, Notice};
use crate::realtime::dialect::{
    Dialect, Eagerness, LanguageKey, SessionSettings, Transcription, Truncation, TurnDetection,
    is_custom_voice,
};

/// The instructions for the assistant if no file is named.
const INSTRUCTIONS: &str = "Eres un asistente telefónico amable. Hablas español y tratas de usted a quien llama. \
    Respondes con una o dos frases cortas, como se habla por teléfono: sin listas, sin símbolos y sin direcciones web. \
    Si no entiendes algo, pides que lo repita; si no sabes algo, lo dices.";

/// The largest file of instructions, in KiB. Instructions and tools may have 16,384 tokens together, and a token
/// rarely has more than 4 bytes. With a larger limit the server would reject the settings in the first call, instead
/// of the daemon at the start; with a smaller one the daemon would reject instructions that the server accepts.
const MAX_INSTRUCTIONS_KIB: u64 = 64;

/// The largest number of keywords, and the longest keyword in characters. With larger values the server could reject the settings
/// in the first call; with smaller ones the names of a catalogue would not fit.
const MOST_KEYWORDS: (usize, usize) = (100, 100);

/// The longest prompt for the transcription, in characters. As [`MOST_KEYWORDS`].
const MOST_PROMPT: usize = 1_000;

/// Reads the section of the session with the model.
pub(super) fn realtime(reader: &mut Reader<'_>) -> Option<RealtimeConfig> {
    let key = reader.parsed("OPENAI_API_KEY", Allowed::Token, |text| {
        let text = text.trim();
        text.bytes().all(|byte| byte.is_ascii_graphic()).then(|| Secret::new(text.to_owned()))
    });
    let url = reader.parsed("OPENAI_REALTIME_URL", Allowed::Url, url::complete);
    if let Some(url) = &url {
        reader.uses("OPENAI_REALTIME_URL", url);
    }
    let at_openai = url.as_deref().is_some_and(url::is_openai);
    let dialect = reader.word("OPENAI_REALTIME_DIALECT");
    let model = reader.token("OPENAI_REALTIME_MODEL");
    let model = model.map(|model| current_model(reader, "OPENAI_REALTIME_MODEL", model, at_openai));
    let session = session(reader, dialect, at_openai);
    let greeting = reader.text_or_empty("ASSISTANT_GREETING");
    let recording_notice = reader.text_or_empty("RECORDING_NOTICE");
    let organization = reader.token("OPENAI_ORGANIZATION");
    let project = reader.token("OPENAI_PROJECT");
    let dial = project.as_deref().and_then(|project| dial(reader, project));

    let table = prices::table(reader);
    let (model, session) = (model?, session?);
    let prices = table?.prices(&model, session.transcription.as_ref().map(|words| words.model.as_str()));

    let mut config = RealtimeConfig {
        url: url?,
        model,
        prices,
        key: key?,
        session,
        greeting: unless_empty(greeting?),
        recording_notice: unless_empty(recording_notice?),
        organization: unless_empty(organization?),
        project: unless_empty(project?),
        dial: dial?,
    };
    if at_openai && config.session.dialect == Dialect::Beta {
        reader.remarks.push(Notice::BetaRefused);
    }
    if at_openai && !models::reasons(&config.model) {
        let session = &mut config.session;
        let has = [
            ("OPENAI_REASONING_EFFORT", session.reasoning_effort.take().is_some()),
            ("OPENAI_PARALLEL_TOOL_CALLS", session.parallel_tool_calls.take().is_some()),
        ];
        for (variable, _) in has.into_iter().filter(|(_, is_set)| *is_set) {
            ignored(reader, variable, "none", &config.model);
        }
    }
    Some(config)
}

/// Says that a setting has no effect with this model.
fn ignored(reader: &mut Reader<'_>, variable: &'static str, in_force: &str, model: &str) {
    reader.uses(variable, in_force);
    reader.remarks.push(Notice::SettingIgnored { variable, model: model.to_owned() });
}

/// Reads what is asked of the session with the model. What only reasoning models accept is read for every model, and the caller
/// removes it for the others.
fn session(reader: &mut Reader<'_>, dialect: Option<Dialect>, at_openai: bool) -> Option<SessionSettings> {
    let voice = voice(reader, dialect, at_openai);
    let instructions = instructions(reader);
    let transcription = transcription(reader, dialect, at_openai);
    let turn_detection = turn_detection(reader);
    let interrupt = reader.word("OPENAI_VAD_INTERRUPT");
    let noise_reduction = reader.word_or_none("OPENAI_NOISE_REDUCTION");
    let speed = reader.decimal("OPENAI_SPEED", 0.25..=1.5);
    let reasoning_effort = reader.word_or_none("OPENAI_REASONING_EFFORT");
    let max_output_tokens = integer_or_inf(reader, "OPENAI_MAX_OUTPUT_TOKENS", 4096);
    let truncation = truncation(reader);
    let parallel_tool_calls = reader.word_or_none("OPENAI_PARALLEL_TOOL_CALLS");
    Some(SessionSettings {
        dialect: dialect?,
        instructions: instructions?.into(),
        voice: voice?,
        transcription: transcription?,
        turn_detection: turn_detection?,
        interrupt: interrupt?,
        noise_reduction: noise_reduction?,
        speed: speed?,
        reasoning_effort: reasoning_effort?,
        max_output_tokens: max_output_tokens?,
        truncation: truncation?,
        parallel_tool_calls: parallel_tool_calls?,
        tools: Vec::new(),
    })
}

/// Returns the model to use in place of `model`. Only OpenAI's own models are checked: elsewhere, an old name may be
/// the name of a deployment.
fn current_model(reader: &mut Reader<'_>, variable: &'static str, model: String, at_openai: bool) -> String {
    if !at_openai {
        return model;
    }
    match models::fate(&model) {
        Fate::Lives => model,
        Fate::Retired { replacement } => {
            reader.uses(variable, replacement);
            reader.remarks.push(Notice::ModelRetired { variable, model, replacement });
            replacement.to_owned()
        }
        Fate::Ends { date, replacement } => {
            reader.remarks.push(Notice::ModelShutdown { variable, model: model.clone(), date, replacement });
            model
        }
    }
}

/// Returns the voice. The default voice exists only in the current dialect. Voices are checked only at OpenAI,
/// because other servers have others.
fn voice(reader: &mut Reader<'_>, dialect: Option<Dialect>, at_openai: bool) -> Option<String> {
    let name = "OPENAI_VOICE";
    let voice = reader.token(name)?;
    let replacement = match models::voice(&voice) {
        _ if reader.is_default(name) => (dialect == Some(Dialect::Beta)).then_some("alloy"),
        Some(known) if at_openai => Some(known),
        None if at_openai && !is_custom_voice(&voice) => {
            let known = models::VOICES.join(", ");
            reader.remarks.push(Notice::VoiceUnknown { variable: name, voice: Detail::new(&voice), known });
            None
        }
        _ => None,
    };
    let voice = replacement.map_or(voice, str::to_owned);
    reader.uses(name, &voice);
    Some(voice)
}

fn instructions(reader: &mut Reader<'_>) -> Option<String> {
    let name = "ASSISTANT_INSTRUCTIONS_FILE";
    let path = reader.path(name)?;
    if path.is_empty() {
        return Some(INSTRUCTIONS.to_owned());
    }
    let limit = MAX_INSTRUCTIONS_KIB * 1024;
    let is_too_long = |bytes: &Vec<u8>| bytes.len() as u64 > limit;
    let read = file::read(&path, limit).map(|bytes| (is_too_long(&bytes), String::from_utf8(bytes)));
    let allowed = match read {
        Err(error) => Allowed::TextFile { cause: file::cause(&path, error) },
        Ok((true, _)) => Allowed::TextFileSize { kib: MAX_INSTRUCTIONS_KIB },
        Ok((_, Err(error))) => Allowed::TextFile { cause: Detail::new(error.utf8_error()) },
        Ok((_, Ok(text))) if text.trim().is_empty() => Allowed::TextFileSize { kib: MAX_INSTRUCTIONS_KIB },
        Ok((_, Ok(text))) => return Some(text.trim_start_matches('\u{feff}').trim().to_owned()),
    };
    reader.invalid(name, &path, allowed);
    None
}

#[expect(
    clippy::option_option,
    reason = "the outer option says whether the value is valid, the inner one whether it is set"
)]
fn transcription(
    reader: &mut Reader<'_>,
    dialect: Option<Dialect>,
    at_openai: bool,
) -> Option<Option<Transcription>> {
    let name = "OPENAI_TRANSCRIPTION_MODEL";
    let model = reader.text_or_empty(name);
    let language = reader.text_or_empty("OPENAI_TRANSCRIPTION_LANGUAGE");
    let language =
        language.and_then(|language| language_code(reader, &language).then(|| unless_empty(language)));
    let (keywords, prompt) = (keywords(reader), prompt(reader));
    let (model, language, mut keywords, mut prompt) = (model?, language?, keywords?, prompt?);
    if model.is_empty() || is_none(&model) {
        return Some(None);
    }
    if !model.bytes().all(|byte| byte.is_ascii_graphic()) {
        reader.invalid(name, &model, Allowed::Token);
        return None;
    }
    let model = current_model(reader, name, model, at_openai);
    let language_key = match dialect? {
        Dialect::Ga => models::language_key(&model),
        Dialect::Beta => LanguageKey::Language,
    };
    let takes_keywords = dialect == Some(Dialect::Ga) && models::takes_keywords(&model);
    if !keywords.is_empty() && !takes_keywords {
        ignored(reader, "OPENAI_TRANSCRIPTION_KEYWORDS", "", &model);
        keywords.clear();
    }
    if prompt.is_some() && !models::takes_prompt(&model) {
        ignored(reader, "OPENAI_TRANSCRIPTION_PROMPT", "", &model);
        prompt = None;
    }
    Some(Some(Transcription { model, language, language_key, keywords, prompt }))
}

fn keywords(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let (most, chars) = MOST_KEYWORDS;
    reader.parsed("OPENAI_TRANSCRIPTION_KEYWORDS", Allowed::Keywords { most, chars }, |text| {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned);
        let words: Vec<_> = words.collect();
        let is_short = words.iter().all(|word| word.chars().count() <= chars);
        (words.len() <= most && is_short).then_some(words)
    })
}

#[expect(
    clippy::option_option,
    reason = "the outer option says whether the value is valid, the inner one whether it is set"
)]
fn prompt(reader: &mut Reader<'_>) -> Option<Option<String>> {
    let chars = MOST_PROMPT;
    reader.parsed("OPENAI_TRANSCRIPTION_PROMPT", Allowed::ShortText { chars }, |text| {
        (text.chars().count() <= chars).then(|| unless_empty(text.to_owned()))
    })
}

#[expect(
    clippy::option_option,
    reason = "the outer option says whether the value is valid, the inner one whether it is set"
)]
fn truncation(reader: &mut Reader<'_>) -> Option<Option<Truncation>> {
    let kind = reader.word("OPENAI_TRUNCATION");
    let ratio = reader.decimal("OPENAI_TRUNCATION_RETENTION_RATIO", 0.0..=1.0);
    let post_instructions = integer_or_inf(reader, "OPENAI_TRUNCATION_POST_INSTRUCTIONS_TOKENS", 128_000);
    let (ratio, post_instructions) = (ratio?, post_instructions?);
    Some(match kind? {
        TruncationKind::Auto => None,
        TruncationKind::Disabled => Some(Truncation::Disabled),
        TruncationKind::RetentionRatio => Some(Truncation::RetentionRatio { ratio, post_instructions }),
    })
}

/// Checks a language code: ISO 639 with an optional region, such as `es` or `es-MX`.
fn language_code(reader: &mut Reader<'_>, code: &str) -> bool {
    let (language, region) = code.split_once('-').unwrap_or((code, "XX"));
    let letters = |text: &str, lengths: RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let valid = code.is_empty() || (letters(language, 2..=3) && letters(region, 2..=4));
    if !valid {
        reader.invalid("OPENAI_TRANSCRIPTION_LANGUAGE", code, Allowed::LanguageCode);
    }
    valid
}

fn turn_detection(reader: &mut Reader<'_>) -> Option<TurnDetection> {
    let kind = reader.word("OPENAI_VAD");
    let threshold = reader.decimal("OPENAI_VAD_THRESHOLD", 0.0..=1.0);
    let prefix_padding_ms = reader.integer("OPENAI_VAD_PREFIX_PADDING_MS", 0..=5000);
    let silence_ms = reader.integer("OPENAI_VAD_SILENCE_MS", 0..=10_000);
    let eagerness = reader.word::<Eagerness>("OPENAI_VAD_EAGERNESS");
    let (threshold, prefix_padding_ms, silence_ms, eagerness) =
        (threshold?, prefix_padding_ms?, silence_ms?, eagerness?);
    Some(match kind? {
        VadKind::Server => TurnDetection::Server { threshold, prefix_padding_ms, silence_ms },
        VadKind::Semantic => TurnDetection::Semantic { eagerness },
    })
}

#[expect(
    clippy::option_option,
    reason = "the outer option says whether the value is valid, the inner one whether it is set"
)]
fn integer_or_inf(reader: &mut Reader<'_>, name: &'static str, to: u64) -> Option<Option<u32>> {
    let from = 1;
    reader.parsed(name, Allowed::IntegerOrInf { from, to }, |text| {
        if text.eq_ignore_ascii_case("inf") {
            return Some(None);
        }
        let number: u32 = text.parse().ok()?;
        (from..=to).contains(&u64::from(number)).then_some(Some(number))
    })
}

fn unless_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
