//! Worlds in which a call leaves something in Asterisk and nobody calls afterwards, for as long as it takes until the daemon
//! looks for it. Some daemons are stopped just then.

use std::time::Duration;

use openai_inbound_calls::sim::asterisk::Fault;

use super::troubles::{Trouble, happen, late_call};
use crate::world::{Dice, MS, World};

/// The call of the evening has ended by then, whatever its end was kept up by.
const QUIET_MS: u64 = 30_000;
/// By then the daemon has looked for what is left, and Asterisk has removed it.
const CLEAN_MS: u64 = 100_000;

/// Lives through the evening. Returns when everybody is sent home.
pub(super) fn live_through(world: &mut World, dice: &mut Dice) -> u64 {
    let hangs_up = 2_000 + dice.below(3_000);
    happen(world, late_call(dice));
    world.run_to(hangs_up);
    for path in ["/channels/oic-media", "/bridges/oic-bridge"] {
        if !dice.one_in(4) {
            world.asterisk.fail_next("DELETE", path, Fault::DoneLater(QUIET_MS as u32 * MS));
        }
    }
    happen(world, Trouble::HangUp { phone: 0 });
    world.run_to(QUIET_MS - 5_000);
    world.asterisk.forget_removals();
    world.run_to(QUIET_MS);
    let looks_at = world.daemons[0].exchange.deadline().filter(|_| dice.one_in(2));
    let Some(looks_at) = looks_at else {
        world.run_to(CLEAN_MS);
        // Nothing happens in a world in which nobody looks, and so nothing is judged by itself.
        world.hold_daemons();
        return CLEAN_MS;
    };
    let looks_at = looks_at.saturating_duration_since(world.start).as_millis() as u64;
    // What the daemon asks then, and what it asks before its end, is answered while it stops.
    world.run_to(looks_at - 1_000);
    for _ in 0..2 {
        let answered_after = Duration::from_millis(2_000 + dice.below(500));
        world.asterisk.fail_next("GET", "/applications", Fault::Delay(answered_after));
    }
    looks_at - 500 + dice.below(1_500)
}
