//! One direction of a bad network: delay, jitter, loss, disorder, duplicates, the same for the same seed. Sans-IO.
//! It knows datagrams only: no addresses, no bandwidth, no queue that fills up.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::chance::Chance;

/// How much later a datagram comes that is to be overtaken: more than one 20 ms frame, so that one certainly passes it.
const OVERTAKEN: Duration = Duration::from_millis(25);

/// What the wire does to the datagrams. The default does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Impairment {
    /// Every datagram takes at least this long.
    pub latency: Duration,
    /// And up to so much more, evenly spread; by itself this never changes the order.
    pub jitter: Duration,
    /// The part that is lost, 0 to 1.
    pub loss: f64,
    /// The part that is overtaken by its successor, 0 to 1.
    pub reorder: f64,
    /// The part that arrives twice, 0 to 1.
    pub duplicate: f64,
}

/// One direction of a network path.
#[derive(Debug)]
pub struct Wire {
    chance: Chance,
    impairment: Impairment,
    under_way: BTreeMap<(Instant, u64), Vec<u8>>,
    arrived: VecDeque<Vec<u8>>,
    sent: u64,
    latest: Option<Instant>,
}

impl Wire {
    /// A wire that treats the same datagrams at the same times alike for the same seed.
    pub fn new(seed: u64, impairment: Impairment) -> Self {
        let chance = Chance::new(seed);
        Self {
            chance,
            impairment,
            under_way: BTreeMap::new(),
            arrived: VecDeque::new(),
            sent: 0,
            latest: None,
        }
    }

    /// Puts a datagram on the wire.
    pub fn send(&mut self, now: Instant, datagram: Vec<u8>) {
        let jitter = self.impairment.jitter.mul_f64(self.chance.fraction());
        let lost = self.chance.happens(self.impairment.loss);
        let overtaken = self.chance.happens(self.impairment.reorder);
        let twice = self.chance.happens(self.impairment.duplicate);
        if lost {
            return;
        }
        let due = now + self.impairment.latency + jitter;
        let mut due = self.latest.map_or(due, |latest| due.max(latest));
        if overtaken {
            due += OVERTAKEN;
        } else {
            self.latest = Some(due);
        }
        if twice {
            self.put(due, datagram.clone());
        }
        self.put(due, datagram);
    }

    /// Lets time pass; what has arrived by then comes out of `poll`.
    pub fn advance(&mut self, now: Instant) {
        while let Some(entry) = self.under_way.first_entry() {
            if entry.key().0 > now {
                break;
            }
            self.arrived.push_back(entry.remove());
        }
    }

    /// When the next datagram arrives.
    pub fn deadline(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next datagram that has arrived.
    pub fn poll(&mut self) -> Option<Vec<u8>> {
        self.arrived.pop_front()
    }

    fn put(&mut self, due: Instant, datagram: Vec<u8>) {
        self.sent += 1;
        self.under_way.insert((due, self.sent), datagram);
    }
}

#[cfg(test)]
mod tests;
