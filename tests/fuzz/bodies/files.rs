//! What may be in the folder of the recordings, whoever put it there: the log of an unfinished recording,
//! audio, sealed pieces and their names.

use std::cell::RefCell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use openai_inbound_calls::call::record::Keep;
use openai_inbound_calls::media::wav;
use openai_inbound_calls::operator::Language;
use openai_inbound_calls::recordings::{Library, LibraryError, RecordingId, RecordingSettings, Side};
use tempfile::TempDir;

const ID: &str = "20251020_143025_1795180048.12";
/// An identity for these tests, which has sealed nothing but made-up audio.
const IDENTITY: &str = "AGE-SECRET-KEY-1VE6H57NFDENJQMMXYPKKZER9946HQGRJV43K7UNYD9HXWUEQXQCS7F6YQU";
/// More bytes than any input here can need on the disk.
const MOST_BYTES: u64 = 256 << 20;

/// A folder that is emptied for each input, and one for exported files.
struct Shelf {
    folder: TempDir,
    library: Library,
}

thread_local! {
    static SHELF: RefCell<Option<Shelf>> = const { RefCell::new(None) };
}

/// A folder in memory if there is one; otherwise these tests would mostly measure the disk.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder")
}

impl Shelf {
    fn new() -> Self {
        let folder = folder();
        let identity = IDENTITY.parse().expect("an identity");
        let library = Library::new(RecordingSettings {
            folder: folder.path().join("recordings"),
            keep: Keep::ALL,
            language: Language::English,
            recipient: None,
            identity: Some(Arc::new(identity)),
            retention_days: None,
        });
        Self { folder, library }
    }

    /// Calls `act` with an empty folder of recordings.
    fn with(act: impl FnOnce(&Self, &Path)) {
        SHELF.with_borrow_mut(|shelf| {
            let shelf = shelf.get_or_insert_with(Self::new);
            for name in ["recordings", "export"] {
                let path = shelf.folder.path().join(name);
                if path.exists() {
                    fs::remove_dir_all(&path).expect("it is ours");
                }
                fs::create_dir(&path).expect("it is ours");
            }
            act(shelf, shelf.library.folder());
        });
    }

    /// Asks for everything about the recording. No answer may be an error of the program itself.
    fn look(&self) {
        let id: RecordingId = ID.parse().expect("an id");
        let library = &self.library;
        assert_eq!(library.list().expect("the folder can be read").len(), 1);
        let fine = |error: LibraryError| {
            assert!(!matches!(error, LibraryError::NotFound | LibraryError::Io(_)), "{error}");
        };
        library.facts(&id).map_err(fine).ok();
        if let Ok(document) = library.conversation(&id) {
            let told: serde_json::Value = serde_json::from_str(&document.text).expect("JSON");
            assert_eq!(told["call_id"], "1795180048.12");
            assert!(told["conversation"].is_array() && told["duration_seconds"].is_number(), "{told}");
        }
        library.summary(&id).map_err(fine).ok();
        library.events(&id).map_err(fine).ok();
        let target = self.folder.path().join("export");
        library.export(&id, &target).map_err(fine).ok();
        let sizes =
            fs::read_dir(&target).expect("a folder").map(|file| file.and_then(|file| file.metadata()));
        let bytes: u64 = sizes.map(|size| size.expect("a file").len()).sum();
        assert!(bytes < MOST_BYTES, "{bytes} bytes");
    }
}

/// Writes a finished recording with this audio.
pub(crate) fn record(folder: &Path, id: &str, sound: &[u8]) {
    let conversation = serde_json::json!({
        "call_id": &id[16..], "start_time": "2025-10-20T14:30:25.123456", "end_time": "2025-10-20T14:30:26.123456",
        "duration_seconds": 1.0, "conversation": [], "total_messages": 0, "audio_chunks_count": 1,
        "utc_offset": "-05:00", "caller": "+573001234567", "called": "100", "end_reason": "caller_hung_up",
        "model": "m", "agent": "default", "interruptions": 0, "events": [], "recovered": false,
    });
    let write = |suffix: &str, bytes: &[u8]| {
        fs::write(folder.join(format!("{id}{suffix}")), bytes).expect("it can be written");
    };
    write("_audio.wav", sound);
    write("_conversation.json", conversation.to_string().as_bytes());
}

/// The log of a recording that a crash left unfinished.
pub(crate) fn event_log(bytes: &[u8]) {
    Shelf::with(|shelf, folder| {
        let live = folder.join(format!("{ID}.live"));
        fs::create_dir(&live).expect("a folder");
        fs::write(live.join("log.jsonl"), bytes).expect("a file");
        shelf.look();
    });
}

/// An audio file of a finished recording and of an unfinished one. The API must serve a WAV file of the
/// length that its header states.
pub(crate) fn wav_file(bytes: &[u8]) {
    Shelf::with(|shelf, folder| {
        record(folder, ID, bytes);
        let id: RecordingId = ID.parse().expect("an id");
        for (side, channels) in [(Side::Both, 2), (Side::Caller, 1), (Side::Assistant, 1)] {
            let mut audio = shelf.library.audio(&id, side).expect("it is there");
            let (told, mut read) = (audio.len(), Vec::new());
            audio.read_to_end(&mut read).expect("it can be read");
            assert_eq!((read.len() as u64, &read[..4], &read[8..12]), (told, &b"RIFF"[..], &b"WAVE"[..]));
            let number = |at: usize| u32::from_le_bytes(read[at..at + 4].try_into().expect("four bytes"));
            let sound = read.len() - wav::HEADER_BYTES;
            assert_eq!((number(4) as usize, number(54) as usize), (read.len() - 8, sound), "{side:?}");
            assert_eq!(
                (read[22], number(46) as usize),
                (channels, sound / usize::from(channels)),
                "{side:?}"
            );
        }
        fs::remove_file(folder.join(format!("{ID}_conversation.json"))).expect("it is ours");
        let live = folder.join(format!("{ID}.live"));
        fs::create_dir(&live).expect("a folder");
        fs::write(live.join("audio.wav"), bytes).expect("a file");
        shelf.look();
    });
}

/// Sealed pieces: each line is a name, a colon, and the content of the file, which is sealed if the line ends
/// in `!`.
pub(crate) fn sealed_pieces(bytes: &[u8]) {
    Shelf::with(|shelf, folder| {
        let live = folder.join(format!("{ID}.live"));
        fs::create_dir(&live).expect("a folder");
        for line in bytes.split(|byte| *byte == b'\n').take(6) {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, content) = (String::from_utf8_lossy(&line[..colon]), &line[colon + 1..]);
            if name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.') {
                continue;
            }
            let content = match content.split_last() {
                Some((b'!', plain)) => sealed(plain),
                _ => content.to_vec(),
            };
            // A name may be too long for a file.
            drop(fs::write(live.join(&*name), content));
        }
        shelf.look();
    });
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    let identity: age::x25519::Identity = IDENTITY.parse().expect("an identity");
    let recipient = identity.to_public();
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient));
    let mut writer = encryptor.expect("one recipient").wrap_output(Vec::new()).expect("memory");
    writer.write_all(plain).expect("memory");
    writer.finish().expect("memory")
}
