//! Tests of what a wire does to datagrams, and that the same seed repeats it.

use super::*;

/// Sends `count` datagrams, 20 ms apart, and returns what arrives as (milliseconds since the first was sent,
/// number).
fn run(seed: u64, impairment: Impairment, count: u32) -> Vec<(u128, u32)> {
    let start = crate::sim::epoch();
    let mut wire = Wire::new(seed, impairment);
    let mut arrived = Vec::new();
    let mut collect = |wire: &mut Wire, until: Instant| {
        while let Some(due) = wire.deadline().filter(|due| *due <= until) {
            wire.advance(due);
            while let Some(datagram) = wire.poll() {
                let number = u32::from_be_bytes(datagram.try_into().expect("four bytes were sent"));
                arrived.push(((due - start).as_millis(), number));
            }
        }
    };
    for number in 0..count {
        let now = start + Duration::from_millis(20) * number;
        collect(&mut wire, now);
        wire.send(now, number.to_be_bytes().to_vec());
    }
    collect(&mut wire, start + Duration::from_hours(1));
    arrived
}

const BAD: Impairment = Impairment {
    latency: Duration::from_millis(30),
    jitter: Duration::from_millis(15),
    loss: 0.05,
    reorder: 0.05,
    duplicate: 0.05,
};

#[test]
fn a_good_wire_changes_nothing() {
    let expected: Vec<_> = (0..50).map(|n| (u128::from(n) * 20, n)).collect();
    assert_eq!(run(1, Impairment::default(), 50), expected);
}

#[test]
fn the_same_seed_gives_the_same_world() {
    assert_eq!(run(7, BAD, 2000), run(7, BAD, 2000));
    assert_ne!(run(7, BAD, 2000), run(8, BAD, 2000));
}

#[test]
fn a_bad_wire_loses_doubles_and_swaps_about_as_asked() {
    let arrived = run(3, BAD, 10_000);
    let mut numbers: Vec<_> = arrived.iter().map(|(_, number)| *number).collect();
    let swapped = numbers.windows(2).filter(|pair| pair[1] < pair[0]).count();
    let total = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert!((9400..9600).contains(&numbers.len()), "lost {}", 10_000 - numbers.len());
    assert!((400..560).contains(&(total - numbers.len())), "doubled {}", total - numbers.len());
    assert!((250..560).contains(&swapped), "swapped {swapped}");
}

#[test]
fn jitter_alone_keeps_the_order_and_its_bounds() {
    let jitter = Impairment {
        latency: Duration::from_millis(30),
        jitter: Duration::from_millis(60),
        ..Impairment::default()
    };
    let arrived = run(5, jitter, 1000);
    assert!(arrived.is_sorted_by_key(|(_, number)| *number));
    assert!(arrived.iter().all(|(at, number)| (30..=90).contains(&(at - u128::from(*number) * 20))));
    assert!(arrived.windows(2).any(|pair| pair[1].0 == pair[0].0), "bunches do occur");
}
