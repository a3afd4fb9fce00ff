//! The keys of an agent's file that set a variable of the environment for this agent.

/// Each key with its variable.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("model", "OPENAI_REALTIME_MODEL"),
    ("dialect", "OPENAI_REALTIME_DIALECT"),
    ("organization", "OPENAI_ORGANIZATION"),
    ("project", "OPENAI_PROJECT"),
    ("route", "CALL_ROUTE"),
    ("voice", "OPENAI_VOICE"),
    ("speed", "OPENAI_SPEED"),
    ("reasoning_effort", "OPENAI_REASONING_EFFORT"),
    ("max_output_tokens", "OPENAI_MAX_OUTPUT_TOKENS"),
    ("truncation", "OPENAI_TRUNCATION"),
    ("truncation_retention_ratio", "OPENAI_TRUNCATION_RETENTION_RATIO"),
    ("truncation_post_instructions_tokens", "OPENAI_TRUNCATION_POST_INSTRUCTIONS_TOKENS"),
    ("parallel_tool_calls", "OPENAI_PARALLEL_TOOL_CALLS"),
    ("transcription_model", "OPENAI_TRANSCRIPTION_MODEL"),
    ("transcription_language", "OPENAI_TRANSCRIPTION_LANGUAGE"),
    ("transcription_keywords", "OPENAI_TRANSCRIPTION_KEYWORDS"),
    ("transcription_prompt", "OPENAI_TRANSCRIPTION_PROMPT"),
    ("noise_reduction", "OPENAI_NOISE_REDUCTION"),
    ("vad", "OPENAI_VAD"),
    ("vad_threshold", "OPENAI_VAD_THRESHOLD"),
    ("vad_prefix_padding_ms", "OPENAI_VAD_PREFIX_PADDING_MS"),
    ("vad_silence_ms", "OPENAI_VAD_SILENCE_MS"),
    ("vad_eagerness", "OPENAI_VAD_EAGERNESS"),
    ("vad_interrupt", "OPENAI_VAD_INTERRUPT"),
    ("greeting", "ASSISTANT_GREETING"),
    ("notice", "RECORDING_NOTICE"),
    ("may_hang_up", "ASSISTANT_MAY_HANG_UP"),
    ("hears_keys", "ASSISTANT_HEARS_KEYS"),
    ("max_call_seconds", "MAX_CALL_SECONDS"),
    ("caller_silence_seconds", "CALLER_SILENCE_SECONDS"),
    ("no_audio_seconds", "NO_AUDIO_SECONDS"),
    ("max_call_tokens", "MAX_CALL_TOKENS"),
    ("max_call_cost", "MAX_CALL_COST"),
    ("max_day_cost", "MAX_DAY_COST"),
    ("record", "RECORD"),
    ("retention_days", "RECORDING_RETENTION_DAYS"),
];

/// The values without a variable.
const VALUES: [&str; 6] = ["numbers", "hours", "holidays", "closed", "transfers", "use"];
/// The sections, which stand below all values.
const SECTIONS: [&str; 6] = ["tool", "lookup", "mcp", "example", "after_call", "report"];

/// The number of edits between similar keys. Two cover transposed, missing and wrong letters. A larger value would find keys
/// similar that are both right; a smaller one would miss typos.
const MAX_EDITS: usize = 2;

/// The key of a variable.
pub(super) fn key(variable: &str) -> Option<&'static str> {
    KEYS.iter().find(|(_, known)| *known == variable).map(|(key, _)| *key)
}

/// Whether an agent has a value of this name, which stands above all sections of its file.
pub(super) fn is_value(found: &str) -> bool {
    KEYS.iter().map(|(key, _)| *key).chain(VALUES).any(|key| key == found)
}

/// The key that was probably meant. The name of a variable stands for its key.
pub(super) fn nearest(found: &str) -> Option<&'static str> {
    let variable = KEYS.iter().find(|(_, variable)| variable.eq_ignore_ascii_case(found));
    let keys = KEYS.iter().map(|(key, _)| *key).chain(VALUES).chain(SECTIONS);
    variable.map(|(key, _)| *key).or_else(|| similar(found, keys))
}

/// The most similar of these keys, if it is similar enough to be meant.
pub(super) fn similar(found: &str, keys: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let with_edits = keys.into_iter().map(|key| (key, strsim::levenshtein(found, key)));
    let (nearest, edits) = with_edits.min_by_key(|(_, edits)| *edits)?;
    (edits <= MAX_EDITS).then_some(nearest)
}
