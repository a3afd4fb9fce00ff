//! `/health`: whether the daemon works as it should. Monitors may read it without a token, so the answer contains
//! nothing about any person.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::json;
use super::query::{NoQuery, Params};
use super::{Api, Problem};
use crate::recordings::index::IndexState;

/// Free disk space below which the health is `degraded`, in bytes. A smaller value warns too late: the recordings of
/// the next busy hour may not fit. A larger one warns when there is still room for hours.
const LOW_BYTES: u64 = 512 << 20;

/// The state of the recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct RecorderHealth {
    /// Whether recorded data reaches the disk.
    pub writing: bool,
    /// The number of recordings of running calls.
    pub live: usize,
    /// The number of recordings that wait to be finished after the call, or to be recovered after a crash.
    pub unfinished: usize,
    /// The number of pieces (200 ms of audio, model deltas, words) that were lost since the start because the
    /// recorder's queue was full.
    pub missed: u64,
}

impl From<crate::recordings::Health> for RecorderHealth {
    fn from(health: crate::recordings::Health) -> Self {
        let crate::recordings::Health { writing, live, unfinished, missed } = health;
        Self { writing, live, unfinished, missed }
    }
}

/// The health of the daemon.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `degraded`: calls are served, but a person should look at the daemon.
    status: Status,
    /// The version of the program.
    version: &'static str,
    /// The state of the recorder. Null if the API runs without the daemon.
    recorder: Option<RecorderHealth>,
    /// The file system that holds the recordings. Null if the file system cannot be examined or does not answer in
    /// time.
    disk: Option<Disk>,
    /// The state of the index of recordings: `ready`, `building` (lists may be incomplete) or `closed`.
    #[schema(example = "ready")]
    index: &'static str,
    /// The state of the deletion of old recordings (`RECORDING_RETENTION_DAYS`): `off`, `working`, or the reason why
    /// no recording is deleted: `clock_unsynchronised` (no time server has set the machine's clock) or `too_many`
    /// (more than half of the recordings would be deleted; `recordings purge --older-than … --yes` deletes them).
    #[schema(example = "working")]
    retention: &'static str,
}

/// Whether a person should look at the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything works.
    Ok,
    /// Calls are served, but a person should look at the daemon.
    Degraded,
}

/// The space on a file system.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Disk {
    /// The free space that the daemon can use, in bytes.
    free_bytes: u64,
    /// The size of the file system, in bytes.
    total_bytes: u64,
    /// Whether the file system is mounted read-only.
    read_only: bool,
}

/// Reports the health of the daemon.
#[utoipa::path(
    get, path = "/health", operation_id = "get_health", tag = "daemon", security(()),
    responses(
        (status = 200, description = "Everything works", body = Health),
        (status = 503, description = "Calls are served, but a person should look at the daemon", body = Health),
    )
)]
pub(super) async fn health(
    State(api): State<Api>,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Response, Problem> {
    let folder = api.0.library.folder().to_owned();
    let disk = api.2.look(move || disk(&folder)).await.flatten();
    let recorder = api.recorder();
    let index = api.index().standing();
    let retention = *api.0.retention.borrow();
    let well = recorder.is_none_or(|recorder| recorder.writing)
        && disk.is_some_and(|disk| !disk.read_only && disk.free_bytes >= LOW_BYTES)
        && index != IndexState::Closed
        && !retention.needs_a_person();
    let (code, status) =
        if well { (StatusCode::OK, Status::Ok) } else { (StatusCode::SERVICE_UNAVAILABLE, Status::Degraded) };
    let health = Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        recorder,
        disk,
        index: index.code(),
        retention: retention.code(),
    };
    Ok((code, json(&health)).into_response())
}

/// Examines the file system of a folder, or of its nearest ancestor that exists.
fn disk(folder: &std::path::Path) -> Option<Disk> {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(std::path::Path::new("."));
    let stat = rustix::fs::statvfs(there).ok()?;
    Some(Disk {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        read_only: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}
