//! The names of a recording: its id, as a type that cannot name anything outside the folder, and the names of its
//! files.
//!
//! An id is `{YYYYMMDD_HHMMSS}_{call_id}`: the local time at the start of the call, and Asterisk's unique id with
//! unsafe characters replaced. This module opens no files.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};

/// The ending of the name of an unfinished recording's folder.
pub(super) const LIVE: &str = ".live";
/// The ending of the name of an encrypted file.
pub(super) const SEALED: &str = ".age";
/// The ending of the hidden name of a folder that is about to become a recording's folder.
pub(super) const NEW: &str = ".new";
/// The ending of the hidden name of a file that is being deleted.
pub(super) const DELETED: &str = ".deleted";

/// The length of `YYYYMMDD_HHMMSS_`.
const STAMP_CHARS: usize = 16;
/// The longest call id in a new recording id, in characters. Asterisk's ids have about 20. A smaller value could cut
/// them; a larger one would make long file names.
const MADE_CHARS: usize = 64;
/// The longest call id that is accepted when an id is read. With it, the longest file name stays below the 255 bytes
/// that file systems permit; a larger value would exceed them.
const READ_CHARS: usize = 128;

/// Names one recording. An id contains only ASCII letters, digits, `-`, `_` and `.`, so it is safe in paths and URLs.
/// Ids sort by the start of the call.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(Arc<str>);

/// The text is not the id of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a recording id: it is YYYYMMDD_HHMMSS_ and the call's id")]
pub struct IdError;

impl RecordingId {
    /// The id of a call that began at this time on this channel.
    #[must_use]
    pub fn new(started: DateTime<FixedOffset>, channel: &str) -> Self {
        Self(format!("{}_{}", started.format("%Y%m%d_%H%M%S"), safe(channel)).into())
    }

    /// The same id with a number at its end (`…-2`, `…-3`), for use when the id itself is taken.
    #[must_use]
    pub(super) fn variant(&self, number: u32) -> Self {
        Self(format!("{}-{number}", self.0).into())
    }

    /// The whole id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the time: Asterisk's unique id with unsafe characters replaced.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.0[STAMP_CHARS..]
    }

    /// When the call began, in the machine's local time, to the second.
    #[must_use]
    pub fn started(&self) -> NaiveDateTime {
        stamp(&self.0).unwrap_or_default()
    }

    /// The name of the recording's folder while the recording is unfinished.
    pub(super) fn live_name(&self) -> String {
        format!("{}{LIVE}", self.0)
    }

    /// The name of one of the recording's files.
    pub(super) fn file_name(&self, part: Part, sealed: bool) -> String {
        format!("{}{}{}", self.0, part.suffix(), if sealed { SEALED } else { "" })
    }
}

impl FromStr for RecordingId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        stamp(text).ok_or(IdError)?;
        let call = &text[STAMP_CHARS..];
        let fits = !call.is_empty() && call.len() <= READ_CHARS && !call.starts_with('.');
        if fits && call.bytes().all(is_safe) { Ok(Self(text.into())) } else { Err(IdError) }
    }
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One of the files of a finished recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// `_conversation.json`. This file appears last and is deleted first: the recording exists while this file does.
    Conversation,
    /// `_summary.txt`.
    Summary,
    /// `_audio.wav`: what was heard, with the caller on the left channel and the assistant on the right.
    Wav,
    /// `_audio.bin`: the assistant's audio as the model sent it, G.711 µ-law.
    Bin,
}

impl Part {
    /// All files, in the order in which they are deleted.
    pub const ALL: [Self; 4] = [Self::Conversation, Self::Summary, Self::Wav, Self::Bin];

    /// The part of the file's name after the id.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Conversation => "_conversation.json",
            Self::Summary => "_summary.txt",
            Self::Wav => "_audio.wav",
            Self::Bin => "_audio.bin",
        }
    }
}

/// The meaning of a name in the folder of the recordings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// A file of a finished recording.
    File { id: RecordingId, part: Part, sealed: bool },
    /// The folder of an unfinished recording.
    Live(RecordingId),
}

impl Name {
    /// Parses a name. Returns `None` if it is not the name of a recording's file or folder.
    pub(super) fn read(name: &str) -> Option<Self> {
        if let Some(id) = name.strip_suffix(LIVE) {
            return id.parse().ok().map(Self::Live);
        }
        let (plain, sealed) = name.strip_suffix(SEALED).map_or((name, false), |plain| (plain, true));
        Part::ALL.into_iter().find_map(|part| {
            let id = plain.strip_suffix(part.suffix())?.parse().ok()?;
            Some(Self::File { id, part, sealed })
        })
    }
}

const fn is_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// Replaces every character of a channel's id that does not belong in a file name. Of a very long id the end is kept,
/// because Asterisk's counter is there.
fn safe(channel: &str) -> String {
    let mut safe: String =
        channel.chars().map(|c| if c.is_ascii() && is_safe(c as u8) { c } else { '-' }).collect();
    safe.drain(..safe.len().saturating_sub(MADE_CHARS));
    if safe.is_empty() || safe.starts_with('.') {
        safe.insert(0, '-');
        safe.truncate(MADE_CHARS);
    }
    safe
}

/// Parses the time at the beginning of an id. Returns `None` if there is no valid time followed by `_`.
fn stamp(id: &str) -> Option<NaiveDateTime> {
    let stamp = id.get(..STAMP_CHARS)?.strip_suffix('_')?;
    let (date, time) = stamp.split_once('_')?;
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(date, 8) || !digits(time, 6) {
        return None;
    }
    let part = |text: &str| text.parse::<u32>().ok();
    NaiveDate::from_ymd_opt(part(&date[..4])? as i32, part(&date[4..6])?, part(&date[6..])?)?.and_hms_opt(
        part(&time[..2])?,
        part(&time[2..4])?,
        part(&time[4..])?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> Result<RecordingId, IdError> {
        text.parse()
    }

    #[test]
    fn an_id_is_made_of_the_start_and_the_channel_and_read_back() {
        let started = DateTime::parse_from_rfc3339("2025-10-20T14:30:25.123456-05:00").unwrap();
        let made = RecordingId::new(started, "asterisk/1:1795180048.12");
        assert_eq!(made.as_str(), "20251020_143025_asterisk-1-1795180048.12");
        assert_eq!(id(made.as_str()), Ok(made.clone()));
        assert_eq!(made.call_id(), "asterisk-1-1795180048.12");
        assert_eq!(made.started(), started.naive_local().with_nanosecond_zero());
        assert_eq!(made.variant(2).as_str(), "20251020_143025_asterisk-1-1795180048.12-2");
        assert_eq!(RecordingId::new(started, "../../etc/passwd").call_id(), "-..-..-etc-passwd");
        assert_eq!(RecordingId::new(started, "").call_id(), "-");
        assert!(RecordingId::new(started, &"9".repeat(300)).call_id().len() == 64);
    }

    trait WholeSeconds {
        fn with_nanosecond_zero(self) -> Self;
    }

    impl WholeSeconds for NaiveDateTime {
        fn with_nanosecond_zero(self) -> Self {
            use chrono::Timelike as _;
            self.with_nanosecond(0).unwrap()
        }
    }

    #[test]
    fn what_could_leave_the_folder_is_no_id() {
        assert!(id("20251020_143025_rtc_abc123").is_ok(), "the id of the original's document");
        for text in [
            "",
            "20251020_143025_",
            "20251020_143025",
            "20251320_143025_a",
            "20251020_146025_a",
            "+0251020_143025_a",
            "20251020-143025_a",
            "20251020_143025_../a",
            "20251020_143025_.a",
            "20251020_143025_a/b",
            "20251020_143025_a\\b",
            "20251020_143025_a%2fb",
            "20251020_143025_a\0",
            "20251020_143025_ñ",
            "../20251020_143025_a",
            "2025102é_143025_a",
        ] {
            assert_eq!(id(text), Err(IdError), "{text:?}");
        }
        assert_eq!(id(&format!("20251020_143025_{}", "a".repeat(129))), Err(IdError));
    }

    #[test]
    fn every_file_of_a_recording_is_recognised_and_nothing_else() {
        let id = id("20251020_143025_17.3_audio").unwrap();
        for part in Part::ALL {
            for sealed in [false, true] {
                let name = id.file_name(part, sealed);
                assert_eq!(Name::read(&name), Some(Name::File { id: id.clone(), part, sealed }), "{name}");
            }
        }
        assert_eq!(Name::read(&id.live_name()), Some(Name::Live(id)));
        for other in [
            "access.log",
            ".gitkeep",
            "calls.db",
            "calls-index.db-wal",
            "20251020_143025_17.3.txt",
            "x_summary.txt",
        ] {
            assert_eq!(Name::read(other), None);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_channel_is_called_the_id_is_one_plain_name(channel in ".{0,100}") {
            let started = DateTime::from_timestamp(1_700_000_000, 0).unwrap().fixed_offset();
            let made = RecordingId::new(started, &channel);
            prop_assert_eq!(id(made.as_str()), Ok(made.clone()));
            let path = std::path::Path::new("folder").join(made.file_name(Part::Wav, true));
            prop_assert_eq!(path.parent(), Some(std::path::Path::new("folder")));
        }

        #[test]
        fn whatever_is_read_as_an_id_is_one_plain_name(text in "(20251020_143025_)?[a-z./\\\\_ -]{0,20}") {
            if let Ok(read) = id(&text) {
                let path = std::path::Path::new("folder").join(read.as_str());
                prop_assert_eq!(path.parent(), Some(std::path::Path::new("folder")));
            }
        }
    }
}
