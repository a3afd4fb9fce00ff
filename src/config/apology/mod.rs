//! The announcement that callers hear whom the model cannot serve: the project's own, or the operator's.
//!
//! The announcement is raw G.711 µ-law, as it goes on the wire and as Asterisk keeps its own `.ulaw` sounds. Nothing
//! must be decoded, so nothing can go wrong while a caller waits.

use std::sync::Arc;

use super::file;
use super::reader::{Reader, is_none};
use crate::media::frame::BYTES_PER_MS;
use crate::operator::Allowed;

/// "Lo sentimos. En este momento, nuestro asistente no está disponible." `sim/speech/make` made this clip and
/// [`ENGLISH`].
const SPANISH: &[u8] = include_bytes!("es.ulaw");
/// "We are sorry. Our assistant is not available at the moment."
const ENGLISH: &[u8] = include_bytes!("en.ulaw");
/// The longest announcement, in seconds. A longer one would keep the caller from a person who could help, and would
/// not fit into the time that a call has to end.
const MAX_SECONDS: usize = 20;
/// A shorter clip says nothing to a caller. A larger value would refuse short words; a smaller one would accept files
/// that were cut off.
const MIN_MS: usize = 200;
/// How other audio files begin: WAV, Ogg, FLAC, MP3 with a tag, AU, AIFF. Such a file would be heard as noise.
const OTHER_FORMATS: [&[u8]; 6] = [b"RIFF", b"OggS", b"fLaC", b"ID3", b".snd", b"FORM"];

/// Reads the announcement, which may be none. The outer option says whether the value is valid, as everywhere in this
/// module.
#[expect(
    clippy::option_option,
    reason = "the outer option says whether the value is valid, the inner one whether it is set"
)]
pub(super) fn apology(reader: &mut Reader<'_>, language: Option<&str>) -> Option<Option<Arc<[u8]>>> {
    let name = "APOLOGY_FILE";
    let path = reader.path(name)?;
    if is_none(&path) {
        return Some(None);
    }
    if path.is_empty() {
        let is_english = language.is_some_and(|code| code.split('-').next() == Some("en"));
        return Some(Some(if is_english { ENGLISH } else { SPANISH }.into()));
    }
    let most = MAX_SECONDS * 1_000 * BYTES_PER_MS;
    let allowed = match file::read(&path, most as u64) {
        Err(error) => Allowed::AudioFile { cause: file::cause(&path, error) },
        Ok(clip) if !(MIN_MS * BYTES_PER_MS..=most).contains(&clip.len()) || !may_be_ulaw(&clip) => {
            Allowed::AudioFileSize { seconds: MAX_SECONDS }
        }
        Ok(clip) => return Some(Some(clip.into())),
    };
    reader.invalid(name, &path, allowed);
    None
}

/// Whether the bytes may be raw µ-law: no other audio format, and no text. Speech and silence in µ-law are never UTF-8,
/// because half of all samples are bytes above 0x7F in no order that UTF-8 has.
fn may_be_ulaw(clip: &[u8]) -> bool {
    let is_other = OTHER_FORMATS.iter().any(|start| clip.starts_with(start));
    !is_other && std::str::from_utf8(clip).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FRAME_BYTES;

    fn read(file: &str, language: Option<&str>) -> Result<Option<Arc<[u8]>>, usize> {
        let variables = |name: &str| (name == "APOLOGY_FILE").then(|| file.to_owned());
        let mut reader = Reader::new(&variables);
        apology(&mut reader, language).ok_or(reader.problems.len())
    }

    #[test]
    fn the_projects_own_are_whole_frames_and_short() {
        for clip in [SPANISH, ENGLISH] {
            assert_eq!(clip.len() % FRAME_BYTES, 0);
            assert!((16_000..48_000).contains(&clip.len()), "2 to 6 s: {} bytes", clip.len());
        }
        let said = |language| read("", language).unwrap().unwrap();
        assert_eq!([&*said(None), &*said(Some("es-MX"))], [SPANISH; 2]);
        assert_eq!([&*said(Some("en")), &*said(Some("en-GB"))], [ENGLISH; 2]);
        assert_eq!(read("None", None), Ok(None));
    }

    #[test]
    fn the_operators_own_is_played_as_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sorry.ulaw");
        let read = |contents: &[u8]| {
            std::fs::write(&path, contents).unwrap();
            read(path.to_str().unwrap(), None)
        };
        assert_eq!(read(&[0xFE; 1_601]).unwrap().unwrap().len(), 1_601);
        assert!(read(&vec![0xFE; 160_000]).is_ok());
        let wav = [&b"RIFF\x24\0\0\0WAVEfmt "[..], &[0xFE; 8_000]].concat();
        let text = "# Lo sentimos: nuestro asistente no está disponible\n".repeat(100);
        for wrong in [&b""[..], &[0xFE; 1_599], &vec![0xFE; 160_001], &wav, text.as_bytes()] {
            assert_eq!(read(wrong), Err(1), "{} bytes", wrong.len());
        }
        assert_eq!(self::read("/nowhere/sorry.ulaw", None), Err(1));
        assert_eq!(self::read(folder.path().to_str().unwrap(), None), Err(1), "a folder");
    }
}
