//! Makes the configuration from its variables: checks each of them, and whether they fit together.
//!
//! This module reads only the variables that it is given and the files that they name. Each section reads all of its
//! variables before it gives up because of one (`?`), so that one run finds all problems.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::agents::agents;
use super::archive::archive;
use super::calls::calls;
use super::media::{self, media};
use super::reader::Reader;
use super::realtime::realtime;
use super::recordings::recordings;
use super::sip::sip;
use super::{
    AsteriskConfig, Config, LogConfig, Parts, Problem, RealtimeConfig, RecordingsConfig, Secret, Variables,
    log_directives,
};
use super::{prices, privacy};
use crate::operator::{Allowed, Language};

/// Returns the configuration that `variables` make, or everything that is wrong with them.
pub(super) fn assemble(variables: Variables<'_>) -> Result<Config, Vec<Problem>> {
    let Assembled { parts, problems, .. } = parts(variables);
    match parts.whole() {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems),
    }
}

/// Everything that can be made of the variables.
pub(super) struct Assembled {
    /// Every section that has no problem.
    pub(super) parts: Parts,
    /// All problems of the other sections.
    pub(super) problems: Vec<Problem>,
    /// The value in force of each variable, as text. A variable that is missing or has an unusable value is absent.
    pub(super) in_force: BTreeMap<&'static str, String>,
}

/// Assembles all sections.
pub(super) fn parts(variables: Variables<'_>) -> Assembled {
    let mut reader = Reader::new(variables);
    let asterisk = asterisk(&mut reader);
    let realtime = realtime(&mut reader);
    let media = media(&mut reader);
    let language = reader.word("LOG_LANGUAGE");
    let log = log(&mut reader, language);
    let calls = calls(&mut reader, realtime.as_ref().and_then(RealtimeConfig::callers_language));
    let recordings = recordings(&mut reader, language);
    let archive = archive(&mut reader, recordings.as_ref().map(|recordings| recordings.folder.as_path()));
    let sip = sip(&mut reader);
    let uplink_frames_per_append = reader.integer("UPLINK_FRAMES_PER_APPEND", 1..=5);
    let shutdown_grace = reader.integer("SHUTDOWN_GRACE_SECONDS", 0..=3600).map(Duration::from_secs);
    if let (Some(realtime), Some(calls)) = (&realtime, &calls) {
        reader.remarks.extend(prices::remarks(realtime, calls));
    }
    if let (Some(media), Some(calls)) = (&media, &calls) {
        reader.remarks.extend(media::remark(media, calls));
    }
    let agents = agents(&mut reader, variables);
    let places = [
        asterisk.as_ref().and_then(|asterisk| privacy::of_asterisk(asterisk, media.as_ref())),
        realtime.as_ref().and_then(privacy::of_realtime),
        archive.as_ref().and_then(privacy::of_call_log),
    ];
    reader.remarks.extend(places.into_iter().flatten());
    let Reader { problems, remarks, in_force, .. } = reader;
    let parts = Parts {
        asterisk,
        media,
        realtime,
        uplink_frames_per_append,
        calls,
        recordings,
        archive,
        log,
        sip,
        shutdown_grace,
        agents,
        remarks,
    };
    Assembled { parts, problems, in_force }
}

/// Assembles the sections that concern recordings, or returns everything that is wrong with them.
pub(super) fn recordings_only(variables: Variables<'_>) -> Result<RecordingsConfig, Vec<Problem>> {
    let mut reader = Reader::new(variables);
    let language = reader.word("LOG_LANGUAGE");
    let recordings = recordings(&mut reader, language);
    let archive = archive(&mut reader, recordings.as_ref().map(|recordings| recordings.folder.as_path()));
    match (recordings, archive) {
        (Some(recordings), Some(archive)) if reader.problems.is_empty() => {
            Ok(RecordingsConfig { recordings, archive, remarks: reader.remarks })
        }
        _ => Err(reader.problems),
    }
}

fn asterisk(reader: &mut Reader<'_>) -> Option<AsteriskConfig> {
    let username = reader.parsed("ASTERISK_USERNAME", Allowed::UserName, |text| {
        (!text.contains(':')).then(|| text.to_owned())
    });
    let password = reader.text("ASTERISK_PASSWORD").map(Secret::new);
    let host = reader.parsed("ASTERISK_HOST", Allowed::Host, host);
    let port = reader.integer("ASTERISK_PORT", 1..=65535);
    let scheme = reader.word("ASTERISK_SCHEME");
    let app = reader.parsed("ASTERISK_APP", Allowed::Name, |text| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            .then(|| text.to_owned())
    });
    Some(AsteriskConfig {
        scheme: scheme?,
        host: host?,
        port: port?,
        username: username?,
        password: password?,
        app: app?,
    })
}

fn log(reader: &mut Reader<'_>, language: Option<Language>) -> Option<LogConfig> {
    let path = reader.path("LOG_FILE_PATH").map(PathBuf::from);
    let level = reader.parsed("LOG_LEVEL", Allowed::LogFilter, log_directives);
    Some(LogConfig { path: path?, language: language?, level: level? })
}

/// Parses a host name or an IP address. The result has no brackets around IPv6.
fn host(text: &str) -> Option<String> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let is_name =
        inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) && inner == text;
    (is_name || inner.parse::<IpAddr>().is_ok()).then(|| inner.to_owned())
}
