//! Sends audio over HTTP, whole or in part, in small pieces.
//!
//! Each piece is read (and decrypted) on a blocking thread when the connection has room for it. A download therefore
//! holds one piece in memory and never reads ahead of its client.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;

use super::conditional::{Validators, Verdict};
use super::on_disk;
use super::problem::Problem;
use super::range::{self, Wanted};
use crate::recordings::Audio;

/// The size of a piece in bytes. `age` encrypts in chunks of this size, so smaller pieces would be decrypted twice.
/// Larger pieces would occupy a core for longer at a time (this size for about 0.1 ms) while calls wait.
const PIECE: usize = 64 * 1024;

/// The rate of all downloads together, in bytes per second: sixteen minutes of a call each second. Without a limit,
/// one client on a fast line uses a whole core for the disk, the cipher and the sockets. Measured with fifty calls on
/// two cores that also ran the fakes (`tests/load.rs`), one frame in a hundred was later than 1.3 to 1.7 ms without a
/// download, 1.3 to 1.4 ms at 16 MiB/s, 1.5 ms at 32 MiB/s and 3 to 6 ms at 64 MiB/s. When other work kept both cores
/// busy, it was 2 to 9 ms without a download, 7 ms at 16 MiB/s and 15 to 18 ms at 64 MiB/s. Less than 16 MiB/s or
/// smaller pieces made no difference on a quiet machine.
const BYTES_PER_SECOND: u64 = 16 << 20;

/// Limits the rate of all downloads together. Clones share the limit and are cheap.
#[derive(Debug, Clone)]
pub struct Pace {
    clock: fn() -> Instant,
    /// When the next piece may be read.
    next: Arc<Mutex<Instant>>,
}

impl Pace {
    /// Creates a limit that starts now.
    #[must_use]
    pub fn new(clock: fn() -> Instant) -> Self {
        Self { clock, next: Arc::new(Mutex::new(clock())) }
    }

    /// Waits until a piece of this many bytes may be read.
    async fn turn(&self, bytes: u64) {
        let now = (self.clock)();
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(now);
            *next = turn + Duration::from_nanos(bytes * 1_000_000_000 / BYTES_PER_SECOND);
            turn
        };
        // Timers have a resolution of one millisecond, so a shorter wait is none.
        if turn > now + Duration::from_millis(1) {
            tokio::time::sleep_until(turn.into()).await;
        }
    }
}

/// A file that a route offers.
pub(super) struct Offer {
    /// The content of the file.
    pub(super) audio: Audio,
    /// The media type.
    pub(super) content_type: &'static str,
    /// The name under which a browser saves the file.
    pub(super) file_name: String,
}

/// Answers the request: 200 with the whole file, 206 with a part, 304, 412 or 416. `now` is the wall time.
pub(super) fn respond(
    method: &Method,
    headers: &HeaderMap,
    offer: Offer,
    pace: Pace,
    now: SystemTime,
) -> Result<Response, Problem> {
    let Offer { audio, content_type, file_name } = offer;
    let length = audio.len();
    let validators = validators(&audio, &file_name);
    match validators.verdict(method, headers) {
        Verdict::Met => {}
        Verdict::NotModified => {
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, value(validators.tag()))]).into_response());
        }
        Verdict::Failed => {
            let detail = "it is not in the state that the request is meant for";
            return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail));
        }
    }
    // RFC 9110, section 14.2: `Range` is defined for GET only.
    let is_meant = method == Method::GET && validators.range_is_meant(headers, now);
    let wanted = if is_meant { range::wanted(headers, length) } else { Wanted::Whole };
    let (status, first, count) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0, length),
        Wanted::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Wanted::Beyond => {
            let problem = Problem::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                format!("it has {length} bytes"),
            );
            return Err(problem.with(header::CONTENT_RANGE, value(&format!("bytes */{length}"))));
        }
    };
    let mut response = (status, body(audio, pace, first, count)).into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    out.insert(header::CONTENT_LENGTH, count.into());
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(header::ETAG, value(validators.tag()));
    if let Some(date) = validators.date() {
        out.insert(header::LAST_MODIFIED, value(&date));
    }
    out.insert(header::CONTENT_DISPOSITION, value(&format!("inline; filename=\"{file_name}\"")));
    if status == StatusCode::PARTIAL_CONTENT {
        out.insert(header::CONTENT_RANGE, value(&format!("bytes {first}-{}/{length}", first + count - 1)));
    }
    Ok(response)
}

fn validators(audio: &Audio, file_name: &str) -> Validators {
    let nanos = audio.modified().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    // The two voices of a recording have the same length and time, so the file name distinguishes their tags.
    let view: u32 = file_name.bytes().fold(0, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    Validators::new(format!("\"{:x}-{nanos:x}-{view:x}\"", audio.len()), Some(audio.modified()))
}

/// Streams `count` bytes from `first` on. If the file holds fewer, the connection breaks, so that no client mistakes
/// a part for the whole.
fn body(audio: Audio, pace: Pace, first: u64, count: u64) -> Body {
    let begin = (audio, pace, first, count);
    Body::from_stream(stream::try_unfold(begin, |(mut audio, pace, at, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        pace.turn(left.min(PIECE as u64)).await;
        let read = move || -> std::io::Result<(Audio, Vec<u8>)> {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            audio.seek(SeekFrom::Start(at))?;
            audio.read_exact(&mut piece)?;
            Ok((audio, piece))
        };
        // A disk that hangs breaks the connection like a disk that fails.
        let read = tokio::time::timeout(on_disk::WAIT, tokio::task::spawn_blocking(read));
        let (audio, piece) = read.await?.map_err(std::io::Error::other)??;
        let read = piece.len() as u64;
        Ok::<_, std::io::Error>(Some((Bytes::from(piece), (audio, pace, at + read, left - read))))
    }))
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("numbers, dates and ids are visible ASCII")
}
