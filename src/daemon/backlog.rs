//! The orders for a call that wait while its channel is full, for example during a burst of keys. Repeated orders and
//! outdated hold orders are dropped, and keys are limited, so the backlog stays short whatever a caller's phone sends.

use std::collections::VecDeque;

use crate::call::LegEvent;
use crate::exchange::Order;

/// Keys that wait at most; nobody types more before they are read. More would cost memory for a flood, fewer would cut
/// an account number typed while the machine stood still.
const KEYS: usize = 256;

/// Orders in the sequence in which they are to be told.
#[derive(Debug, Default)]
pub(super) struct Backlog(VecDeque<Order>);

impl Backlog {
    /// Adds an order. Of hold and its end only the last counts; keys are appended; anything else is told once.
    pub(super) fn push(&mut self, order: Order) {
        match &order {
            Order::Leg(LegEvent::Hold(_)) => {
                self.0.retain(|order| !matches!(order, Order::Leg(LegEvent::Hold(_))));
            }
            Order::Leg(LegEvent::Key(_)) => {
                let is_key = |order: &&Order| matches!(order, Order::Leg(LegEvent::Key(_)));
                if self.0.iter().filter(is_key).count() >= KEYS {
                    tracing::debug!("more keys than a call reads");
                    return;
                }
            }
            _ if self.0.contains(&order) => return,
            _ => {}
        }
        self.0.push_back(order);
    }

    /// Puts the first one back.
    pub(super) fn put_back(&mut self, order: Order) {
        self.0.push_front(order);
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<Order> {
        self.0.pop_front()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Hold;

    fn all(mut backlog: Backlog) -> Vec<Order> {
        std::iter::from_fn(|| backlog.pop()).collect()
    }

    #[test]
    fn of_hold_the_last_counts_and_keys_are_appended() {
        let mut backlog = Backlog::default();
        for n in 0..1_000 {
            backlog.push(Order::Leg(LegEvent::Hold(if n % 2 == 0 { Hold::On } else { Hold::Off })));
            if n % 400 == 0 {
                backlog.push(Order::Leg(LegEvent::Key('1')));
                backlog.push(Order::Leg(LegEvent::CallerUp));
            }
        }
        let key = Order::Leg(LegEvent::Key('1'));
        let expected = [
            key.clone(),
            Order::Leg(LegEvent::CallerUp),
            key.clone(),
            key,
            Order::Leg(LegEvent::Hold(Hold::Off)),
        ];
        assert_eq!(all(backlog), expected);
    }

    #[test]
    fn a_flood_of_keys_has_a_bound_and_hides_nothing_else() {
        let mut backlog = Backlog::default();
        for _ in 0..100_000 {
            backlog.push(Order::Leg(LegEvent::Key('5')));
        }
        backlog.push(Order::Leg(LegEvent::CallerLeft));
        let all = all(backlog);
        assert_eq!((all.len(), all.last()), (KEYS + 1, Some(&Order::Leg(LegEvent::CallerLeft))));
    }
}
