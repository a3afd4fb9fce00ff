//! `doctor`: checks everything that a call needs, and says what fails and how to correct it.
//!
//! ```text
//!  config::Survey ─► machine, service, agents, asterisk, … ─► facts ─► judge ─► findings ─► report
//!                     (all at once, each with its time limit)              (pure)    (words)
//! ```
//! The doctor places no call, leaves the events of a running daemon alone, sends the model no audio, and deletes
//! everything that it creates.
//!
//! | file | what |
//! |---|---|
//! | `machine`, `service`, `agents`, `asterisk`, `media`, `openai`, `sip` | the checks of the machine, the running daemon, the servers of tools, Asterisk, the audio and OpenAI, and calls by SIP |
//! | `tally` | the packets of one direction, counted |
//! | `facts` | the results of the checks, as data |
//! | `judge`, `obstacles` | what the results mean; what the reasons of `/ready` mean |
//! | `findings`, `sip_findings`, `words` | the texts of the findings, and the parts of the texts |
//! | `report` | how findings are printed |

mod agents;
mod asterisk;
mod facts;
mod findings;
mod judge;
mod machine;
mod media;
mod obstacles;
mod openai;
mod report;
mod service;
mod sip;
mod sip_findings;
mod tally;
mod words;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use rustls::ClientConfig;
use tokio::time::timeout;

use crate::clock::wall;
use crate::config::{Parts, Survey};
use crate::net::tls;
use crate::operator::Language;
use crate::output::print;
use crate::peers::ari_rest;
use facts::{Asterisk, Facts, Machine, Media, MediaFault};
use words::Status;

/// The exit code if a check fails.
pub const FAILED: u8 = 2;
/// The time limit of the checks of this machine. A larger value waits longer for a hanging disk; a smaller value
/// skips these checks on a slow disk.
const DISK_LIMIT: Duration = Duration::from_secs(5);

/// The operator's language, from `LOG_LANGUAGE`.
#[must_use]
pub fn language() -> Language {
    Survey::load().language
}

/// Runs all checks, prints the findings, and returns the exit code: 0 if all is well, 1 if there are warnings, 2 if
/// something fails. On `stop` the function deletes what it created in Asterisk and returns without a report.
///
/// # Errors
/// Returns an error if no check is possible (no trust store), or if stdout cannot be written.
pub async fn run(json: bool, stop: impl Future<Output = ()>) -> anyhow::Result<u8> {
    let survey = Survey::load();
    let language = survey.language;
    let tls = tls::client_config().context("the system's trust store")?;
    let Some(facts) = gather(survey, &tls, stop).await? else { return Ok(FAILED) };
    let findings = judge::findings(&facts);
    let text = if json { report::json(&findings, language) } else { report::text(&findings, language) };
    print(&text)?;
    Ok(match report::worst(&findings) {
        Status::Ok | Status::Note => 0,
        Status::Warning => 1,
        Status::Failure => FAILED,
    })
}

/// Runs all checks at the same time. None: `stop` came first.
async fn gather(
    survey: Survey,
    tls: &Arc<ClientConfig>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Option<Facts>> {
    let parts = survey.parts.clone();
    let stop = stop.shared();
    let others = async {
        let looked = async {
            {
                tokio::join!(
                    machine_of(&parts),
                    service_of(&parts),
                    openai_of(&parts, tls),
                    agents_of(&parts),
                    sip_of(&parts, tls)
                )
            }
        };
        tokio::select! { looked = looked => Some(looked), () = stop.clone() => None }
    };
    let (others, of_asterisk) = tokio::join!(others, asterisk_of(&parts, tls, stop.clone()));
    let (asterisk, media) = of_asterisk?;
    let (Some((machine, daemon, openai, agents, sip)), None) = (others, stop.now_or_never()) else {
        return Ok(None);
    };
    let today = wall().date_naive();
    Ok(Some(Facts { survey, today, machine, daemon, asterisk, media, openai: openai?, agents, sip: sip? }))
}

async fn machine_of(parts: &Parts) -> Machine {
    let parts = parts.clone();
    let looked = tokio::task::spawn_blocking(move || machine::look(&parts));
    timeout(DISK_LIMIT, looked).await.ok().and_then(Result::ok).unwrap_or_default()
}

async fn service_of(parts: &Parts) -> Option<facts::Daemon> {
    service::look(parts.archive.as_ref()?.api.listen).await
}

async fn openai_of(parts: &Parts, tls: &Arc<ClientConfig>) -> anyhow::Result<Option<facts::OpenAi>> {
    match &parts.realtime {
        Some(config) => openai::look(config, tls).await.map(Some),
        None => Ok(None),
    }
}

async fn agents_of(parts: &Parts) -> Option<facts::Agents> {
    let agents = parts.agents.as_ref().filter(|agents| !agents.all.is_empty())?;
    Some(agents::look(agents).await)
}

async fn sip_of(parts: &Parts, tls: &Arc<ClientConfig>) -> anyhow::Result<Option<facts::Sip>> {
    match (&parts.sip, &parts.realtime) {
        (Some(sip), Some(realtime)) if sip.is_on() => {
            sip::look(sip, realtime, parts.asterisk.as_ref(), tls).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// Checks Asterisk and, if ARI answers, measures RTP through Asterisk.
async fn asterisk_of(
    parts: &Parts,
    tls: &Arc<ClientConfig>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<(Option<Asterisk>, Option<Media>)> {
    let Some(config) = &parts.asterisk else { return Ok((None, None)) };
    let rest = ari_rest(config, tls)?;
    let of_ari = async {
        let version = asterisk::version_of(&rest).await;
        if version.is_err() {
            return (version, None, parts.media.as_ref().map(unmeasured));
        }
        let sound = async {
            match &parts.media {
                Some(media) => Some(media::measure(&rest, config, media, tls, stop).await),
                None => None,
            }
        };
        let (modules, media) = tokio::join!(asterisk::modules(&rest), sound);
        (version, Some(modules), media)
    };
    let ((version, modules, media), outside) = tokio::join!(of_ari, asterisk::outside(config));
    Ok((Some(Asterisk { version, modules, ..outside }), media))
}

fn unmeasured(config: &crate::config::MediaConfig) -> Media {
    Media {
        local_ip: config.local_ip,
        ports: config.ports.clone(),
        asterisk: Vec::new(),
        outcome: Err(MediaFault::NoAri),
        elsewhere: None,
        trust: config.trust,
        left: Vec::new(),
    }
}
