//! What is known about OpenAI's models: which are gone, which are going, what they accept. State: 20 November
//! 2026 (`GET /v1/models` names a `shutdown_date` per model).
//!
//! Model names stay configuration: an unknown name is passed on as it is, and other servers' models are never
//! judged.

use crate::realtime::dialect::LanguageKey;

/// What the tables say about a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing is known against it.
    Lives,
    /// It no longer exists.
    Retired { replacement: &'static str },
    /// It ends on `date` (YYYY-MM-DD).
    Ends { date: &'static str, replacement: &'static str },
}

/// Retired models by prefix, most specific first (removed on 2026-05-07), with the replacement.
const RETIRED: &[(&str, &str)] = &[
    ("gpt-4o-mini-realtime-preview", "gpt-realtime-2.1-mini"),
    ("gpt-4o-realtime-preview", "gpt-realtime-2.1"),
];

/// Models with an announced end: name, date, replacement.
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

/// What becomes of `model` at OpenAI.
pub(super) fn fate(model: &str) -> Fate {
    if let Some((_, replacement)) = RETIRED.iter().find(|(prefix, _)| model.starts_with(prefix)) {
        return Fate::Retired { replacement };
    }
    match ENDING.iter().find(|(name, ..)| *name == model) {
        Some((_, date, replacement)) => Fate::Ends { date, replacement },
        None => Fate::Lives,
    }
}

/// Whether `model` knows `reasoning.effort`; sent to another one, it would make the server refuse all
/// settings.
pub(super) fn reasons(model: &str) -> bool {
    model.starts_with("gpt-realtime-2.") || model == "gpt-realtime-2" || model.starts_with("gpt-realtime-2-")
}

/// The models (by prefix) that take `languages`; every other one takes `language`.
const TAKES_LANGUAGES: &[&str] = &["gpt-transcribe", "gpt-live-transcribe"];

/// OpenAI's voices. A new one that is not here yet is warned of, and used.
pub(super) const VOICES: &[&str] =
    &["marin", "cedar", "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse"];

/// The voice of OpenAI's that is meant, in the letters OpenAI takes it in.
pub(super) fn voice(name: &str) -> Option<&'static str> {
    VOICES.iter().copied().find(|known| known.eq_ignore_ascii_case(name))
}

/// Under which key the transcription model `model` takes a language.
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
}
