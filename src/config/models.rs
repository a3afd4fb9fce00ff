//! What is known about OpenAI's models: which are retired, which will be, and what they accept. As of 20 November
//! 2026 (`GET /v1/models` names a `shutdown_date` for each model).
//!
//! Names of models stay configuration: an unknown name is passed on unchanged, and models of other servers are never
//! checked.

use crate::realtime::dialect::LanguageKey;

/// What the tables say about a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing speaks against the model.
    Lives,
    /// The model no longer exists.
    Retired { replacement: &'static str },
    /// The model will be shut down on `date` (YYYY-MM-DD).
    Ends { date: &'static str, replacement: &'static str },
}

/// Retired models by prefix (removed on 2026-05-07), the most specific prefix first, with their replacements.
const RETIRED: &[(&str, &str)] = &[
    ("gpt-4o-mini-realtime-preview", "gpt-realtime-2.1-mini"),
    ("gpt-4o-realtime-preview", "gpt-realtime-2.1"),
];

/// Models with an announced shutdown: name, date and replacement.
const ENDING: &[(&str, &str, &str)] = &[
    ("gpt-realtime", "2027-01-20", "gpt-realtime-2.1"),
    ("gpt-realtime-2025-08-28", "2027-01-20", "gpt-realtime-2.1"),
    ("gpt-realtime-mini", "2027-01-20", "gpt-realtime-2.1-mini"),
    ("gpt-realtime-mini-2025-10-06", "2027-01-20", "gpt-realtime-2.1-mini"),
    ("gpt-realtime-mini-2025-12-15", "2027-01-20", "gpt-realtime-2.1-mini"),
    ("whisper-1", "2027-02-26", "gpt-transcribe"),
    ("gpt-4o-transcribe", "2027-02-26", "gpt-transcribe"),
    ("gpt-4o-transcribe-diarize", "2027-02-26", "gpt-transcribe"),
    ("gpt-4o-mini-transcribe", "2027-02-26", "gpt-transcribe"),
    ("gpt-4o-mini-transcribe-2025-12-15", "2027-02-26", "gpt-transcribe"),
];

/// What the tables say about `model` at OpenAI.
pub(super) fn fate(model: &str) -> Fate {
    if let Some((_, replacement)) = RETIRED.iter().find(|(prefix, _)| model.starts_with(prefix)) {
        return Fate::Retired { replacement };
    }
    match ENDING.iter().find(|(name, ..)| *name == model) {
        Some((_, date, replacement)) => Fate::Ends { date, replacement },
        None => Fate::Lives,
    }
}

/// Whether `model` accepts `reasoning.effort`. For any other model, this key would make the server reject all
/// settings.
pub(super) fn reasons(model: &str) -> bool {
    model.starts_with("gpt-realtime-2.") || model == "gpt-realtime-2" || model.starts_with("gpt-realtime-2-")
}

/// The transcription models, by prefix, that take `languages`. All others take `language`.
const TAKES_LANGUAGES: &[&str] = &["gpt-transcribe", "gpt-live-transcribe"];

/// Whether the transcription model `model` takes `keywords`. For any other model, this key would make the server reject all
/// settings.
pub(super) fn takes_keywords(model: &str) -> bool {
    language_key(model) == LanguageKey::Languages
}

/// Whether the transcription model `model` takes a `prompt`.
pub(super) fn takes_prompt(model: &str) -> bool {
    !model.starts_with("gpt-realtime-whisper") && !model.contains("-diarize")
}

/// OpenAI's voices. A voice that is not in this list is used, with a warning.
pub(super) const VOICES: &[&str] =
    &["marin", "cedar", "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse"];

/// Finds a voice of OpenAI without regard to upper and lower case, and returns its official spelling.
pub(super) fn voice(name: &str) -> Option<&'static str> {
    VOICES.iter().copied().find(|known| known.eq_ignore_ascii_case(name))
}

/// The key under which the transcription model `model` takes a language.
pub(super) fn language_key(model: &str) -> LanguageKey {
    if TAKES_LANGUAGES.iter().any(|prefix| model.starts_with(prefix)) {
        LanguageKey::Languages
    } else {
        LanguageKey::Language
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_the_old_documents_is_retired() {
        for (model, replacement) in [
            ("gpt-4o-realtime-preview-2024-12-17", "gpt-realtime-2.1"),
            ("gpt-4o-realtime-preview", "gpt-realtime-2.1"),
            ("gpt-4o-mini-realtime-preview-2024-12-17", "gpt-realtime-2.1-mini"),
        ] {
            assert_eq!(fate(model), Fate::Retired { replacement });
        }
    }

    #[test]
    fn every_replacement_lives_on() {
        let replacements = RETIRED.iter().map(|row| row.1).chain(ENDING.iter().map(|row| row.2));
        for replacement in replacements {
            assert_eq!(fate(replacement), Fate::Lives);
        }
        assert_eq!(fate("gpt-realtime-1.5"), Fate::Lives);
    }

    #[test]
    fn only_the_second_generation_reasons() {
        assert!(reasons("gpt-realtime-2") && reasons("gpt-realtime-2.1-mini"));
        assert!(
            !reasons("gpt-realtime-1.5") && !reasons("gpt-realtime") && !reasons("gpt-realtime-2025-08-28")
        );
    }

    #[test]
    fn the_language_goes_under_the_key_the_model_knows() {
        assert_eq!(language_key("gpt-transcribe"), LanguageKey::Languages);
        assert_eq!(language_key("gpt-live-transcribe"), LanguageKey::Languages);
        assert_eq!(language_key("gpt-realtime-whisper"), LanguageKey::Language);
        assert_eq!(language_key("whisper-1"), LanguageKey::Language);
    }

    #[test]
    fn keywords_and_prompts_go_only_to_models_that_take_them() {
        let takes = |model| (takes_keywords(model), takes_prompt(model));
        assert_eq!(takes("gpt-transcribe"), (true, true));
        assert_eq!(takes("gpt-4o-transcribe"), (false, true));
        assert_eq!(takes("whisper-1"), (false, true));
        assert_eq!(takes("gpt-realtime-whisper"), (false, false));
        assert_eq!(takes("gpt-4o-transcribe-diarize"), (false, false));
    }
}
