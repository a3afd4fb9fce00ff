//! The usage that the server reports: the `usage` object of a response or of a transcription.
//!
//! Any field may be null, absent or of an undocumented type, as with other servers or with responses that
//! were cut off. Such a field is `None`. This module neither adds nor estimates: the ledger in `call` does
//! that.
//!
//! Figures are bounded, so that a server that counts wrong, or lies, spoils no sum over calls.
//!
//! Source: the API's event reference.

use serde_json::Value;

use crate::units::Milliseconds;

/// The most tokens that count for one response or transcription. The largest context of a model has about a million tokens. With
/// a larger bound, few responses would make the sums of a day meaningless. A smaller one would count too few of a future model.
const MOST_TOKENS: u64 = 100_000_000;
/// The longest audio that counts for one transcription, in milliseconds: a day, which is longer than a call may last.
const MOST_AUDIO_MS: u64 = 24 * 60 * 60 * 1_000;

/// The reported usage of one response or one transcription, in tokens unless a field says otherwise. None:
/// not reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens.
    pub total: Option<u64>,
    /// Input tokens, cached and uncached.
    pub input: Option<u64>,
    /// Input tokens of text.
    pub text_in: Option<u64>,
    /// Input tokens of audio.
    pub audio_in: Option<u64>,
    /// Input tokens that the server read from its cache.
    pub cached: Option<u64>,
    /// Cached input tokens of text, which `text_in` includes.
    pub cached_text: Option<u64>,
    /// Cached input tokens of audio, which `audio_in` includes.
    pub cached_audio: Option<u64>,
    /// Output tokens.
    pub output: Option<u64>,
    /// Output tokens of text.
    pub text_out: Option<u64>,
    /// Output tokens of audio.
    pub audio_out: Option<u64>,
    /// The length of the transcribed audio in milliseconds, if the transcription is billed by time
    /// (`"type":"duration"`).
    pub audio: Option<Milliseconds>,
}

impl Usage {
    /// Reads the object. The result is empty if the value is not an object.
    pub(super) fn of(usage: &Value) -> Self {
        let (input, output) = (&usage["input_token_details"], &usage["output_token_details"]);
        let cached = &input["cached_tokens_details"];
        Self {
            total: count(&usage["total_tokens"]),
            input: count(&usage["input_tokens"]),
            text_in: count(&input["text_tokens"]),
            audio_in: count(&input["audio_tokens"]),
            cached: count(&input["cached_tokens"]),
            cached_text: count(&cached["text_tokens"]),
            cached_audio: count(&cached["audio_tokens"]),
            output: count(&usage["output_tokens"]),
            text_out: count(&output["text_tokens"]),
            audio_out: count(&output["audio_tokens"]),
            audio: usage["seconds"].as_f64().map(audio),
        }
    }

    /// Whether the server reported nothing at all.
    pub fn is_untold(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the server reported any number of tokens, even 0.
    pub fn is_in_tokens(&self) -> bool {
        !Self { audio: None, ..*self }.is_untold()
    }

    /// The number of tokens of all kinds. The result is 0 if the server reported none.
    pub fn tokens(&self) -> u64 {
        let parts = || self.input.unwrap_or(0).saturating_add(self.output.unwrap_or(0));
        self.total.unwrap_or_else(parts)
    }
}

/// Reads a count. Some servers write whole numbers with a decimal point.
fn count(value: &Value) -> Option<u64> {
    let count =
        value.as_u64().or_else(|| value.as_f64().filter(|count| *count >= 0.0).map(|count| count as u64));
    count.map(|count| count.min(MOST_TOKENS))
}

fn audio(seconds: f64) -> Milliseconds {
    Milliseconds::new(((seconds * 1_000.0).round() as u64).min(MOST_AUDIO_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Usage {
        Usage::of(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn every_kind_is_read_from_its_place() {
        let usage = read(
            r#"{"total_tokens":253,"input_tokens":132,"output_tokens":121,
                "input_token_details":{"text_tokens":119,"audio_tokens":13,"image_tokens":0,"cached_tokens":64,
                  "cached_tokens_details":{"text_tokens":60,"audio_tokens":4,"image_tokens":0}},
                "output_token_details":{"text_tokens":30,"audio_tokens":91}}"#,
        );
        let expected = Usage {
            total: Some(253),
            input: Some(132),
            text_in: Some(119),
            audio_in: Some(13),
            cached: Some(64),
            cached_text: Some(60),
            cached_audio: Some(4),
            output: Some(121),
            text_out: Some(30),
            audio_out: Some(91),
            audio: None,
        };
        assert_eq!((usage, usage.tokens()), (expected, 253));
    }

    #[test]
    fn a_transcription_is_counted_in_time_or_in_tokens() {
        let duration = read(r#"{"type":"duration","seconds":2.3}"#);
        assert_eq!(
            (duration.audio, duration.is_in_tokens(), duration.is_untold()),
            (Some(Milliseconds::new(2_300)), false, false)
        );
        let tokens = read(
            r#"{"type":"tokens","total_tokens":26,"input_tokens":20,"output_tokens":6,
                "input_token_details":{"text_tokens":3,"audio_tokens":17}}"#,
        );
        assert_eq!((tokens.audio_in, tokens.output, tokens.audio), (Some(17), Some(6), None));
        assert!(tokens.is_in_tokens() && read(r#"{"total_tokens":0}"#).is_in_tokens());
    }

    #[test]
    fn what_no_response_can_use_is_bounded() {
        for huge in ["18446744073709551615", "1e300", "184467440737095516150"] {
            let usage =
                read(&format!(r#"{{"total_tokens":{huge},"output_tokens":{huge},"seconds":{huge}}}"#));
            let [most, longest] = [Some(MOST_TOKENS), Some(MOST_AUDIO_MS)];
            assert_eq!(
                (usage.total, usage.output, usage.audio.map(Milliseconds::get)),
                (most, most, longest),
                "{huge}"
            );
        }
    }

    #[test]
    fn what_is_missing_null_or_of_another_type_is_not_told() {
        for text in ["null", "{}", "7", "[]", "\"x\"", r#"{"total_tokens":null,"input_token_details":[]}"#] {
            assert!(read(text).is_untold(), "{text}");
        }
        let odd = read(
            r#"{"total_tokens":-1,"input_tokens":"40","output_tokens":20.0,"seconds":null,
                "input_token_details":{"text_tokens":null,"audio_tokens":{},"cached_tokens_details":null}}"#,
        );
        assert_eq!(odd, Usage { output: Some(20), ..Usage::default() });
        assert_eq!(odd.tokens(), 20, "without a total, the parts");
        assert_eq!(read(r#"{"seconds":-3.5}"#).audio, Some(Milliseconds::ZERO));
    }
}
