//! The phones of the callers: what they dial, send, hear and hang up.

use std::collections::HashSet;
use std::sync::Arc;

use openai_inbound_calls::sim::asterisk::{CallerId, IncomingCall};
use openai_inbound_calls::sim::caller::{Caller, Doing, Step};
use openai_inbound_calls::sim::realtime::Script;
use openai_inbound_calls::sim::wire::Wire;

use super::World;

/// A caller with their phone and its network.
#[derive(Debug)]
pub(crate) struct Phone {
    pub(crate) caller: Caller,
    pub(crate) up: Wire,
    pub(crate) down: Wire,
    /// The first bytes of every loud frame it sent, and of every one that was sent to it.
    pub(crate) said: HashSet<[u8; 8]>,
    pub(crate) may_hear: HashSet<[u8; 8]>,
    /// What the sessions of this caller's call do, connection by connection; the last one repeats.
    pub(crate) scripts: Vec<Arc<Script>>,
}

/// The first bytes of a frame, by which it is known again; none of a silent one.
pub(crate) fn mark(frame: &[u8]) -> Option<[u8; 8]> {
    frame.first_chunk().copied().filter(|mark| *mark != [0xFF; 8])
}

impl World {
    /// A call comes in that the dialplan has answered; its phone then does this.
    pub(crate) fn dial(&mut self, steps: Vec<Step>) -> usize {
        self.dial_as(IncomingCall::default(), steps)
    }

    /// A call comes in that rings.
    pub(crate) fn ring(&mut self, steps: Vec<Step>) -> usize {
        self.dial_as(IncomingCall { answered: false, ..IncomingCall::default() }, steps)
    }

    pub(crate) fn dial_as(&mut self, call: IncomingCall, steps: Vec<Step>) -> usize {
        let (now, seed) = (self.now, self.dice.roll());
        self.phones.push(Phone {
            caller: Caller::new(now, steps, seed),
            up: Wire::new(seed + 1, self.network.phone),
            down: Wire::new(seed + 2, self.network.phone),
            said: HashSet::new(),
            may_hear: HashSet::new(),
            scripts: Vec::new(),
        });
        let CallerId(phone) = self.asterisk.incoming_call(now, call);
        assert_eq!(phone + 1, self.phones.len());
        self.drain_asterisk();
        phone
    }

    /// The caller puts down the receiver now.
    pub(crate) fn hang_up(&mut self, phone: usize) {
        self.asterisk.caller_hangs_up(self.now, CallerId(phone));
        self.drain_asterisk();
    }

    /// The phone transfers a customer with this number to us, and is theirs from then on.
    pub(crate) fn transfer(&mut self, phone: usize, number: &str) {
        self.asterisk.transfer(self.now, CallerId(phone), number);
        self.drain_asterisk();
    }

    /// What is due of a phone.
    pub(super) fn step_phone(&mut self, index: usize) {
        let now = self.now;
        let phone = &mut self.phones[index];
        if phone.caller.deadline().is_some_and(|at| at <= now) {
            phone.caller.advance(now);
        }
        while let Some(doing) = self.phones[index].caller.poll() {
            match doing {
                Doing::Send(datagram) => {
                    let phone = &mut self.phones[index];
                    phone.said.extend(mark(&datagram[12..]));
                    phone.up.send(now, datagram);
                }
                Doing::HangUp => self.hang_up(index),
                Doing::Hold(on) => {
                    self.asterisk.hold(now, CallerId(index), on);
                    self.drain_asterisk();
                }
            }
        }
        let phone = &mut self.phones[index];
        phone.up.advance(now);
        phone.down.advance(now);
        while let Some(datagram) = self.phones[index].down.poll() {
            self.phones[index].caller.hear(now, &datagram);
        }
        let mut any = false;
        while let Some(datagram) = self.phones[index].up.poll() {
            self.asterisk.caller_datagram(now, CallerId(index), &datagram);
            any = true;
        }
        if any {
            self.drain_asterisk();
        }
    }
}
