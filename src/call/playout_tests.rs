//! What leaves for the caller at each tick, what was heard of an item, and what may not happen to the queue.

use std::time::Duration;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;

use super::*;

/// A playout that started at the returned instant, and has one response with the given items queued.
fn playout(items: &[(&str, usize)]) -> (Playout, Instant) {
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
    let now = Instant::now();
    let mut playout = Playout::new(rtp::Stream::new(1, 0, 0));
    playout.start(now);
    playout.open();
    for (item, bytes) in items {
        let audio = STANDARD.encode(vec![item.as_bytes()[0]; *bytes]);
        playout.push(&"r".into(), &(*item).into(), 0, &audio).expect("there is room");
    }
    (playout, now)
}

fn run(playout: &mut Playout, now: Instant) -> (Vec<Vec<u8>>, Vec<Played>) {
    let (mut packets, mut played) = (Vec::new(), Vec::new());
    let mut leave = |left: Left<'_>| match left {
        Left::Frame(_, packet) => packets.push(packet[rtp::HEADER_BYTES..].to_vec()),
        Left::Skipped(_) => {}
    };
    playout.due(now, &mut leave, &mut played);
    (packets, played)
}

#[test]
fn an_item_that_ends_within_a_frame_is_followed_by_the_next_without_a_gap() {
    let (mut playout, now) = playout(&[("a", 200), ("b", 120)]);
    playout.complete(&"b".into());
    let (packets, played) = run(&mut playout, now + Duration::from_millis(40));
    assert_eq!(packets[0], [b'a'; 160]);
    assert_eq!(packets[1], [[b'a'; 40].as_slice(), &[b'b'; 120]].concat());
    assert_eq!(packets[2], Frame::SILENCE.0);
    assert_eq!(
        played.iter().map(|played| (played.item.as_str(), played.ms)).collect::<Vec<_>>(),
        [("a", 25), ("b", 15)]
    );
}

#[test]
fn the_rest_of_a_frame_waits_for_the_next_delta_and_is_padded_only_at_the_end() {
    let (mut playout, now) = playout(&[("a", 100)]);
    assert_eq!(run(&mut playout, now).0, [Frame::SILENCE.0]);
    assert_eq!(playout.counts.underruns, 0, "nothing of it was heard yet");
    playout.complete(&"a".into());
    let (packets, _) = run(&mut playout, now + FRAME_DURATION);
    assert_eq!(packets, [[[b'a'; 100].as_slice(), &[0xFF; 60]].concat()]);
}

#[test]
fn what_was_heard_is_what_has_left() {
    let (mut playout, now) = playout(&[("a", 160), ("b", 800), ("c", 160)]);
    let _ = run(&mut playout, now + Duration::from_millis(45));
    let cut = playout.interrupt(None);
    let cut: Vec<_> = cut.iter().map(|heard| (heard.item.as_str(), heard.ms, heard.received_ms)).collect();
    assert_eq!(cut, [("b", 40, 100), ("c", 0, 20)], "a was heard to its end");
    assert_eq!(run(&mut playout, now + Duration::from_millis(60)).0, [Frame::SILENCE.0]);
}

#[test]
#[should_panic(expected = "the bytes that wait are not those of the items that wait")]
fn a_byte_that_belongs_to_no_item_ends_the_call() {
    let (mut playout, now) = playout(&[("a", 320)]);
    playout.queue.push_back(b'x');
    let _ = run(&mut playout, now);
}

#[test]
#[should_panic(expected = "the bytes that wait are not those of the items that wait")]
fn a_byte_that_is_lost_in_an_interruption_ends_the_call() {
    let (mut playout, _) = playout(&[("a", 320), ("b", 160)]);
    playout.attributed += 1;
    let _ = playout.interrupt(Some(&"r".into()));
}

#[test]
#[should_panic(expected = "more speech waits than may wait")]
fn a_queue_beyond_its_bound_ends_the_call() {
    let (mut playout, _) = playout(&[]);
    playout.queue = vec![1; QUEUE_BYTES].into();
    playout.attributed = QUEUE_BYTES;
    playout.queue.push_back(1);
    playout.attribute(&"r".into(), &"a".into(), 0, QUEUE_BYTES);
}

#[test]
#[should_panic(expected = "more of an item was heard than was received")]
fn an_item_of_which_more_is_heard_than_came_ends_the_call() {
    let (mut playout, now) = playout(&[("a", 320)]);
    playout.segments[0].played = 321;
    let _ = run(&mut playout, now);
}

#[test]
fn what_must_not_be_interrupted_stays_in_the_queue() {
    let (mut playout, now) = playout(&[("a", 320)]);
    playout.push(&"other".into(), &"b".into(), 0, &STANDARD.encode([b'b'; 160])).expect("there is room");
    let _ = run(&mut playout, now);
    assert_eq!(playout.interrupt(Some(&"r".into())).len(), 1);
    assert_eq!(run(&mut playout, now + FRAME_DURATION).0, [[b'a'; 160]]);
}

#[test]
fn a_short_stall_is_made_up_and_a_long_one_moves_the_clock() {
    let (mut playout, now) = playout(&[("a", 1_600)]);
    assert_eq!(run(&mut playout, now + Duration::from_millis(99)).0.len(), 5);
    assert_eq!(playout.counts.late_frames, 0);
    assert_eq!(run(&mut playout, now + Duration::from_millis(1_099)).0.len(), 5);
    assert_eq!(playout.counts.late_frames, 45);
    assert_eq!(playout.deadline(), Some(now + Duration::from_millis(1_100)));
    assert!(!playout.is_speaking(), "nothing of the item was lost to the stall");
}

#[test]
fn bad_base64_and_too_much_speech_are_refused() {
    let (mut playout, _) = playout(&[]);
    assert_eq!(playout.push(&"r".into(), &"i".into(), 0, "%%%%"), Err(Dropped::Malformed));
    let half = format!("{}%%%%", STANDARD.encode([1; 1_200]));
    assert_eq!(playout.push(&"r".into(), &"i".into(), 0, &half), Err(Dropped::Malformed));
    assert_eq!((playout.queue.len(), playout.segments.len()), (0, 0), "nothing of it is queued");
    let minute = STANDARD.encode(vec![1; 60 * 8_000]);
    for _ in 0..10 {
        playout.push(&"r".into(), &"i".into(), 0, &minute).expect("there is room");
    }
    assert_eq!(playout.push(&"r".into(), &"i".into(), 0, &minute), Err(Dropped::Full));
    assert_eq!(playout.queue.len(), 10 * 60 * 8_000);
}

#[test]
fn a_server_that_begins_an_item_with_every_piece_is_not_followed_without_end() {
    let (mut playout, _) = playout(&[]);
    let piece = STANDARD.encode([7; 3]);
    let mut queued = 0;
    for n in 0..2 * SEGMENTS {
        queued += usize::from(playout.push(&"r".into(), &(&*format!("item_{n}")).into(), 0, &piece).is_ok());
    }
    assert_eq!(queued, SEGMENTS);
    let last = format!("item_{}", SEGMENTS - 1);
    assert!(playout.push(&"r".into(), &(&*last).into(), 0, &piece).is_ok(), "the last item goes on");
}
