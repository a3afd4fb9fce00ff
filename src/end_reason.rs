//! Why calls end: the reasons, each with its stable code for machines. The words for people are in the operator's table.

/// Why a call ended, or why its caller goes on in the dialplan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The caller's channel went away: the ordinary end.
    CallerHungUp,
    /// The model ended the conversation.
    AssistantHungUp,
    /// The model transferred the caller.
    Transferred,
    /// A supervisor ended it, by the API or the dashboard.
    SupervisorHungUp,
    /// A supervisor handed the caller over.
    SupervisorTransferred,
    /// The call was as long as a call may be.
    MaxDuration,
    /// The caller did not speak any more.
    CallerSilent,
    /// No sound came from the caller's telephone any more.
    NoAudio,
    /// The call had used as many tokens as a call may use.
    TokenLimit,
    /// The call had cost as much as a call may cost.
    CostLimit,
    /// The day's calls had cost as much as they may: the caller was not taken at all.
    DayCostLimit,
    /// The caller had called as often as one caller may within an hour: they were not taken at all.
    CallerLimit,
    /// The dialplan named an agent that does not exist: the caller was not taken at all.
    NoAgent,
    /// There were as many calls as there may be: the caller was not taken at all.
    Busy,
    /// The daemon stops: the time for live calls was over, or the caller was not taken at all.
    Shutdown,
    /// The model refused the session for good: key, quota, model, settings.
    SessionFailed,
    /// The session was not open in time.
    SessionLate,
    /// The session broke in the middle of the call.
    SessionLost,
    /// No RTP port was free.
    NoPort,
    /// `LOCAL_IP_ADDRESS` is not an address of this machine: no RTP port could be bound.
    LocalAddressMissing,
    /// Asterisk refused or lost the bridge or the media channel.
    SetupFailed,
    /// The media channel went away in the middle of the call.
    MediaLost,
    /// The model failed to answer, several times in a row.
    ModelFailed,
    /// Asterisk itself went away.
    AsteriskLost,
    /// Another program that registered our ARI application serves the caller now.
    TakenOver,
    /// A defect of ours.
    Internal,
    /// The daemon was killed or the power failed; only a recording says so, afterwards.
    Recovered,
}

impl EndReason {
    /// Every reason, for tables and tests.
    pub const ALL: [Self; 27] = [
        Self::CallerHungUp,
        Self::AssistantHungUp,
        Self::Transferred,
        Self::SupervisorHungUp,
        Self::SupervisorTransferred,
        Self::MaxDuration,
        Self::CallerSilent,
        Self::NoAudio,
        Self::TokenLimit,
        Self::CostLimit,
        Self::DayCostLimit,
        Self::CallerLimit,
        Self::NoAgent,
        Self::Busy,
        Self::Shutdown,
        Self::SessionFailed,
        Self::SessionLate,
        Self::SessionLost,
        Self::NoPort,
        Self::LocalAddressMissing,
        Self::SetupFailed,
        Self::MediaLost,
        Self::ModelFailed,
        Self::AsteriskLost,
        Self::TakenOver,
        Self::Internal,
        Self::Recovered,
    ];

    /// The reason of a code, if it is one of ours.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The stable word for machines: call log, metrics, channel variables.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CallerHungUp => "caller_hung_up",
            Self::AssistantHungUp => "assistant_hung_up",
            Self::Transferred => "transferred",
            Self::SupervisorHungUp => "supervisor_hung_up",
            Self::SupervisorTransferred => "supervisor_transferred",
            Self::MaxDuration => "max_duration",
            Self::CallerSilent => "caller_silent",
            Self::NoAudio => "no_audio",
            Self::TokenLimit => "token_limit",
            Self::CostLimit => "cost_limit",
            Self::DayCostLimit => "day_cost_limit",
            Self::CallerLimit => "caller_limit",
            Self::NoAgent => "no_agent",
            Self::Busy => "busy",
            Self::Shutdown => "shutdown",
            Self::SessionFailed => "session_failed",
            Self::SessionLate => "session_late",
            Self::SessionLost => "session_lost",
            Self::NoPort => "no_port",
            Self::LocalAddressMissing => "local_address_missing",
            Self::SetupFailed => "setup_failed",
            Self::MediaLost => "media_lost",
            Self::ModelFailed => "model_failed",
            Self::AsteriskLost => "asterisk_lost",
            Self::TakenOver => "taken_over",
            Self::Internal => "internal",
            Self::Recovered => "recovered",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_code() {
        let mut codes = EndReason::ALL.map(EndReason::code).to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), EndReason::ALL.len());
        for reason in EndReason::ALL {
            assert!(reason.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        }
    }
}
