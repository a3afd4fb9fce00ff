//! The words for people of the reasons why calls end.

use super::Language;
use super::words::Said;
use crate::end_reason::EndReason;

impl EndReason {
    /// The words for people.
    #[must_use]
    pub const fn words(self, language: Language) -> &'static str {
        let (spanish, english) = self.row();
        language.choose(spanish, english)
    }

    #[rustfmt::skip]
    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::CallerHungUp => ("el llamante colgó", "the caller hung up"),
            Self::AssistantHungUp => ("el asistente colgó", "the assistant hung up"),
            Self::Transferred => ("transferida por el asistente", "transferred by the assistant"),
            Self::SupervisorHungUp => ("un supervisor colgó", "a supervisor hung up"),
            Self::SupervisorTransferred => ("transferida por un supervisor", "transferred by a supervisor"),
            Self::MaxDuration => ("duración máxima alcanzada", "maximum duration reached"),
            Self::CallerSilent => ("el llamante dejó de hablar", "the caller stopped speaking"),
            Self::NoAudio => ("dejó de llegar audio del llamante", "no audio came from the caller any more"),
            Self::TokenLimit => ("límite de consumo de la llamada alcanzado", "the call's token limit was reached"),
            Self::CostLimit => ("costo máximo de la llamada alcanzado", "the call's cost limit was reached"),
            Self::DayCostLimit => ("costo máximo del día alcanzado", "the day's cost limit was reached"),
            Self::CallerLimit => ("demasiadas llamadas del mismo número en una hora", "too many calls from the same number in an hour"),
            Self::NoAgent => ("el dialplan nombró un agente que no existe", "the dialplan named an agent that does not exist"),
            Self::Busy => ("no se admiten más llamadas", "no more calls are taken"),
            Self::Shutdown => ("el servicio se detiene", "the daemon is stopping"),
            Self::SessionFailed => ("OpenAI rechazó la sesión", "OpenAI refused the session"),
            Self::SessionLate => ("OpenAI no respondió a tiempo", "OpenAI did not answer in time"),
            Self::SessionLost => ("se perdió la conexión con OpenAI", "the connection with OpenAI was lost"),
            Self::NoPort => ("no quedaba ningún puerto RTP libre", "no RTP port was free"),
            Self::LocalAddressMissing => ("LOCAL_IP_ADDRESS no es una dirección de este equipo", "LOCAL_IP_ADDRESS is not an address of this machine"),
            Self::SetupFailed => ("Asterisk no pudo conectar el audio", "Asterisk could not connect the audio"),
            Self::MediaLost => ("se perdió el canal de audio", "the audio channel was lost"),
            Self::ModelFailed => ("el modelo no respondió", "the model did not answer"),
            Self::AsteriskLost => ("se perdió Asterisk", "Asterisk was lost"),
            Self::TakenOver => ("otro programa se hizo cargo de la llamada", "another program took the call over"),
            Self::Internal => ("error interno", "internal error"),
            Self::Recovered => ("el servicio se interrumpió durante la llamada", "the daemon was cut off during the call"),
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
    fn every_reason_has_words_in_both_languages() {
        for reason in EndReason::ALL {
            assert_ne!(reason.words(Language::Spanish), reason.words(Language::English));
        }
    }
}
