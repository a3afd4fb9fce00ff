//! Turns the facts into findings. The function is pure: the same facts give the same report. `sip` judges calls by SIP.

mod sip;

use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};

use super::facts::{
    Agents, Api, AriFault, Asterisk, Daemon, Dialplan, Disk, Facts, Listed, Machine, Media, MediaFault,
    OpenAi, OpenFiles, Presence, Session, Tally, WritablePath,
};
use super::findings::Finding;
use super::words::{Both, Decimal, InBrackets, Status};
use crate::call::source::Trust;
use crate::config::{CallsConfig, Survey};
use crate::operator::{Detail, Level, LinkFault, Notice};
use crate::realtime::error::Refusal;

/// The modules without which no call is served. `bridge_simple` relays the audio packet by packet, and
/// `chan_rtp` needs `res_rtp_asterisk`.
const MODULES: [&str; 13] = [
    "app_stasis.so",
    "bridge_simple.so",
    "chan_rtp.so",
    "res_ari.so",
    "res_ari_applications.so",
    "res_ari_asterisk.so",
    "res_ari_bridges.so",
    "res_ari_channels.so",
    "res_ari_events.so",
    "res_http_websocket.so",
    "res_rtp_asterisk.so",
    "res_stasis.so",
    "res_stasis_answer.so",
];
/// The modules without which only callers with ulaw are served.
const CODECS: [&str; 1] = ["codec_ulaw.so"];
/// The module without which Asterisk cannot tell whether a place of the dialplan exists. Without it no caller
/// is sent to any place.
const PLACES: &str = "func_dialplan.so";
/// The first version of Asterisk with ExternalMedia, 16.6.
const OLDEST: (u32, u32) = (16, 6);
/// The connections to Asterisk's HTTP server that should be available: the daemon's requests and its event
/// WebSocket, and some for other programs. A larger value warns of limits that suffice; a smaller value
/// misses limits that are too low.
const HTTP_SESSIONS: u32 = 40;

/// The free space below which the disk counts as low, in bytes: one day of a line that is always in use, at
/// 1.52 MB a minute (measured, see README). A larger value warns of disks that last for weeks; a smaller
/// value warns later.
const LOW_BYTES: u64 = 2_200_000_000;
/// The free space below which the disk counts as full, in bytes: about one hour of such a line.
const FULL_BYTES: u64 = 100_000_000;
/// The file descriptors of a call: the RTP socket, the session, three files and the lock of the recording,
/// and two in reserve for the moment in which the recording is completed. A larger value warns of limits that
/// suffice; a smaller value misses limits that are too low.
const FILES_PER_CALL: u64 = 8;
/// The file descriptors of the daemon without a call (about 30): log, index, API, connections to Asterisk and
/// the runtime. A larger value warns of limits that suffice; a smaller value misses limits that are too low.
const FILES_AT_REST: u64 = 64;

/// The fraction of lost packets above which callers hear occasional clicks.
const LOSS_HEARD: f64 = 0.02;
/// The fraction of lost packets above which words are missing.
const LOSS_UNBEARABLE: f64 = 0.2;
/// The jitter above which the network counts as troubled. The jitter buffer of a telephone holds about 60 ms,
/// and half of that leaves no reserve.
const JITTER_HIGH: Duration = Duration::from_millis(30);

/// The number of days before the shutdown of a model from which on the doctor warns. A larger value warns
/// earlier; a smaller value leaves less time to change the model.
const NEAR_DAYS: i64 = 90;
/// The tolerated difference of the clocks. TLS tolerates minutes, but logs and recordings are compared with
/// those of other machines.
const CLOCK_SLACK: TimeDelta = TimeDelta::seconds(30);

/// All findings in the order of the report.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = variables(&facts.survey);
    findings.extend(facts.agents.iter().flat_map(of_agents));
    findings.extend(machine(&facts.machine));
    findings.extend(facts.daemon.iter().flat_map(daemon));
    match &facts.asterisk {
        Some(asterisk) => findings.extend(of_asterisk(asterisk, &naming_places(&facts.survey))),
        None => findings.push(Finding::AriUnchecked),
    }
    match (&facts.media, &facts.asterisk) {
        (Some(media), Some(asterisk)) => findings.extend(of_media(media, asterisk)),
        _ => findings.push(Finding::RtpUnchecked),
    }
    match &facts.openai {
        Some(openai) => findings.extend(of_openai(openai, facts.today)),
        None => findings.push(Finding::KeyUnchecked),
    }
    findings.extend(facts.sip.iter().flat_map(sip::findings));
    let running = facts.asterisk.as_ref().and_then(|asterisk| asterisk.modules.as_ref()?.as_ref().ok());
    findings.extend(facts.sip.as_ref().zip(running).and_then(|(sip, running)| sip::modules(sip, running)));
    findings.push(clock(facts.openai.as_ref().and_then(|openai| openai.clock_ahead)));
    findings.sort_by_key(Finding::check);
    findings
}

fn variables(survey: &Survey) -> Vec<Finding> {
    let wrong = survey.problems.iter().cloned().map(|notice| Finding::VariableWrong { notice });
    let mut findings: Vec<_> = wrong.collect();
    if findings.is_empty() {
        findings.push(Finding::VariablesRight);
    }
    if survey.parts.calls.as_ref().is_some_and(CallsConfig::spends_without_limit) {
        findings.push(Finding::VariableDoubtful { notice: Notice::SpendingUnlimited });
    }
    let remarks = survey.remarks.iter().chain(&survey.parts.remarks).cloned();
    findings.extend(remarks.map(|notice| match notice.level() {
        Level::Info => Finding::VariableNoted { notice },
        Level::Warn => Finding::VariableDoubtful { notice },
        Level::Error => Finding::VariableWrong { notice },
    }));
    findings
}

fn of_agents(agents: &Agents) -> Vec<Finding> {
    let servers = agents.servers.iter().cloned().map(|(server, found)| match found {
        Presence::There => Finding::ToolServerThere { server },
        Presence::Away(cause) => Finding::ToolServerAway { server, cause },
        Presence::NotExecutable => Finding::ToolProgramUnusable { program: server },
    });
    [Finding::AgentsRight { agents: agents.count }].into_iter().chain(servers).collect()
}

fn machine(machine: &Machine) -> Vec<Finding> {
    let mut findings = Vec::new();
    if machine.is_root {
        findings.push(Finding::RunAsRoot);
    }
    findings.extend(machine.log.as_ref().map(|WritablePath { path, writable }| {
        let path = path.display().to_string();
        match writable.clone() {
            Ok(()) => Finding::LogWritable { path },
            Err(cause) => Finding::LogUnwritable { path, cause },
        }
    }));
    findings.extend(machine.recordings.as_ref().map(|WritablePath { path, writable }| {
        let path = path.display().to_string();
        match writable.clone() {
            Ok(()) => Finding::RecordingsWritable { path },
            Err(cause) => Finding::RecordingsUnwritable { path, cause },
        }
    }));
    // If the folder itself is not writable, the finding about the folder says enough.
    let folder_is_writable = machine.recordings.as_ref().is_none_or(|place| place.writable.is_ok());
    if let Some(WritablePath { path, writable: Err(cause) }) = &machine.index
        && folder_is_writable
    {
        let (path, cause) = (path.display().to_string(), cause.clone());
        findings.push(Finding::IndexUnwritable { path, cause });
    }
    findings.extend(machine.disks.iter().map(disk));
    findings.extend(machine.open_files.map(open_files));
    findings
}

fn disk(Disk { path, free_bytes }: &Disk) -> Finding {
    let path = path.display().to_string();
    match free_bytes {
        Err(cause) => Finding::DiskUnknown { path, cause: cause.clone() },
        Ok(bytes) => {
            let free_gb = Decimal(*bytes as f64 / 1e9);
            match bytes {
                ..FULL_BYTES => Finding::DiskFull { path, free_gb },
                ..LOW_BYTES => Finding::DiskLow { path, free_gb },
                _ => Finding::DiskRoomy { path, free_gb },
            }
        }
    }
}

fn open_files(OpenFiles { limit, calls }: OpenFiles) -> Finding {
    let needed = FILES_AT_REST + calls * FILES_PER_CALL;
    if limit >= needed {
        return Finding::OpenFilesEnough { limit, calls };
    }
    let enough_for = limit.saturating_sub(FILES_AT_REST) / FILES_PER_CALL;
    Finding::OpenFilesFew { limit, calls, enough_for, needed }
}

fn daemon(daemon: &Daemon) -> Vec<Finding> {
    let address = daemon.address.to_string();
    let (version, well, reasons) = match daemon.answer.clone() {
        Api::Silent => return vec![Finding::DaemonAbsent { address }],
        Api::Foreign => return vec![Finding::ApiTaken { address }],
        Api::Daemon { version, well, reasons } => (version, well, reasons),
    };
    let mut findings = match reasons.status() {
        Status::Failure => vec![Finding::DaemonServesNobody { address: address.clone(), reasons }],
        Status::Warning => vec![Finding::DaemonNotReady { address: address.clone(), reasons }],
        Status::Ok | Status::Note => Vec::new(),
    };
    if !well {
        findings.push(Finding::DaemonDegraded { address });
    } else if findings.is_empty() {
        findings.push(Finding::DaemonRuns { address, version });
    }
    findings
}

/// The variables that are set and name places of the dialplan.
fn naming_places(survey: &Survey) -> Vec<&'static str> {
    let Some(CallsConfig { fallback, destinations, .. }) = &survey.parts.calls else { return Vec::new() };
    let fallback = fallback.as_ref().map(|_| "FALLBACK_CONTEXT");
    let transfer = (!destinations.is_empty()).then_some("TRANSFER_DESTINATIONS");
    fallback.into_iter().chain(transfer).collect()
}

/// `naming_places` is the result of the function of the same name.
fn of_asterisk(asterisk: &Asterisk, naming_places: &[&'static str]) -> Vec<Finding> {
    let address = asterisk.address.clone();
    let mut findings = match asterisk.version.clone() {
        Ok(version) => vec![Finding::AriAnswers { address }, age(version)],
        Err(AriFault::Credentials) => {
            vec![Finding::AriCredentials { address, user: asterisk.user.clone() }]
        }
        Err(AriFault::Certificate(cause)) => vec![Finding::AriCertificate { address, cause }],
        Err(AriFault::Status(status)) => vec![Finding::AriOff { address, status }],
        Err(AriFault::Unreachable(cause)) => vec![Finding::AriUnreachable { address, cause }],
    };
    if let Some(limit) = asterisk.session_limit.filter(|limit| *limit < HTTP_SESSIONS) {
        findings.push(Finding::SessionLimitLow { limit, needed: HTTP_SESSIONS });
    }
    match &asterisk.modules {
        None => {}
        Some(Err(cause)) => findings.push(Finding::ModulesUnlisted { cause: cause.clone() }),
        Some(Ok(running)) => findings.extend(modules(running, naming_places)),
    }
    findings.push(dialplan(&asterisk.dialplan, &asterisk.app));
    findings
}

/// Judges a version such as `16.28.0~dfsg-0+deb11u4`, `certified/18.9-cert4` or `GIT-master-1a2b3c`.
fn age(version: Detail) -> Finding {
    let text = version.to_string();
    let number = text.trim_start_matches("certified").trim_start_matches(['/', '-']);
    let mut parts = number.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), minor) = (parts.next(), parts.next()) else {
        return Finding::AsteriskUnknown { version };
    };
    match minor {
        Some(Ok(minor)) if (major, minor) < OLDEST => Finding::AsteriskOld { version },
        _ if major < OLDEST.0 => Finding::AsteriskOld { version },
        _ => Finding::AsteriskNew { version },
    }
}

fn modules(running: &[String], naming_places: &[&'static str]) -> Vec<Finding> {
    let missing = |names: &[&'static str]| {
        let names = names.iter().filter(|name| !running.iter().any(|module| module == *name));
        names.copied().collect::<Vec<_>>()
    };
    let (needed, codecs) = (missing(&MODULES), missing(&CODECS));
    let mut findings = Vec::new();
    if needed.is_empty() {
        findings.push(Finding::ModulesThere { count: MODULES.len() });
    } else {
        findings.push(Finding::ModulesMissing { names: needed.join(", ") });
    }
    if !codecs.is_empty() {
        findings.push(Finding::ModulesWanting { names: codecs.join(", ") });
    }
    if !naming_places.is_empty() && !missing(&[PLACES]).is_empty() {
        findings.push(Finding::PlacesUnknown { module: PLACES, variables: naming_places.join(", ") });
    }
    findings
}

fn dialplan(dialplan: &Dialplan, app: &str) -> Finding {
    let name = app.to_owned();
    let (apps, unclear) = match dialplan {
        Dialplan::Hidden(cause) => return Finding::DialplanHidden { app: name, cause: cause.clone() },
        Dialplan::Seen { apps, unclear } => (apps, unclear),
    };
    if let Some((_, places)) = apps.iter().find(|(called, _)| called == app) {
        return Finding::DialplanEnters { app: name, places: *places };
    }
    if let Some(cause) = unclear.clone() {
        return Finding::DialplanHidden { app: name, cause };
    }
    let others: Vec<_> = apps.iter().map(|(called, _)| format!("Stasis({called})")).collect();
    Finding::DialplanNever { app: name, others: in_brackets(&others) }
}

fn in_brackets(texts: &[String]) -> InBrackets {
    InBrackets((!texts.is_empty()).then(|| texts.join(", ")))
}

fn of_media(media: &Media, asterisk: &Asterisk) -> Vec<Finding> {
    let mut findings = vec![ports(media, asterisk), sound(media)];
    if !media.left.is_empty() {
        let (address, names) = (asterisk.address.clone(), media.left.join(", "));
        findings.push(Finding::RtpLeft { address, names });
    }
    findings
}

/// Whether the RTP ports of Asterisk and of the program overlap: the configured ranges overlap, or Asterisk
/// was seen to use a port of RTP_PORTS.
fn ports(media: &Media, asterisk: &Asterisk) -> Finding {
    let ours = || range(&media.ports);
    let theirs = || {
        let seen: Vec<_> = media.asterisk.iter().map(|address| address.port().to_string()).collect();
        asterisk.rtp_ports.as_ref().map_or_else(|| seen.join(", "), range)
    };
    let seen_among_ours = media.asterisk.iter().any(|address| media.ports.contains(&address.port()));
    let settings_overlap = asterisk
        .rtp_ports
        .as_ref()
        .map(|theirs| media.ports.start() <= theirs.end() && theirs.start() <= media.ports.end());
    match settings_overlap {
        // The name of the host may not even be resolved.
        _ if !asterisk.is_here && asterisk.version.is_err() => Finding::PortsUnseen,
        _ if !asterisk.is_here => Finding::PortsElsewhere,
        Some(true) => Finding::PortsOverlap { ours: ours(), theirs: theirs() },
        _ if seen_among_ours => Finding::PortsOverlap { ours: ours(), theirs: theirs() },
        None if media.asterisk.is_empty() => Finding::PortsUnseen,
        Some(false) | None => Finding::PortsApart { ours: ours(), theirs: theirs() },
    }
}

fn range(ports: &RangeInclusive<u16>) -> String {
    format!("{}-{}", ports.start(), ports.end())
}

fn sound(media: &Media) -> Finding {
    let local = media.local_ip.to_string();
    let [there, back] = match media.outcome.clone() {
        Ok(tallies) => tallies,
        Err(fault) => return unmeasured(fault, local, &media.ports),
    };
    let came = Both([there, back].map(|tally| (tally.received, tally.sent)));
    let (sent, received) = (there.sent + back.sent, there.received + back.received);
    let lost = f64::from(sent - received) / f64::from(sent.max(1));
    let lost_percent = Decimal(lost * 100.0);
    let jitter = there.jitter.max(back.jitter);
    let jitter_ms = Decimal(jitter.as_secs_f64() * 1e3);
    let nothing = |tally: Tally| tally.received == 0;
    if let Some((named, source)) = media.elsewhere
        && media.trust == Trust::Strict
    {
        Finding::RtpSourceRefused { named: named.to_string(), source: source.to_string() }
    } else if nothing(there) && nothing(back) {
        let asterisk: Vec<_> = media.asterisk.iter().map(ToString::to_string).collect();
        Finding::RtpSilent { local, asterisk: asterisk.join(", ") }
    } else if nothing(there) || nothing(back) {
        Finding::RtpOneWay { came }
    } else if lost > LOSS_UNBEARABLE {
        Finding::RtpTorn { came, lost_percent }
    } else if lost > LOSS_HEARD {
        Finding::RtpLossy { came, lost_percent }
    } else if jitter > JITTER_HIGH {
        Finding::RtpJittery { came, jitter_ms }
    } else if let Some((named, source)) = media.elsewhere {
        Finding::RtpSourceLearned { came, named: named.to_string(), source: source.to_string() }
    } else {
        let delay_ms = Decimal(there.delay.max(back.delay).as_secs_f64() * 1e3);
        Finding::RtpFlows { came, jitter_ms, delay_ms }
    }
}

fn unmeasured(fault: MediaFault, local: String, ports: &RangeInclusive<u16>) -> Finding {
    match fault {
        MediaFault::NoAri => Finding::RtpUnchecked,
        MediaFault::NotOurs { cause, instead } => {
            let instead = InBrackets(instead.map(|address| address.to_string()));
            Finding::RtpNotOurs { local, cause, instead }
        }
        MediaFault::NoPort => Finding::RtpNoPort { ports: range(ports) },
        MediaFault::Events(cause) => Finding::RtpNoEvents { cause },
        MediaFault::Unregistered => Finding::RtpUnregistered,
        MediaFault::Refused { step, status, message } => {
            Finding::RtpRefused { step: step.name(), status, message }
        }
        MediaFault::ForeignSource { named, source } => {
            Finding::RtpSourceForeign { named: named.to_string(), source: source.to_string() }
        }
        MediaFault::ForeignAddress(address) => Finding::RtpAddressRefused { address: address.to_string() },
        MediaFault::Stalled(step) => Finding::RtpStalled { step: step.name() },
    }
}

fn of_openai(openai: &OpenAi, today: NaiveDate) -> Vec<Finding> {
    let host = openai.host.clone();
    let mut findings = Vec::new();
    match openai.list.clone() {
        Listed::Models(models) => {
            findings.push(Finding::KeyValid { host });
            findings
                .extend(openai.models.iter().map(|(variable, model)| fate(variable, model, &models, today)));
        }
        Listed::NoList => findings.push(Finding::ModelsUnlisted { host }),
        Listed::Unreachable(cause) => findings.push(Finding::ServerUnreachable { host, cause }),
        Listed::Status { status, code, refusal, message } => findings.push(match (refusal, status) {
            (Some(Refusal::Key), _) => Finding::KeyRefused { host, message },
            (Some(Refusal::Quota), _) => Finding::KeyWithoutCredit { message },
            (Some(Refusal::Other | Refusal::Model | Refusal::BetaDialect), _) => {
                Finding::ModelsUnlisted { host }
            }
            (Some(refusal), _) => {
                Finding::AccessRefused { notice: refusal.notice("", LinkFault::Http { status, code }) }
            }
            (None, 429) => Finding::KeyThrottled { message },
            (None, 400..500) => Finding::ModelsUnlisted { host },
            (None, _) => Finding::ServerTroubled { host, status, message },
        }),
    }
    findings.push(session(&openai.session));
    findings
}

/// Judges a configured model by the list of models.
fn fate(
    variable: &'static str,
    model: &str,
    models: &[(String, Option<String>)],
    today: NaiveDate,
) -> Finding {
    let is_speech = variable == "OPENAI_REALTIME_MODEL";
    let name = model.to_owned();
    let Some((_, end)) = models.iter().find(|(id, _)| id == model) else {
        if !is_speech {
            return Finding::TranscriptionMissing { variable, model: name };
        }
        let similar = models.iter().map(|(id, _)| id).filter(|id| id.contains("realtime"));
        let similar: Vec<_> = similar.take(6).cloned().collect();
        return Finding::ModelMissing { variable, model: name, similar: in_brackets(&similar) };
    };
    let Some(date) = end.clone() else { return Finding::ModelLives { model: name } };
    // A date that cannot be read counts as today, so that the doctor warns.
    let end = date.parse::<NaiveDate>().unwrap_or(today);
    match (end - today).num_days() {
        ..0 => Finding::ModelEnded { variable, model: name, date },
        days @ 0..=NEAR_DAYS => Finding::ModelEnds { variable, model: name, date, days },
        _ => Finding::ModelEndsLater { model: name, date },
    }
}

fn session(session: &Session) -> Finding {
    match session.clone() {
        Session::Configured { took, others } if others.to_string().is_empty() => {
            Finding::SessionOpens { took_ms: took.as_millis() as u64 }
        }
        Session::Configured { others, .. } => Finding::SessionDiffers { paths: others },
        Session::WrongFormats(paths) => Finding::SessionFormats { paths },
        Session::Refused(notice) => Finding::SessionRefused { notice },
        Session::Lost(cause) if has_answered(&cause) => Finding::SessionUnserved { cause },
        Session::Lost(cause) => Finding::SessionLost { cause },
        Session::Late(limit) => Finding::SessionLate { seconds: limit.as_secs() },
    }
}

/// Whether the server itself answered, so that the network is not to blame. A status below 500 other than 429 comes
/// from the way to the server, for example from a proxy.
const fn has_answered(cause: &LinkFault) -> bool {
    match cause {
        LinkFault::Http { status, .. } => *status == 429 || *status >= 500,
        LinkFault::Told(_) | LinkFault::Closed { .. } => true,
        LinkFault::Broken
        | LinkFault::TooSlow
        | LinkFault::Unanswered
        | LinkFault::Late { .. }
        | LinkFault::System(_) => false,
    }
}

fn clock(ahead: Option<TimeDelta>) -> Finding {
    match ahead {
        None => Finding::ClockUnknown,
        Some(ahead) if ahead > CLOCK_SLACK => Finding::ClockAhead { seconds: ahead.num_seconds() },
        Some(ahead) if ahead < -CLOCK_SLACK => Finding::ClockBehind { seconds: -ahead.num_seconds() },
        Some(_) => Finding::ClockRight,
    }
}

#[cfg(test)]
mod tests;
