//! Why calls end: a stable code for machines, and words for people.

use super::Language;
use super::words::Said;

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
    /// There were as many calls as there may be, or the daemon stops: the caller was not taken at all.
    Busy,
    /// The daemon stops and the time for live calls is over.
    Shutdown,
    /// The model refused the session for good: key, quota, model, settings.
    SessionFailed,
    /// The session was not open in time.
    SessionLate,
    /// The session broke in the middle of the call.
    SessionLost,
    /// No RTP port was free.
    NoPort,
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
    pub const ALL: [Self; 25] = [
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
        Self::Busy,
        Self::Shutdown,
        Self::SessionFailed,
        Self::SessionLate,
        Self::SessionLost,
        Self::NoPort,
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
        self.row().0
    }

    /// The words for people.
    #[must_use]
    pub const fn words(self, language: Language) -> &'static str {
        let (_, spanish, english) = self.row();
        match language {
            Language::Spanish => spanish,
            Language::English => english,
        }
    }

    #[rustfmt::skip]
    const fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::CallerHungUp => ("caller_hung_up", "el llamante colgó", "the caller hung up"),
            Self::AssistantHungUp => ("assistant_hung_up", "el asistente colgó", "the assistant hung up"),
            Self::Transferred => ("transferred", "transferida por el asistente", "transferred by the assistant"),
            Self::SupervisorHungUp => ("supervisor_hung_up", "un supervisor colgó", "a supervisor hung up"),
            Self::SupervisorTransferred => ("supervisor_transferred", "transferida por un supervisor", "transferred by a supervisor"),
            Self::MaxDuration => ("max_duration", "duración máxima alcanzada", "maximum duration reached"),
            Self::CallerSilent => ("caller_silent", "el llamante dejó de hablar", "the caller stopped speaking"),
            Self::NoAudio => ("no_audio", "dejó de llegar audio del llamante", "no audio came from the caller any more"),
            Self::TokenLimit => ("token_limit", "límite de consumo de la llamada alcanzado", "the call's token limit was reached"),
            Self::CostLimit => ("cost_limit", "costo máximo de la llamada alcanzado", "the call's cost limit was reached"),
            Self::DayCostLimit => ("day_cost_limit", "costo máximo del día alcanzado", "the day's cost limit was reached"),
            Self::CallerLimit => ("caller_limit", "demasiadas llamadas del mismo número en una hora", "too many calls from the same number in an hour"),
            Self::Busy => ("busy", "no se admiten más llamadas", "no more calls are taken"),
            Self::Shutdown => ("shutdown", "el servicio se detiene", "the daemon is stopping"),
            Self::SessionFailed => ("session_failed", "OpenAI rechazó la sesión", "OpenAI refused the session"),
            Self::SessionLate => ("session_late", "OpenAI no respondió a tiempo", "OpenAI did not answer in time"),
            Self::SessionLost => ("session_lost", "se perdió la conexión con OpenAI", "the connection with OpenAI was lost"),
            Self::NoPort => ("no_port", "no quedaba ningún puerto RTP libre", "no RTP port was free"),
            Self::SetupFailed => ("setup_failed", "Asterisk no pudo conectar el audio", "Asterisk could not connect the audio"),
            Self::MediaLost => ("media_lost", "se perdió el canal de audio", "the audio channel was lost"),
            Self::ModelFailed => ("model_failed", "el modelo no respondió", "the model did not answer"),
            Self::AsteriskLost => ("asterisk_lost", "se perdió Asterisk", "Asterisk was lost"),
            Self::TakenOver => ("taken_over", "otro programa se hizo cargo de la llamada", "another program took the call over"),
            Self::Internal => ("internal", "error interno", "internal error"),
            Self::Recovered => ("recovered", "el servicio se interrumpió durante la llamada", "the daemon was cut off during the call"),
        }
    }
}

impl Said for EndReason {
    fn said(&self, language: Language) -> String {
        self.words(language).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_code_and_words() {
        let mut codes = EndReason::ALL.map(EndReason::code).to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), EndReason::ALL.len());
        for reason in EndReason::ALL {
            assert!(reason.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert_ne!(reason.words(Language::Spanish), reason.words(Language::English));
        }
    }
}
