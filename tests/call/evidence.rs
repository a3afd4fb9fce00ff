//! What a test may ask of the world: what was heard, said, complained of and left behind.

use openai_inbound_calls::call::Report;
use openai_inbound_calls::sim::asterisk::{CallerId, Outcome};

use super::world::World;

impl World {
    /// What the phone heard, without silence, in the order of arrival.
    pub(crate) fn heard(&self, phone: usize) -> Vec<u8> {
        let heard = self.phones[phone].caller.heard().iter();
        heard.flat_map(|packet| packet.payload.iter().copied()).filter(|byte| *byte != 0xFF).collect()
    }

    /// How much of a sound the phone heard, from its begin, milliseconds.
    pub(crate) fn heard_of(&self, phone: usize, sound: &[u8]) -> u64 {
        let heard = self.heard(phone);
        let Some(at) = heard.windows(8).position(|window| window == &sound[..8]) else { return 0 };
        let same = heard[at..].iter().zip(sound).take_while(|(one, other)| one == other).count();
        same as u64 / 8
    }

    /// What the servers complain of, which must be nothing.
    pub(crate) fn violations(&self) -> Vec<&str> {
        self.servers.iter().flat_map(|server| server.session.violations()).map(String::as_str).collect()
    }

    /// What of ours is left in Asterisk.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let all = self.asterisk.channels().into_iter().chain(self.asterisk.bridges());
        all.filter(|id| id.starts_with("oic-")).collect()
    }

    /// The report of a call that is over.
    pub(crate) fn report(&self, task: usize) -> &Report {
        self.tasks[task].report.as_ref().expect("the call is over")
    }

    pub(crate) fn outcome(&self, phone: usize) -> &Outcome {
        self.asterisk.outcome(CallerId(phone))
    }
}
