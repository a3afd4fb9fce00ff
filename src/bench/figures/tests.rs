//! Tests of the counting with made-up data.

use super::*;

const MS: Duration = Duration::from_millis(1);

fn faults(lost: u64, doubled: u64, disordered: u64) -> Faults {
    Faults { lost, doubled, disordered }
}

#[test]
fn a_spread_is_of_what_was_measured() {
    let spread = Spread::of((1..=1_000).rev().map(f64::from).collect());
    let whole = [spread.p50, spread.p99, spread.p999, spread.worst].map(|ms| ms as u32);
    assert_eq!(whole, [501, 991, 1_000, 1_000]);
    assert_eq!(Spread::of(Vec::new()).count, 0);
}

#[test]
fn what_the_model_got_is_counted() {
    assert_eq!(in_order(&[0, 1, 2], 3), faults(0, 0, 0));
    assert_eq!(in_order(&[0, 1, 2], 2), faults(0, 0, 0));
    assert_eq!(in_order(&[0, 2, 2, 3, 1], 5), faults(2, 1, 1));
}

/// Marked frames that arrive 20 ms apart, the first one at `ms`.
fn heard(base: Instant, ms: u32, speaker: u32, frames: Range<u32>) -> Vec<(Instant, Option<Mark>)> {
    let first = frames.start;
    frames.map(|frame| (base + (ms + 20 * (frame - first)) * MS, Some(Mark { speaker, frame }))).collect()
}

#[test]
fn an_answer_ends_with_its_last_frame_or_with_an_interruption() {
    let base = crate::clock::now();
    let end = base + 60_000 * MS;
    let greeting = heard(base, 0, GREETING, 0..GREETING_FRAMES);
    let cut = heard(base, 3_000, ASSISTANT, 0..50);
    let whole = heard(base, 6_000, ASSISTANT, 0..ANSWER_FRAMES);
    let all = [&greeting[..], &cut, &whole].concat();
    assert_eq!(answers_in_order(&all, &[base + 3_990 * MS], end), faults(0, 0, 0));
    assert_eq!(answers_in_order(&all, &[], end), faults(150, 0, 0));
    assert_eq!(answers_in_order(&all[..100], &[], base + 3_600 * MS), faults(0, 0, 0), "the run was over");
    let mut torn = whole;
    torn.remove(7);
    torn.insert(20, torn[19]);
    assert_eq!(answers_in_order(&torn, &[], end), faults(1, 1, 0));
}

#[test]
fn marked_frames_are_found_wherever_they_begin() {
    let sound = [&[0xFF; 41][..], &super::super::marks::marked(7, 3, 2), &[0xFF; 160]].concat();
    let mark = |frame| Mark { speaker: 7, frame };
    assert_eq!(frames(&sound), [(mark(3), 41), (mark(4), 201)]);
}
