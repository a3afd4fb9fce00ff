//! The end, whoever makes it and whenever it comes.

use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::sim::asterisk::{self, Ending, Stop, Version};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::pattern;

use super::ladder::{Show, check};
use super::world::{MS, World};

#[test]
fn a_caller_who_hangs_up_in_the_middle_leaves_nothing_behind() {
    let mut world = World::new();
    world.dial(vec![Step::AfterHearing(500 * MS), Step::HangUp]);
    world.run_to(4_000);
    check(
        &world.ladder,
        Show::ALL.from(400),
        "
                   caller    Asterisk  us        model
            0.484  │         │         │◀════════╡  item_1 1500 ms
            0.486  │◀════════╪═════════╡         │  item_1 520 ms
            0.534  │         │         │◀────────┤  done resp_1 completed
            1.000  ├────────▶│         │         │  BYE
            1.001  │         ├────────▶│         │  StasisEnd
            1.001  │         │◀────────┤         │  hang up media
            1.001  │         │◀────────┤         │  delete bridge
            1.001  │         │         ├────────▶│  close
            1.004  │         ├────────▶│         │  StasisEnd (media)
        ",
    );
    assert_eq!(world.left_over(), [""; 0]);
    assert_eq!(world.report(0).reason, EndReason::CallerHungUp);
    assert!(world.servers[0].session.is_over(), "the paid session is closed");
}

#[test]
fn a_caller_may_hang_up_at_any_millisecond_of_the_set_up() {
    for version in [Version::V16, Version::V22] {
        for ms in 0..1_000 {
            let settings = asterisk::Settings { version, ..asterisk::Settings::default() };
            let mut world = World::with(7, settings);
            world.ladder.off();
            world.network.ari = (20 * MS, 30 * MS);
            world.network.events = (10 * MS, 10 * MS);
            let phone = if ms % 2 == 0 { world.dial(vec![]) } else { world.ring(vec![]) };
            world.run_to(ms);
            world.hang_up(phone);
            world.run_for(3_000);
            assert_eq!(world.left_over(), [""; 0], "hung up at {ms} ms");
            for task in 0..world.tasks.len() {
                assert_eq!(world.report(task).reason, EndReason::CallerHungUp, "at {ms} ms of {version:?}");
            }
            let open = world.servers.iter().filter(|server| !server.session.is_over()).count();
            assert_eq!(open, 0, "hung up at {ms} ms");
            assert!(world.violations().is_empty(), "at {ms} ms: {:?}", world.violations());
        }
    }
}

#[test]
fn the_daemon_may_end_the_call_first() {
    let mut world = World::new();
    world.dial(vec![Step::Say(pattern(5_000, 101))]);
    world.run_to(1_000);
    world.grace_over();
    world.run_to(12_000);
    check(
        &world.ladder,
        Show::ALL.from(1_000),
        "
                       caller    Asterisk  us        model
                5.526  │         │         │◀────────┤  speech_stopped
                5.526  │         │         │◀────────┤  created resp_2
                5.826  │         │         │◀════════╡  item_1 2000 ms
                5.826  │◀════════╪═════════╡         │  item_1 2000 ms
                5.892  │         │         │◀────────┤  done resp_2 completed
                5.892  │         │         ├────────▶│  respond: Tell the caller in one short sentence that a colleague takes over the call now.
                5.932  │         │         │◀────────┤  created resp_3
                6.232  │         │         │◀════════╡  item_2 1500 ms
                6.282  │         │         │◀────────┤  done resp_3 completed
                7.826  │◀════════╪═════════╡         │  item_2 1180 ms
                9.000  │         │◀────────┤         │  AI_END_REASON=shutdown
                9.000  │         │◀────────┤         │  hang up media
                9.000  │         │◀────────┤         │  delete bridge
                9.000  │         │         ├────────▶│  close
                9.003  │         ├────────▶│         │  StasisEnd (media)
                9.004  │         │◀────────┤         │  continue
                9.006  │         ●         │         │  dialplan goes on at 5
                9.007  │         ├────────▶│         │  StasisEnd
                9.008  │         │         ●         │  ! CallHandedBack
        ",
    );
    assert_eq!(world.left_over(), [""; 0]);
    assert_eq!(world.outcome(0).variables, [("AI_END_REASON".to_owned(), "shutdown".to_owned())]);
    assert!(matches!(world.outcome(0).ended, Some(Ending::Continued { priority: 5, .. })));
}

#[test]
fn the_daemon_may_end_the_call_at_any_moment_of_the_set_up() {
    for ms in 0..400 {
        let mut world = World::with(ms, asterisk::Settings::default());
        world.ladder.off();
        world.network.ari = (20 * MS, 30 * MS);
        let phone = if ms % 2 == 0 { world.dial(vec![]) } else { world.ring(vec![]) };
        world.run_to(ms);
        world.grace_over();
        world.run_for(4_000);
        assert_eq!(world.left_over(), [""; 0], "ended at {ms} ms");
        let ended = world.outcome(phone).ended.clone();
        assert!(matches!(ended, Some(Ending::Continued { .. })), "at {ms} ms: {ended:?}");
        assert!(world.live.is_empty());
    }
}

#[test]
fn a_lost_media_channel_gives_the_caller_back() {
    let mut world = World::new();
    world.dial(vec![]);
    world.run_to(1_000);
    world.lose_media(0);
    world.run_to(3_000);
    check(
        &world.ladder,
        Show::ALL.from(1_000),
        "
                   caller    Asterisk  us        model
            1.001  │         ├────────▶│         │  StasisEnd (media)
            1.001  │         │◀────────┤         │  AI_END_REASON=media_lost
            1.001  │         │◀────────┤         │  delete bridge
            1.001  │         │         ├────────▶│  close
            1.005  │         │◀────────┤         │  continue
            1.007  │         ●         │         │  dialplan goes on at 5
            1.008  │         ├────────▶│         │  StasisEnd
            1.009  │         │         ●         │  ! CallHandedBack
        ",
    );
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn an_asterisk_that_stops_takes_its_calls_with_it() {
    for how in [Stop::Terminate, Stop::Kill] {
        let mut world = World::new();
        world.dial(vec![]);
        world.run_to(1_000);
        world.stop_asterisk(how);
        world.run_for(3_000);
        world.asterisk.start(world.now);
        world.run_for(5_000);
        assert!(world.live.is_empty(), "{how:?}");
        assert_eq!(world.report(0).reason, EndReason::AsteriskLost);
        assert!(world.servers[0].session.is_over());
        let phone = world.dial(vec![]);
        world.run_for(3_000);
        assert_eq!(world.heard(phone), *pattern(1_500, 1), "the next caller is greeted after {how:?}");
    }
}
