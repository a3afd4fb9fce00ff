//! What the doctor says about each reason for which `/ready` of the running daemon is not ready.

use super::words::Status;
use crate::exchange::obstacles::Obstacle;
use crate::operator::{Language, Said};

/// The reasons of `/ready`, in its order. A reason may be one that only a newer version knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reasons(pub(super) Vec<String>);

impl Reasons {
    /// The worst status of the reasons.
    pub(super) fn status(&self) -> Status {
        let of = |code: &String| known(code).map_or(Status::Warning, severity);
        self.0.iter().map(of).max().unwrap_or(Status::Ok)
    }
}

impl Said for Reasons {
    fn said(&self, language: Language) -> String {
        let said = self.0.iter().map(|code| match known(code) {
            Some(obstacle) => format!("{code} ({})", words(obstacle, language)),
            None => code.clone(),
        });
        said.collect::<Vec<_>>().join(", ")
    }
}

fn known(code: &str) -> Option<Obstacle> {
    Obstacle::ALL.into_iter().find(|obstacle| obstacle.code() == code)
}

/// A failure stops all calls until somebody acts (or until midnight); a warning is expected to pass by itself, or
/// concerned single calls.
const fn severity(obstacle: Obstacle) -> Status {
    match obstacle {
        Obstacle::NoDaemon
        | Obstacle::AsteriskAway
        | Obstacle::AsteriskCredentialsRefused
        | Obstacle::ApplicationReplaced
        | Obstacle::AsteriskRefuses
        | Obstacle::LocalAddressMissing
        | Obstacle::OpenaiOutage
        | Obstacle::DayCostReached => Status::Failure,
        Obstacle::SoundFailing
        | Obstacle::OpenaiFailing
        | Obstacle::MaxCallsReached
        | Obstacle::ProcessorFull
        | Obstacle::Overloaded
        | Obstacle::Draining => Status::Warning,
    }
}

const fn words(obstacle: Obstacle, language: Language) -> &'static str {
    let (spanish, english) = match obstacle {
        Obstacle::NoDaemon => (
            "el proceso sirve solo la API y no atiende llamadas",
            "the process serves the API only, and no calls",
        ),
        Obstacle::AsteriskAway => ("sin conexión con Asterisk", "no connection to Asterisk"),
        Obstacle::AsteriskCredentialsRefused => {
            ("Asterisk rechaza el usuario o la contraseña", "Asterisk refuses the user or the password")
        }
        Obstacle::ApplicationReplaced => (
            "otro programa ha tomado la aplicación ARI: ciérrelo y reinicie el servicio",
            "another program has taken the ARI application: stop it and restart the daemon",
        ),
        Obstacle::AsteriskRefuses => (
            "Asterisk rechaza las peticiones: read_only = no en ari.conf",
            "Asterisk refuses the requests: read_only = no in ari.conf",
        ),
        Obstacle::LocalAddressMissing => (
            "LOCAL_IP_ADDRESS no es una dirección de este equipo",
            "LOCAL_IP_ADDRESS is not an address of this machine",
        ),
        Obstacle::SoundFailing => (
            "no se pudo conectar el audio de una llamada en el último minuto",
            "the audio of a call could not be connected within the last minute",
        ),
        Obstacle::OpenaiFailing => (
            "OpenAI no atendió una llamada en el último minuto",
            "OpenAI did not serve a call within the last minute",
        ),
        Obstacle::OpenaiOutage => {
            ("OpenAI no atendió varias llamadas seguidas", "OpenAI has not served several calls in a row")
        }
        Obstacle::DayCostReached => {
            ("las llamadas de hoy han llegado a MAX_DAY_COST", "the calls of today have reached MAX_DAY_COST")
        }
        Obstacle::MaxCallsReached => {
            ("hay tantas llamadas como admite MAX_CALLS", "as many calls as MAX_CALLS allows are in progress")
        }
        Obstacle::ProcessorFull => {
            ("el procesador no tiene tiempo para otra llamada", "the processor has no time for another call")
        }
        Obstacle::Overloaded => ("sobrecarga", "overloaded"),
        Obstacle::Draining => ("el servicio se detiene", "the daemon is being stopped"),
    };
    language.choose(spanish, english)
}
