//! Calls in their aftermath, in this world.

use openai_inbound_calls::ari::ChannelId;
use openai_inbound_calls::call::{Input, LegEvent};
use openai_inbound_calls::exchange;

use super::{Due, Pbx};

impl Pbx {
    /// A call is in its aftermath. It has a name of its own from now on, because its caller may be in another call.
    pub(super) fn lets_go(&mut self, id: &ChannelId) {
        self.count += 1;
        let (number, name) = (self.count, ChannelId::from(&*format!("aftermath-{}", self.count)));
        let running = self.running.remove(id).expect("it runs");
        let report = running.call.report();
        self.running.insert(name.clone(), running);
        self.events
            .values_mut()
            .filter_map(Due::call)
            .filter(|of| *of == id)
            .for_each(|of| *of = name.clone());
        self.aftermaths.insert(name, (number, id.clone()));
        self.rung(|| format!("{id} is let go"));
        self.feed(exchange::Input::LetGo(id.clone(), number, &report));
    }

    /// The call of the n-th caller in Asterisk hears that they are back.
    pub(super) fn is_back(&mut self, n: usize) {
        let id = ChannelId::from(&*self.outcome(n).channel);
        self.tell(&id, Input::Leg(LegEvent::CallerReturned));
    }

    /// The aftermath with this number is told that the daemon stops.
    pub(super) fn hurries(&mut self, number: u64) {
        let hurried = self.aftermaths.iter().find(|(_, (known, _))| *known == number);
        if let Some(id) = hurried.map(|(id, _)| id.clone()) {
            self.tell(&id, Input::Shutdown);
        }
    }
}
