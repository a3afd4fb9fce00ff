//! The section of the recordings: checks its variables, and whether the two keys belong together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::reader::{Reader, is_none};
use crate::call::record::Keep;
use crate::operator::{Allowed, Detail, Language, Notice};
use crate::recordings::{Identity, Recipient, RecordingSettings};

/// The words of `RECORD`.
const KEPT: &[&str] = &["audio", "transcript", "events", "keys"];
/// The longest retention, in days: a century. Without a limit, a typo could pass for a retention; a smaller one might
/// reject a real retention.
const MAX_DAYS: u64 = 36_500;

/// Reads this section and the file with the secret keys, so that a wrong key is noticed at the start and not at the
/// first request.
pub(super) fn recordings(reader: &mut Reader<'_>, language: Option<Language>) -> Option<RecordingSettings> {
    let folder = reader.path("RECORDINGS_DIR").map(PathBuf::from);
    let keep = kept(reader);
    let retention_days = retention_days(reader);
    let recipient = recipient(reader);
    let identity = identity(reader);
    let (recipient, identity) = (recipient?, identity?);
    if let (Some(recipient), Some(identity)) = (&recipient, &identity)
        && !identity.opens(recipient)
    {
        let (identity, recipient) = ("RECORDINGS_IDENTITY_FILE", "RECORDINGS_RECIPIENT");
        reader.remarks.push(Notice::IdentityDiffers { identity, recipient });
    }
    Some(RecordingSettings {
        folder: folder?,
        keep: keep?,
        language: language?,
        recipient,
        identity,
        retention_days: retention_days?,
    })
}

/// Reads what is recorded.
pub(super) fn kept(reader: &mut Reader<'_>) -> Option<Keep> {
    reader.parsed("RECORD", Allowed::NoneOrSomeOf(KEPT), keep)
}

fn keep(text: &str) -> Option<Keep> {
    let mut keep = Keep::NOTHING;
    if is_none(text) {
        return Some(keep);
    }
    for word in text.split(',').map(|word| word.trim().to_ascii_lowercase()) {
        match word.as_str() {
            "audio" => keep.audio = true,
            "transcript" => keep.transcript = true,
            "events" => keep.events = true,
            "keys" => keep.keys = true,
            _ => return None,
        }
    }
    keep.keys &= keep.transcript || keep.events;
    Some(keep)
}

/// Reads for how many days recordings are kept, or that they are kept for ever.
#[expect(
    clippy::option_option,
    reason = "the outer option says whether the value is valid, the inner one whether it is set"
)]
pub(super) fn retention_days(reader: &mut Reader<'_>) -> Option<Option<u32>> {
    let (name, to) = ("RECORDING_RETENTION_DAYS", MAX_DAYS);
    reader.parsed(name, Allowed::Integer { from: 1, to }, |text| {
        if text.is_empty() {
            return Some(None);
        }
        let days = text.parse().ok()?;
        (1..=to).contains(&u64::from(days)).then_some(Some(days))
    })
}

#[expect(
    clippy::option_option,
    reason = "the outer option says whether the value is valid, the inner one whether it is set"
)]
fn recipient(reader: &mut Reader<'_>) -> Option<Option<Recipient>> {
    reader.parsed("RECORDINGS_RECIPIENT", Allowed::AgeRecipient, |text| {
        if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
    })
}

#[expect(
    clippy::option_option,
    reason = "the outer option says whether the value is valid, the inner one whether it is set"
)]
fn identity(reader: &mut Reader<'_>) -> Option<Option<Arc<Identity>>> {
    let name = "RECORDINGS_IDENTITY_FILE";
    let path = reader.path(name)?;
    if path.is_empty() {
        return Some(None);
    }
    match Identity::read(Path::new(&path)) {
        Ok(identity) => Some(Some(Arc::new(identity))),
        Err(error) => {
            reader.invalid(name, &path, Allowed::AgeIdentityFile { cause: Detail::new(error) });
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Problem};
    use std::collections::HashMap;

    /// Returns the settings that these variables and the required ones make, with the remarks.
    fn settings(others: &[(&str, &str)]) -> Result<(RecordingSettings, Vec<Notice>), Vec<String>> {
        let required = ["ASTERISK_USERNAME", "ASTERISK_PASSWORD", "OPENAI_API_KEY", "LOG_FILE_PATH"];
        let mut map: HashMap<&str, &str> = required.iter().map(|name| (*name, "x")).collect();
        map.extend([("ASTERISK_HOST", "localhost"), ("ASTERISK_PORT", "8088")]);
        map.insert("LOCAL_IP_ADDRESS", "192.168.1.100");
        map.extend(others.iter().copied());
        match Config::from_variables(&|name| map.get(name).map(ToString::to_string)) {
            Ok(config) => Ok((config.recordings, config.remarks)),
            Err(problems) => {
                let notices = Problem::notices(&problems);
                Err(notices.iter().map(|notice| notice.line(Language::English)).collect())
            }
        }
    }

    fn key() -> (String, String) {
        use age::secrecy::ExposeSecret as _;
        let key = age::x25519::Identity::generate();
        (key.to_string().expose_secret().to_owned(), key.to_public().to_string())
    }

    #[test]
    fn by_default_everything_is_kept_for_ever_and_in_the_clear() {
        let (settings, remarks) = settings(&[]).unwrap();
        assert_eq!((settings.folder, settings.keep), (PathBuf::from("recordings"), Keep::USUAL));
        assert_eq!((settings.retention_days, settings.recipient, settings.identity), (None, None, None));
        assert_eq!(remarks, []);
    }

    #[test]
    fn what_is_kept_is_any_choice_of_the_words_or_none() {
        let keep = |text| settings(&[("RECORD", text)]).map(|(settings, _)| settings.keep);
        assert_eq!(keep(" Audio , events"), Ok(Keep { audio: true, events: true, ..Keep::NOTHING }));
        assert_eq!(keep("audio,transcript,events,keys"), Ok(Keep::ALL));
        assert_eq!(keep("keys"), Ok(Keep::NOTHING), "of what is not kept no keys are kept");
        assert_eq!(keep("none"), Ok(Keep::NOTHING));
        let lines = keep("audio,video").unwrap_err();
        assert!(
            lines[0].contains("RECORD: \"audio,video\"") && lines[0].contains("audio, transcript, events")
        );
    }

    #[test]
    fn keys_that_belong_together_pass_and_others_are_remarked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.txt");
        let ((secret, public), (_, other)) = (key(), key());
        std::fs::write(&path, format!("# comment\n{secret}\n")).unwrap();
        let file = ("RECORDINGS_IDENTITY_FILE", path.to_str().unwrap());
        let (read, remarks) = settings(&[file, ("RECORDINGS_RECIPIENT", &public)]).unwrap();
        assert!(read.identity.unwrap().opens(&read.recipient.unwrap()) && remarks.is_empty());
        let (_, remarks) = settings(&[file, ("RECORDINGS_RECIPIENT", &other)]).unwrap();
        assert!(matches!(remarks[..], [Notice::IdentityDiffers { .. }]));
    }

    #[test]
    fn a_key_that_is_none_is_a_problem_at_the_start() {
        let (secret, public) = key();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.txt");
        std::fs::write(&path, public).unwrap();
        let lines = settings(&[
            ("RECORDINGS_RECIPIENT", "age1nothing"),
            ("RECORDINGS_IDENTITY_FILE", path.to_str().unwrap()),
            ("RECORDING_RETENTION_DAYS", "0"),
        ]);
        let lines = lines.unwrap_err();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(settings(&[("RECORDINGS_IDENTITY_FILE", "/nonexistent")]).is_err());
        let lines = settings(&[("RECORDINGS_RECIPIENT", &secret)]).unwrap_err();
        assert!(!lines[0].contains(&secret[20..]), "a secret key in the wrong place is not shown: {lines:?}");
    }
}
