//! One direction of a bad network: delay, jitter, loss, disorder and duplicates, the same for the same seed.
//! It has no sockets and no clock. It handles datagrams only: there are no addresses, no bandwidth and no
//! queue that fills up.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::chance::Chance;

/// The additional delay of a datagram that is to be overtaken: more than one 20 ms frame, so that the next
/// one certainly passes it.
const OVERTAKEN: Duration = Duration::from_millis(25);

/// What the wire does to the datagrams. The default changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Impairment {
    /// The least delay of every datagram.
    pub latency: Duration,
    /// The largest additional delay, evenly distributed. Jitter alone never changes the order.
    pub jitter: Duration,
    /// The fraction of datagrams that are lost, 0 to 1.
    pub loss: f64,
    /// The fraction of datagrams that their successor overtakes, 0 to 1.
    pub reorder: f64,
    /// The fraction of datagrams that arrive twice, 0 to 1.
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
    /// Creates a wire. With the same seed, it treats the same datagrams at the same times alike.
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

    /// Sends a datagram.
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

    /// Lets time pass. What has arrived by then comes out of `poll`.
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
