//! Decides what takes effect when a running daemon reads its configuration again, and what needs a restart.
//!
//! These settings take effect for new calls: the session with the model, its prices, the frames per append, limits
//! and destinations, agents, what is recorded, the trusted sources and networks of audio, and the grace period of a stop. All
//! other settings belong to sockets, files and threads that already exist. Each struct is destructured by name, so
//! that a new setting does not compile until somebody decides what a reload does with it.

use super::{ApiConfig, ArchiveConfig, AsteriskConfig, Config, LogConfig, MediaConfig, SipConfig};
use crate::recordings::RecordingSettings;

impl Config {
    /// Takes over from `new` what can change. Returns the variables that differ and need a restart, grouped as in the
    /// table of variables.
    #[must_use = "the operator should hear of what was left alone"]
    pub fn reload(&mut self, new: Self) -> Vec<&'static str> {
        let Self {
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
            remarks: _,
        } = new;
        let differing = [
            fixed_in_asterisk(&self.asterisk, &asterisk),
            fixed_in_media(&self.media, &media),
            fixed_in_log(&self.log, &log),
            fixed_in_recordings(&self.recordings, &recordings),
            fixed_in_archive(self, &archive, &recordings),
            fixed_in_sip(&self.sip, &sip),
        ];
        self.media.trust = media.trust;
        self.media.media_networks = media.media_networks;
        self.recordings.keep = recordings.keep;
        self.realtime = realtime;
        self.uplink_frames_per_append = uplink_frames_per_append;
        self.calls = calls;
        self.shutdown_grace = shutdown_grace;
        self.agents = agents;
        self.sip.endpoint = sip.endpoint;
        if !self.sip.is_on() {
            // The webhook, without which OpenAI's calls would come to nothing, listens only after a restart.
            self.realtime.dial = None;
            self.agents.all.iter_mut().for_each(|agent| agent.realtime.dial = None);
        }
        differing.concat()
    }
}

/// The names of the rows that differ.
fn names<const N: usize>(rows: [(&'static str, bool); N]) -> Vec<&'static str> {
    rows.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

fn fixed_in_asterisk(old: &AsteriskConfig, new: &AsteriskConfig) -> Vec<&'static str> {
    let AsteriskConfig { scheme, host, port, username, password, app } = new;
    names([
        ("ASTERISK_USERNAME", old.username != *username),
        ("ASTERISK_PASSWORD", old.password != *password),
        ("ASTERISK_HOST", old.host != *host),
        ("ASTERISK_PORT", old.port != *port),
        ("ASTERISK_SCHEME", old.scheme != *scheme),
        ("ASTERISK_APP", old.app != *app),
    ])
}

fn fixed_in_media(old: &MediaConfig, new: &MediaConfig) -> Vec<&'static str> {
    let MediaConfig { local_ip, advertised, ports, trust: _, media_networks: _ } = new;
    names([
        ("LOCAL_IP_ADDRESS", old.local_ip != *local_ip),
        ("RTP_ADVERTISED_ADDRESS", old.advertised != *advertised),
        ("RTP_PORTS", old.ports != *ports),
    ])
}

fn fixed_in_sip(old: &SipConfig, new: &SipConfig) -> Vec<&'static str> {
    // The doctor alone uses `public_url` and `host`.
    let SipConfig {
        secrets,
        keys: _,
        listen,
        path,
        public_url: _,
        host: _,
        calls_url,
        trunk,
        endpoint: _,
        refer_host,
    } = new;
    names([
        ("OPENAI_WEBHOOK_SECRET", old.secrets != *secrets),
        ("WEBHOOK_LISTEN", old.listen != *listen),
        ("WEBHOOK_PATH", old.path != *path),
        ("OPENAI_CALLS_URL", old.calls_url != *calls_url),
        ("SIP_SHARED_HEADER", old.trunk != *trunk),
        ("SIP_REFER_HOST", old.refer_host != *refer_host),
    ])
}

fn fixed_in_log(old: &LogConfig, new: &LogConfig) -> Vec<&'static str> {
    let LogConfig { path, language, level } = new;
    names([
        ("LOG_FILE_PATH", old.path != *path),
        ("LOG_LANGUAGE", old.language != *language),
        ("LOG_LEVEL", old.level != *level),
    ])
}

fn fixed_in_recordings(old: &RecordingSettings, new: &RecordingSettings) -> Vec<&'static str> {
    // LOG_LANGUAGE sets the language, and is checked elsewhere.
    let RecordingSettings { folder, keep: _, language: _, recipient, identity, retention_days } = new;
    names([
        ("RECORDINGS_DIR", old.folder != *folder),
        ("RECORDING_RETENTION_DAYS", old.retention_days != *retention_days),
        ("RECORDINGS_RECIPIENT", old.recipient != *recipient),
        ("RECORDINGS_IDENTITY_FILE", old.identity != *identity),
    ])
}

fn fixed_in_archive(old: &Config, new: &ArchiveConfig, recordings: &RecordingSettings) -> Vec<&'static str> {
    // The path of the index depends on that of the call log.
    let ArchiveConfig { call_log, index: _, country, api } = new;
    let ApiConfig { listen, tokens, group, trusted_proxies } = api;
    let (old_file, new_file) = (&old.archive.call_log.file, &call_log.file);
    // Unless DATABASE_URL names a file, the call log lies in the folder of the recordings and moves with it.
    let has_moved_along = old_file.parent() == Some(&*old.recordings.folder)
        && new_file.parent() == Some(&*recordings.folder)
        && old_file.file_name() == new_file.file_name();
    let is_elsewhere = old_file != new_file && !has_moved_along;
    names([
        ("DATABASE_URL", is_elsewhere || old.archive.call_log.server != call_log.server),
        ("COUNTRY_CODE", old.archive.country != *country),
        ("API_LISTEN", old.archive.api.listen != *listen),
        ("API_TOKEN", old.archive.api.tokens != *tokens),
        ("API_GROUP", old.archive.api.group != *group),
        ("API_TRUSTED_PROXIES", old.archive.api.trusted_proxies != *trusted_proxies),
    ])
}
