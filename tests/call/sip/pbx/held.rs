//! What must be true in this world, reckoned without the figures of the exchange.

use openai_inbound_calls::ari::ChannelId;
use openai_inbound_calls::call::Report;
use openai_inbound_calls::call::record::EventKind;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::Agent;
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::sim::asterisk::Ending;

use super::{Pbx, Running};

/// Why we hang up on a caller. A daemon that is killed may have hung up before.
const HANG_UP: [EndReason; 5] = [
    EndReason::AssistantHungUp,
    EndReason::MaxDuration,
    EndReason::CallerSilent,
    EndReason::NoAudio,
    EndReason::Recovered,
];

impl Pbx {
    /// Asserts that we have made no mistake, and that nothing is left that costs money or holds a person.
    pub(crate) fn is_clean(&self) {
        let rungs = &self.rungs;
        assert!(self.openai.violations().is_empty(), "{:?}\n{rungs:#?}", self.openai.violations());
        assert!(
            self.openai.left().is_empty(),
            "a session without an owner: {:?}\n{rungs:#?}",
            self.openai.left()
        );
        assert!(self.running.is_empty(), "calls that do not end\n{rungs:#?}");
        assert!(self.models.is_empty(), "sessions that do not end\n{rungs:#?}");
        assert!(
            self.complaints.is_empty(),
            "the model's server complains: {:?}\n{rungs:#?}",
            self.complaints
        );
        assert!(self.asterisk.channels().is_empty(), "{:?}\n{rungs:#?}", self.asterisk.channels());
        assert!(self.asterisk.bridges().is_empty(), "{:?}\n{rungs:#?}", self.asterisk.bridges());
        let told = |name: &str| {
            self.said(|notice| matches!(notice, Notice::SoundLeft { names } if names.contains(name)))
        };
        let untold: Vec<_> = self.asterisk.recordings().into_iter().filter(|name| !told(name)).collect();
        assert!(untold.is_empty(), "left in Asterisk, and nobody is told: {untold:?}\n{rungs:#?}");
        assert_eq!(self.exchange.contradiction(), None);
        self.hold_callers();
    }

    /// Every caller in Asterisk was served to an end, or goes on in the dialplan.
    fn hold_callers(&self) {
        for caller in &self.callers {
            let outcome = self.asterisk.outcome(*caller);
            let channel = ChannelId::from(&*outcome.channel);
            let ends = || self.ends.iter().filter(|(id, _)| *id == channel).map(|(_, reason)| *reason);
            let is_cared_for = match &outcome.ended {
                None | Some(Ending::NowhereToGo) => false,
                Some(Ending::HungUp { .. }) => ends().any(|reason| HANG_UP.contains(&reason)),
                Some(Ending::Continued { .. } | Ending::CallerHungUp | Ending::Stopped | Ending::Killed) => {
                    true
                }
            };
            let ends: Vec<_> = ends().collect();
            let ended = &outcome.ended;
            assert!(is_cared_for, "{caller:?} is lost: {ended:?} after {ends:?}\n{:#?}", self.rungs);
        }
    }

    /// What must be true when a call is taken on any route.
    pub(super) fn hold_admission(&self, agent: &Agent) {
        assert!(!self.exchange.is_stopping(), "nobody is taken while the daemon stops");
        assert!(
            self.running.len() - self.aftermaths.len() < self.rules.max_calls,
            "no more are taken than there may be\n{:#?}",
            self.rungs
        );
        let of = |name: Option<&str>| {
            let is_asked = |agent: &str| name.is_none_or(|name| name == agent);
            let over = self.spent.iter().filter(|(agent, _)| is_asked(agent)).map(|(_, spent)| spent);
            let running = self.running.values().filter(|running| is_asked(&running.agent));
            over.sum::<u64>() + running.map(|running| running.spent).sum::<u64>()
        };
        let most = self.rules.max_day_cost.is_none_or(|most| of(None) < most.get());
        let most_of_agent = agent.max_day_cost.is_none_or(|most| of(Some(&agent.name)) < most.get());
        assert!(most && most_of_agent, "nobody is taken when the day's cost is reached\n{:#?}", self.rungs);
    }

    /// A call begins: a daemon takes it once, and whoever is at OpenAI is in one call.
    pub(super) fn hold_begin(&mut self, id: &ChannelId) {
        let is_new = self.conversations.insert((self.life, id.clone()));
        assert!(is_new, "{id} is served and recorded twice\n{:#?}", self.rungs);
    }

    /// OpenAI has told a call of ours of its other end.
    pub(super) fn hold_offered(&self, openai: &str) {
        let have_it = self.running.values().filter(|running| running.openai.as_deref() == Some(openai));
        assert_eq!(have_it.count(), 1, "{openai} is in one call\n{:#?}", self.rungs);
    }

    /// A call is over: its recording says so once, and holds what its caller heard.
    pub(super) fn hold_end(&self, running: &Running, report: &Report) {
        let ends = running.recorded.events().into_iter().filter(|kind| *kind == EventKind::Ended).count();
        assert_eq!(ends, 1, "a conversation is recorded once\n{:#?}", self.rungs);
        if running.media.is_some() {
            running.recorded.hold();
        }
        assert!(!report.session_stood || running.recorded.bill() == Some(&report.bill), "{:#?}", self.rungs);
    }
}
