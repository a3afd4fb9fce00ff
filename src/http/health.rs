//! `/health`: whether the daemon does what it is there for. Open to monitors without a token, so it tells
//! nothing about anybody.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{NoQuery, Params};
use super::recordings::json;
use super::{Api, Problem};
use crate::recordings::index::Standing;

/// Less free than this and the next hour of a busy line may not fit.
const LOW_BYTES: u64 = 512 << 20;

/// What the recorder says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct RecorderHealth {
    /// Whether what is recorded reaches the disk.
    pub writing: bool,
    /// Recordings of running calls.
    pub live: usize,
    /// Recordings that wait to be finished or completed.
    pub unfinished: usize,
    /// Pieces (sound of 200 ms, deltas, words) that found no room since the start.
    pub missed: u64,
}

impl From<crate::recordings::Health> for RecorderHealth {
    fn from(health: crate::recordings::Health) -> Self {
        let crate::recordings::Health { writing, live, unfinished, missed } = health;
        Self { writing, live, unfinished, missed }
    }
}

/// How the daemon is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `degraded`: calls are served, but something needs a person.
    status: Status,
    /// The program's version.
    version: &'static str,
    /// Null where the API runs without the daemon.
    recorder: Option<RecorderHealth>,
    /// Where recordings are kept. Null if it cannot be asked, or hangs.
    disk: Option<Disk>,
    /// `ready`, `building` (a list may not show everything yet) or `closed`.
    #[schema(example = "ready")]
    index: &'static str,
    /// The deletion of old recordings (`RECORDING_RETENTION_DAYS`): `off`, `working`, or why they are kept although they
    /// seem old: `clock_unsynchronised` (no time server has set the machine's clock), `too_many` (more than half would
    /// go; `recordings purge --older-than … --yes` deletes them).
    #[schema(example = "working")]
    retention: &'static str,
}

/// Whether somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Ok,
    /// Calls are served, but something needs a person.
    Degraded,
}

/// A file system.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Disk {
    /// Free for us.
    free_bytes: u64,
    /// All of it.
    total_bytes: u64,
    /// Whether nothing can be written to it.
    read_only: bool,
}

/// How the daemon is.
#[utoipa::path(
    get, path = "/health", operation_id = "get_health", tag = "daemon", security(()),
    responses(
        (status = 200, description = "All is well", body = Health),
        (status = 503, description = "Calls are served, but something needs a person", body = Health),
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
        && index != Standing::Closed
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

/// The file system of a folder, or of the nearest one above that is there.
fn disk(folder: &std::path::Path) -> Option<Disk> {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(std::path::Path::new("."));
    let stat = rustix::fs::statvfs(there).ok()?;
    Some(Disk {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        read_only: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}
