//! The sections of the configuration, each of which is absent if it has a problem.

use std::time::Duration;

use super::{
    Agents, ArchiveConfig, AsteriskConfig, CallsConfig, Config, LogConfig, MediaConfig, RealtimeConfig,
    SipConfig,
};
use crate::operator::Notice;
use crate::recordings::RecordingSettings;

/// The sections of a [`Config`]. A section that has a problem is absent.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of Config, which documents them")]
pub struct Parts {
    pub asterisk: Option<AsteriskConfig>,
    pub media: Option<MediaConfig>,
    pub realtime: Option<RealtimeConfig>,
    pub uplink_frames_per_append: Option<u8>,
    pub calls: Option<CallsConfig>,
    pub recordings: Option<RecordingSettings>,
    pub archive: Option<ArchiveConfig>,
    pub log: Option<LogConfig>,
    pub sip: Option<SipConfig>,
    pub shutdown_grace: Option<Duration>,
    pub agents: Option<Agents>,
    pub remarks: Vec<Notice>,
}

impl Parts {
    /// Returns the whole configuration if every section is present.
    #[must_use]
    pub fn whole(self) -> Option<Config> {
        Some(Config {
            asterisk: self.asterisk?,
            media: self.media?,
            realtime: self.realtime?,
            uplink_frames_per_append: self.uplink_frames_per_append?,
            calls: self.calls?,
            recordings: self.recordings?,
            archive: self.archive?,
            log: self.log?,
            sip: self.sip?,
            shutdown_grace: self.shutdown_grace?,
            agents: self.agents?,
            remarks: self.remarks,
        })
    }
}
