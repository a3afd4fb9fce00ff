//! What prevents the daemon from serving a caller who arrives now: the reasons that `/ready`, the metrics, the dashboard and
//! the doctor give.

use chrono::{DateTime, FixedOffset, TimeDelta};
use serde::Serialize;
use utoipa::ToSchema;

use super::readiness::{AsteriskLink, Capacity, Readiness};

/// How long a call that OpenAI did not serve, or that had no audio, makes the daemon not ready. A longer time keeps
/// callers away from an assistant that works again; a shorter one lets monitors miss the failure.
const LATELY: TimeDelta = TimeDelta::seconds(60);

/// A reason why the daemon is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// The API runs without the daemon.
    NoDaemon,
    /// The daemon has no connection to Asterisk.
    AsteriskAway,
    /// Asterisk refuses `ASTERISK_USERNAME` or `ASTERISK_PASSWORD`, so the daemon has no connection to it.
    AsteriskCredentialsRefused,
    /// Another program has taken over the ARI application.
    ApplicationReplaced,
    /// Asterisk refuses the daemon's requests (for example because of `read_only` in ari.conf), or does not answer in
    /// time.
    AsteriskRefuses,
    /// `LOCAL_IP_ADDRESS` is not an address of this machine, so no call would have audio.
    LocalAddressMissing,
    /// The audio of a call could not be connected within the last minute.
    SoundFailing,
    /// OpenAI failed to serve a call within the last minute.
    OpenaiFailing,
    /// OpenAI has failed to serve several calls in a row. The daemon offers one caller in ten to OpenAI as a test.
    /// All other callers continue in the dialplan at once.
    OpenaiOutage,
    /// The cost of today's calls has reached its limit (`MAX_DAY_COST`).
    DayCostReached,
    /// As many calls are running as `MAX_CALLS` permits: the next caller continues in the dialplan.
    MaxCallsReached,
    /// The processor has no time for another call: the next caller continues in the dialplan.
    ProcessorFull,
    /// The daemon is overloaded and sends audio frames late: the next caller continues in the dialplan.
    Overloaded,
    /// The daemon is being stopped.
    Draining,
}

impl Obstacle {
    /// All obstacles, in the order of the enum.
    pub const ALL: [Self; 14] = [
        Self::NoDaemon,
        Self::AsteriskAway,
        Self::AsteriskCredentialsRefused,
        Self::ApplicationReplaced,
        Self::AsteriskRefuses,
        Self::LocalAddressMissing,
        Self::SoundFailing,
        Self::OpenaiFailing,
        Self::OpenaiOutage,
        Self::DayCostReached,
        Self::MaxCallsReached,
        Self::ProcessorFull,
        Self::Overloaded,
        Self::Draining,
    ];

    /// The obstacle's code in answers and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoDaemon => "no_daemon",
            Self::AsteriskAway => "asterisk_away",
            Self::AsteriskCredentialsRefused => "asterisk_credentials_refused",
            Self::ApplicationReplaced => "application_replaced",
            Self::AsteriskRefuses => "asterisk_refuses",
            Self::LocalAddressMissing => "local_address_missing",
            Self::SoundFailing => "sound_failing",
            Self::OpenaiFailing => "openai_failing",
            Self::OpenaiOutage => "openai_outage",
            Self::DayCostReached => "day_cost_reached",
            Self::MaxCallsReached => "max_calls_reached",
            Self::ProcessorFull => "processor_full",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
        }
    }
}

/// Everything that prevents the daemon from serving a caller who arrives at `now`, in the order of [`Obstacle`].
pub fn obstacles(readiness: &Readiness, now: DateTime<FixedOffset>) -> Vec<Obstacle> {
    let Readiness { asterisk, openai_failed, openai_out, room, day_spent, draining, .. } = *readiness;
    let link = match asterisk {
        AsteriskLink::Away if readiness.credentials_refused => Some(Obstacle::AsteriskCredentialsRefused),
        AsteriskLink::Away => Some(Obstacle::AsteriskAway),
        AsteriskLink::Connected => None,
        AsteriskLink::ApplicationReplaced => Some(Obstacle::ApplicationReplaced),
    };
    let lately = |failed: Option<DateTime<FixedOffset>>| failed.is_some_and(|at| now - at < LATELY);
    let refuses = readiness.asterisk_refuses.then_some(Obstacle::AsteriskRefuses);
    let address = readiness.address_missing.then_some(Obstacle::LocalAddressMissing);
    let sound = lately(readiness.sound_failed).then_some(Obstacle::SoundFailing);
    let has_failed = lately(openai_failed).then_some(Obstacle::OpenaiFailing);
    let failing = if openai_out { Some(Obstacle::OpenaiOutage) } else { has_failed };
    let room = match room {
        Capacity::Free => None,
        Capacity::MaxCalls => Some(Obstacle::MaxCallsReached),
        Capacity::Processor => Some(Obstacle::ProcessorFull),
        Capacity::Overloaded => Some(Obstacle::Overloaded),
    };
    let spent = day_spent.filter(|day| *day == now.date_naive()).map(|_| Obstacle::DayCostReached);
    let draining = draining.then_some(Obstacle::Draining);
    let all = [link, refuses, address, sound, failing, room, spent, draining];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_openai_counts_for_a_minute() {
        let failed: DateTime<FixedOffset> = "2026-11-20T14:30:25-05:00".parse().unwrap();
        let readiness = Readiness {
            asterisk: AsteriskLink::Connected,
            openai_failed: Some(failed),
            ..Readiness::default()
        };
        let after = |seconds| obstacles(&readiness, failed + TimeDelta::seconds(seconds));
        assert_eq!(after(59), [Obstacle::OpenaiFailing]);
        assert_eq!(after(60), []);
        let readiness = Readiness { openai_out: true, ..readiness };
        let later = failed + TimeDelta::seconds(3_600);
        assert_eq!(obstacles(&readiness, later), [Obstacle::OpenaiOutage], "an outage, until it is over");
    }

    #[test]
    fn a_call_without_sound_counts_for_a_minute() {
        let failed: DateTime<FixedOffset> = "2026-11-20T14:30:25-05:00".parse().unwrap();
        let readiness = Readiness {
            asterisk: AsteriskLink::Connected,
            sound_failed: Some(failed),
            ..Readiness::default()
        };
        let after = |seconds| obstacles(&readiness, failed + TimeDelta::seconds(seconds));
        assert_eq!((after(59), after(60)), (vec![Obstacle::SoundFailing], vec![]));
    }

    #[test]
    fn what_a_day_may_cost_counts_until_midnight() {
        let now: DateTime<FixedOffset> = "2026-11-20T23:59:59-05:00".parse().unwrap();
        let readiness = Readiness {
            asterisk: AsteriskLink::Connected,
            day_spent: Some(now.date_naive()),
            ..Readiness::default()
        };
        assert_eq!(obstacles(&readiness, now), [Obstacle::DayCostReached]);
        assert_eq!(obstacles(&readiness, now + TimeDelta::seconds(1)), []);
    }

    #[test]
    fn an_obstacle_is_called_the_same_everywhere() {
        for obstacle in Obstacle::ALL {
            assert_eq!(serde_json::to_value(obstacle).ok(), Some(obstacle.code().into()));
        }
    }

    #[test]
    fn everything_in_the_way_is_named() {
        let now: DateTime<FixedOffset> = "2026-11-20T14:30:25-05:00".parse().unwrap();
        let readiness = Readiness {
            asterisk: AsteriskLink::ApplicationReplaced,
            asterisk_refuses: true,
            address_missing: true,
            sound_failed: Some(now),
            openai_failed: Some(now),
            room: Capacity::MaxCalls,
            day_spent: Some(now.date_naive()),
            draining: true,
            ..Readiness::default()
        };
        let all = [
            Obstacle::ApplicationReplaced,
            Obstacle::AsteriskRefuses,
            Obstacle::LocalAddressMissing,
            Obstacle::SoundFailing,
            Obstacle::OpenaiFailing,
            Obstacle::MaxCallsReached,
            Obstacle::DayCostReached,
            Obstacle::Draining,
        ];
        assert_eq!(obstacles(&readiness, now), all);
        assert_eq!(obstacles(&Readiness::default(), now), [Obstacle::AsteriskAway]);
        let refused = Readiness { credentials_refused: true, ..Readiness::default() };
        assert_eq!(obstacles(&refused, now), [Obstacle::AsteriskCredentialsRefused]);
    }
}
