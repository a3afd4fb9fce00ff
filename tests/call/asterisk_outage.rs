//! Asterisk's REST interface and event socket fail; the sound does not pass through them.

use std::time::Duration;

use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::{Detail, Notice};
use openai_inbound_calls::sim::asterisk::{Ending, Fault, MediaReply, Settings};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, pattern};

use super::ladder::{Lane, Show, check};
use super::world::{MS, World};

#[test]
fn a_call_goes_on_while_the_event_socket_is_lost() {
    let mut world = World::new();
    world.model(|script| script.greeting = Some(Answer::pattern("Un saludo largo.", 6_000, 1)));
    world.dial(vec![Step::Pause(500 * MS), Step::Pause(8_000 * MS)]);
    world.run_to(1_000);
    world.lose_ari(3_000);
    world.run_to(9_000);
    assert_eq!(world.heard(0), *pattern(6_000, 1), "not a frame is missing");
    assert!(world.live.len() == 1 && world.daemons[0].notices.contains(&Notice::AriLost));
    world.hang_up(0);
    world.run_for(2_000);
    assert_eq!(world.report(0).reason, EndReason::CallerHungUp);
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn after_an_outage_callers_who_left_are_let_go() {
    let mut world = World::new();
    world.dial(vec![]);
    world.run_to(1_000);
    world.lose_ari(3_000);
    world.run_for(1_000);
    world.hang_up(0);
    world.run_for(5_000);
    check(
        &world.ladder,
        Show::ALL.from(1_000),
        "
                       caller    Asterisk  us        model
                2.000  ├────────▶│         │         │  BYE
                4.005  │         │◀────────┤         │  hang up media
                4.005  │         │◀────────┤         │  delete bridge
                4.005  │         │         ├────────▶│  close
                4.008  │         ├────────▶│         │  StasisEnd (media)
        ",
    );
    assert_eq!(world.left_over(), [""; 0]);
    assert_eq!(world.report(0).reason, EndReason::CallerHungUp);
}

#[test]
fn after_an_outage_a_caller_who_waits_is_found_and_served() {
    let mut world = World::new();
    world.run_to(10);
    world.network.events = (50 * MS, Duration::ZERO);
    world.dial(vec![]);
    world.run_to(20);
    // He is in the application, but the news of him is lost with the socket.
    world.lose_ari(1_000);
    world.network.events = (MS, Duration::ZERO);
    world.run_to(5_000);
    check(
        &world.ladder,
        Show::ALL,
        "
                       caller    Asterisk  us        model
                0.010  │◀────────┤         │         │  200 OK
                1.078  │         │◀────────┤         │  create bridge
                1.078  │         │◀────────┤         │  external media
                1.078  │         │         ├────────▶│  connect
                1.084  │         ├────────▶│         │  Up (media)
                1.084  │         ├────────▶│         │  StasisStart (media)
                1.084  │         │◀────────┤         │  join
                1.178  │         │         │◀────────┤  connected
                1.178  │         │         │◀────────┤  session.created
                1.178  │         │         ├────────▶│  session.update
                1.218  │         │         │◀────────┤  session.updated
                1.218  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
                1.258  │         │         │◀────────┤  created resp_1
                1.558  │         │         │◀════════╡  item_1 1500 ms
                1.576  │◀════════╪═════════╡         │  item_1 1500 ms
                1.608  │         │         │◀────────┤  done resp_1 completed
        ",
    );
    assert_eq!(world.heard(0), *pattern(1_500, 1), "he is greeted");
}

#[test]
fn a_caller_who_waits_is_asked_for_until_asterisk_answers() {
    let mut world = World::new();
    world.run_to(10);
    world.network.events = (50 * MS, Duration::ZERO);
    world.dial(vec![]);
    world.run_to(20);
    world.lose_ari(1_000);
    for fault in [Fault::Status(500), Fault::ConnectionLost, Fault::OkButReplyLost] {
        world.asterisk.fail_next("GET", "/channels/", fault);
    }
    world.run_to(6_000);
    assert_eq!(world.heard(0), *pattern(1_500, 1), "he is greeted");
}

#[test]
fn after_an_outage_what_belongs_to_nobody_is_removed() {
    let mut world = World::new();
    world.dial(vec![]);
    world.run_to(1_000);
    // The daemon stops while nothing can be undone, and gives up.
    world.lose_ari(22_000);
    world.grace_over();
    world.run_for(19_000);
    assert!(world.live.is_empty(), "the task is over");
    assert!(!world.left_over().is_empty());
    world.hang_up(0);
    world.crash(0);
    world.run_for(5_000);
    assert_eq!(world.left_over(), [""; 0], "found and removed by the next daemon");
}

/// How often the call has said this.
fn said(world: &World, is_it: impl Fn(&Notice) -> bool) -> usize {
    world.tasks[0].notices.iter().filter(|notice| is_it(notice)).count()
}

fn is_handed_back(notice: &Notice) -> bool {
    matches!(notice, Notice::CallHandedBack { .. })
}

#[test]
fn a_caller_whom_asterisk_does_not_let_go_is_tried_for_as_long_as_they_are_there() {
    let mut world = World::new();
    world.asterisk.set_read_only(true);
    world.dial(vec![]);
    world.run_to(60_000);
    let forbidden = |name: &str| {
        let (request, message) = (name.to_owned(), Detail::new(r#"{"message":"Write access denied"}"#));
        Notice::RequestForbidden { request, status: 403, message }
    };
    let channel = world.outcome(0).channel.clone();
    let refused = forbidden(&format!("POST /channels/{channel}/continue"));
    assert!(world.tasks[0].notices.contains(&forbidden("POST /bridges")), "{:?}", world.tasks[0].notices);
    assert_eq!(said(&world, |notice| *notice == refused), 1, "once, not at every try");
    assert_eq!(said(&world, |notice| *notice == Notice::CallerStuck), 1);
    assert_eq!(said(&world, is_handed_back), 0, "they are not back yet");
    assert!(world.outcome(0).ended.is_none() && world.live.len() == 1, "and the call is not over");
    let tries = world.ladder.texts(0, Lane::Us, Lane::Asterisk);
    let tries = tries.iter().filter(|text| **text == "continue").count();
    assert!(tries < 40, "slowly: {tries} in a minute");
    world.asterisk.set_read_only(false);
    world.run_for(6_000);
    assert!(matches!(world.outcome(0).ended, Some(Ending::Continued { .. })));
    assert_eq!(said(&world, is_handed_back), 1);
    assert_eq!(world.report(0).reason, EndReason::SetupFailed);
    let told = &world.outcome(0).variables;
    assert_eq!(told[..], [("AI_END_REASON".to_owned(), "setup_failed".to_owned())], "the dialplan knows why");
    assert!(world.live.is_empty() && world.left_over() == [""; 0]);
}

#[test]
fn a_caller_who_hangs_up_while_asterisk_does_not_let_them_go_was_not_handed_back() {
    let mut world = World::new();
    world.asterisk.set_read_only(true);
    world.dial(vec![]);
    world.run_to(20_000);
    world.hang_up(0);
    world.run_for(1_000);
    assert!(world.live.is_empty());
    assert_eq!((said(&world, is_handed_back), world.report(0).reason), (0, EndReason::SetupFailed));
}

#[test]
fn a_daemon_that_stops_gives_up_a_caller_whom_asterisk_does_not_let_go() {
    let mut world = World::new();
    world.asterisk.set_read_only(true);
    world.dial(vec![]);
    world.run_to(60_000);
    world.grace_over();
    world.run_for(9_000);
    assert_eq!(world.live.len(), 1);
    world.run_for(2_000);
    assert!(world.live.is_empty(), "systemd does not wait for ever");
    assert_eq!(said(&world, is_handed_back), 0);
}

#[test]
fn a_caller_is_handed_back_when_asterisks_channels_have_hung_for_long() {
    let mut world = World::new();
    world.asterisk.hang(world.now, "/channels", 40_000 * MS);
    world.dial(vec![]);
    world.run_to(39_000);
    let unanswered = |notice: &Notice| matches!(notice, Notice::RequestUnanswered { request, .. } if request == "POST /channels/externalMedia");
    assert_eq!((said(&world, unanswered), said(&world, is_handed_back)), (1, 0));
    world.run_to(46_000);
    assert!(matches!(world.outcome(0).ended, Some(Ending::Continued { .. })));
    assert_eq!((said(&world, is_handed_back), world.report(0).reason), (1, EndReason::AsteriskLost));
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn a_set_up_that_asterisk_refuses_is_told_with_request_status_and_message() {
    for path in ["/bridges", "/channels/externalMedia", "/addChannel"] {
        for refused in [400, 404, 409, 422, 500] {
            let mut world = World::new();
            world.asterisk.fail_next("POST", path, Fault::Status(refused));
            world.dial(vec![]);
            world.run_to(3_000);
            let named = |notice: &Notice| match notice {
                Notice::RequestRefused { request, status, message } => {
                    let is_it = request.starts_with("POST ") && request.contains(path);
                    is_it && *status == refused && message.to_string().contains("Scripted fault")
                }
                _ => false,
            };
            assert_eq!(said(&world, named), 1, "{path} {refused}: {:?}", world.tasks[0].notices);
            assert_eq!(said(&world, is_handed_back), 1, "{path} {refused}");
        }
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_told() {
    let mut world = World::new();
    world.asterisk.fail_next("POST", "/channels/externalMedia", Fault::Unreadable);
    world.dial(vec![]);
    world.run_to(3_000);
    let request = "POST /channels/externalMedia".to_owned();
    let answer = Detail::new("<html>proxy</html>");
    assert!(world.tasks[0].notices.contains(&Notice::AnswerUnreadable { request, answer }));
    assert_eq!(world.left_over(), [""; 0], "and what was made is unmade");
}

#[test]
fn a_set_up_that_fails_because_the_caller_hangs_up_is_no_fault_of_asterisk() {
    let mut world = World::new();
    world.network.events = (50 * MS, Duration::ZERO);
    // The caller goes while the two are being joined: the refusal overtakes the news of it.
    world.dial(vec![Step::Pause(55 * MS), Step::HangUp]);
    world.run_to(3_000);
    assert!(world.ladder.texts(0, Lane::Us, Lane::Asterisk).contains(&"join"), "it was too late for that");
    assert_eq!(world.report(0).reason, EndReason::CallerHungUp);
    assert_eq!(said(&world, |notice| matches!(notice, Notice::RequestRefused { .. })), 0);
}

#[test]
fn an_application_that_is_not_there_after_a_connect_is_connected_again() {
    let mut world = World::new();
    world.run_to(10);
    world.asterisk.fail_next("GET", "/applications/", Fault::Status(404));
    world.lose_ari(0);
    world.run_to(5_000);
    let connected = world.daemons[0].notices.iter().filter(|notice| **notice == Notice::AriConnected).count();
    assert_eq!(connected, 2);
    world.dial(vec![]);
    world.run_for(3_000);
    assert_eq!(world.heard(0), *pattern(1_500, 1));
}

#[test]
fn a_refused_bridge_or_media_channel_gives_the_caller_back() {
    for path in ["/bridges", "/channels/externalMedia", "/addChannel"] {
        for fault in [Fault::Status(500), Fault::Status(404), Fault::ConnectionLost, Fault::OkButReplyLost] {
            let lost = matches!(fault, Fault::ConnectionLost | Fault::OkButReplyLost);
            if lost && path == "/addChannel" {
                continue;
            }
            let mut world = World::new();
            world.asterisk.fail_next("POST", path, fault);
            world.dial(vec![]);
            world.run_to(8_000);
            let ended = &world.outcome(0).ended;
            assert!(matches!(ended, Some(Ending::Continued { .. })), "{path} {fault:?}: {ended:?}");
            let (name, value) = &world.outcome(0).variables[0];
            assert_eq!(name, "AI_END_REASON");
            assert!(["setup_failed", "asterisk_lost"].contains(&value.as_str()), "{value}");
            assert_eq!(world.left_over(), [""; 0], "{path} {fault:?}");
            assert!(world.live.is_empty());
        }
    }
}

#[test]
fn an_early_16_that_wraps_its_media_channel_is_understood() {
    let settings = Settings { media_reply: MediaReply::Around, ..Settings::default() };
    let mut world = World::with(1, settings);
    world.dial(vec![]);
    world.run_to(3_000);
    assert_eq!(world.heard(0), *pattern(1_500, 1), "the caller is greeted");
}

#[test]
fn what_may_be_asked_twice_is_asked_again_when_the_answer_is_lost() {
    for path in ["/addChannel", "/answer"] {
        for fault in [Fault::ConnectionLost, Fault::OkButReplyLost] {
            let mut world = World::new();
            world.asterisk.fail_next("POST", path, fault);
            world.ring(vec![]);
            world.run_to(8_000);
            assert_eq!(world.heard(0), *pattern(1_500, 1), "{path} {fault:?}");
        }
    }
}

#[test]
fn what_could_not_be_undone_is_tried_again() {
    for fault in [Fault::Status(500), Fault::ConnectionLost, Fault::OkButReplyLost, Fault::Delay(5_000 * MS)]
    {
        let mut world = World::new();
        for path in ["/channels/oic-media", "/bridges/oic-bridge"] {
            world.asterisk.fail_next("DELETE", path, fault);
            world.asterisk.fail_next("DELETE", path, fault);
        }
        world.dial(vec![Step::Pause(1_000 * MS), Step::HangUp]);
        world.run_to(11_500);
        assert_eq!(world.left_over(), [""; 0], "{fault:?}");
        assert!(world.live.is_empty(), "{fault:?}");
    }
}

#[test]
fn a_caller_who_cannot_be_handed_back_at_once_is_handed_back_later() {
    let mut world = World::new();
    world.dial(vec![]);
    world.run_to(1_000);
    world.asterisk.fail_next("POST", "/variable", Fault::Status(500));
    world.asterisk.fail_next("POST", "/continue", Fault::ConnectionLost);
    world.asterisk.fail_next("POST", "/continue", Fault::Status(500));
    world.grace_over();
    world.run_to(8_000);
    check(
        &world.ladder,
        Show::ALL.from(2_500),
        "
                       caller    Asterisk  us        model
                3.866  │         │◀────────┤         │  AI_END_REASON=shutdown
                3.866  │         │◀────────┤         │  hang up media
                3.866  │         │◀────────┤         │  delete bridge
                3.866  │         │         ├────────▶│  close
                3.869  │         ├────────▶│         │  StasisEnd (media)
                3.870  │         ├────────▶│         │  500: AI_END_REASON=shutdown
                3.870  │         │◀────────┤         │  continue
                3.874  │         ├────────▶│         │  no answer: continue
                3.874  │         │         ●         │  ! RequestUnanswered
                3.874  │         │         ●         │  ! CallerStuck
                4.374  │         │◀────────┤         │  AI_END_REASON=shutdown
                4.378  │         │◀────────┤         │  continue
                4.382  │         ├────────▶│         │  500: continue
                4.882  │         │◀────────┤         │  continue
                4.884  │         ●         │         │  dialplan goes on at 5
                4.885  │         ├────────▶│         │  StasisEnd
                4.886  │         │         ●         │  ! CallHandedBack
        ",
    );
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn after_a_crash_a_busy_asterisk_is_waited_for_until_what_was_left_is_gone() {
    let mut world = World::new();
    world.dial(vec![Step::Pause(20_000 * MS)]);
    world.run_to(1_000);
    // It says that it removes them, and takes its time.
    for path in ["/channels/oic-media", "/bridges/oic-bridge"] {
        world.asterisk.fail_next("DELETE", path, Fault::DoneLater(200 * MS));
    }
    world.crash(300);
    world.run_to(6_000);
    assert_eq!(world.tasks.len(), 2, "the caller is served again");
    assert!(world.outcome(0).ended.is_none(), "{:?}", world.outcome(0).ended);
    assert!(world.heard(0).ends_with(&pattern(1_500, 1)), "and greeted again");
    world.hang_up(0);
    world.run_for(3_000);
    assert_eq!(world.left_over(), [""; 0]);
}
