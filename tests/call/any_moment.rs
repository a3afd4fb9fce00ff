//! Something befalls the daemon at each moment of a call's set-up and of its end. Whatever it is and whenever it comes, the
//! caller is let go, and nothing of the call is left in Asterisk.

use openai_inbound_calls::sim::asterisk::{IncomingCall, Settings, Version};
use openai_inbound_calls::sim::caller::Step;

use super::exchange::Machine;
use super::world::{MS, World, rules};

/// How long the caller stays after the answer.
const STAYS_MS: u64 = 2_000;
/// From one moment to the next. A prime, so that the moments fall differently in each phase.
const STEP_MS: usize = 13;

/// At each moment of the set-up and of the end of a call, this happens. Afterwards another daemon starts if the first has
/// ended, and the caller hangs up if they are still served.
fn at_any_moment(happens: impl Fn(&mut World)) {
    let set_up = (0..400).step_by(STEP_MS);
    let end = (STAYS_MS..STAYS_MS + 400).step_by(STEP_MS);
    for (n, ms) in set_up.chain(end).enumerate() {
        let version = if n % 2 == 0 { Version::V22 } else { Version::V16 };
        let mut world = World::with(ms, Settings { version, ..Settings::default() });
        world.ladder.off();
        world.network.ari = (20 * MS, 30 * MS);
        world.network.events = (10 * MS, 20 * MS);
        let call = IncomingCall { answered: n % 3 > 0, ..IncomingCall::default() };
        let phone = world.dial_as(call, vec![Step::Pause(MS * STAYS_MS as u32), Step::HangUp]);
        world.run_to(ms);
        happens(&mut world);
        world.run_to(10_000);
        for daemon in 0..world.daemons.len() {
            if world.daemons[daemon].is_gone {
                world.kill(daemon, 0);
            }
        }
        world.run_for(2_000);
        world.hang_up(phone);
        world.run_for(15_000);
        let ended = &world.outcome(phone).ended;
        assert!(ended.is_some(), "at {ms} ms the caller is kept in the application");
        assert!(world.live.is_empty(), "at {ms} ms a call does not end");
        assert_eq!(world.left_over(), [""; 0], "left over at {ms} ms");
    }
}

#[test]
fn the_event_socket_is_lost() {
    at_any_moment(|world| world.lose_ari(0));
}

#[test]
fn asterisk_cannot_be_reached_for_a_while() {
    at_any_moment(|world| world.lose_ari(700));
}

#[test]
fn the_daemon_is_killed_and_the_next_finds_what_asterisk_still_holds() {
    at_any_moment(|world| world.kill(0, 300));
}

#[test]
fn the_daemon_stops_and_gives_calls_a_second() {
    at_any_moment(|world| world.stop(0, 1_000));
}

#[test]
fn a_second_daemon_takes_the_application() {
    at_any_moment(|world| {
        world.start_daemon(rules());
    });
}

#[test]
fn a_second_daemon_takes_the_application_and_the_first_takes_it_back() {
    at_any_moment(|world| {
        world.start_daemon(rules());
        world.run_for(150);
        world.cut_link(0);
    });
}

#[test]
fn the_daemon_is_overloaded() {
    at_any_moment(|world| world.burden(Machine::Overloaded));
}

#[test]
fn the_operator_takes_no_more_calls() {
    at_any_moment(|world| world.take_at_most(0));
}
