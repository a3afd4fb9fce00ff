//! Who is heard: the named source, a learned one, and nobody beside them.

use proptest::prelude::*;

use super::*;
use crate::media::rtp::PAYLOAD_ULAW;

const NAMED: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 30_000);
const ROUTER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(172, 17, 0, 1)), 41_234);
const FORGER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 66)), 30_000);

const LEARNED: Change = Change::Learned { named: NAMED, source: ROUTER };

/// A source whose address has been named, on a clock that the test moves.
struct Bench {
    source: Source,
    now: Instant,
    changes: Vec<Change>,
}

impl Bench {
    fn new(trust: Trust) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
        let now = Instant::now();
        let mut source = Source::new(trust, None);
        source.named(NAMED);
        Self { source, now, changes: Vec::new() }
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    /// Whether the packet is taken.
    fn packet(&mut self, from: SocketAddr, ssrc: u32, sequence: u16) -> bool {
        let payload = [0x55; 160];
        let timestamp = u32::from(sequence) * 160;
        let payload_type = PAYLOAD_ULAW;
        let packet = Packet { payload_type, marker: false, sequence, timestamp, ssrc, payload: &payload };
        let (takes, change) = self.source.judge(self.now, from, &packet);
        self.changes.extend(change);
        takes
    }

    /// So many packets 20 ms apart; how many are taken.
    fn stream(&mut self, from: SocketAddr, ssrc: u32, sequences: std::ops::Range<u16>) -> usize {
        let mut taken = 0;
        for sequence in sequences {
            taken += usize::from(self.packet(from, ssrc, sequence));
            self.pass(20);
        }
        taken
    }
}

#[test]
fn the_named_source_is_heard_from_its_first_packet_and_nobody_else_any_more() {
    let mut bench = Bench::new(Trust::Learn);
    assert_eq!(bench.stream(NAMED, 1, 0..10), 10);
    assert_eq!(bench.stream(FORGER, 2, 0..500), 0);
    assert_eq!(bench.changes, [Change::Locked(NAMED)]);
}

#[test]
fn a_source_is_learned_after_probation_and_locked_after_five_seconds() {
    let mut bench = Bench::new(Trust::Learn);
    assert_eq!(bench.stream(ROUTER, 1, 65_530..65_534), 0, "on probation");
    assert_eq!(bench.stream(ROUTER, 1, 65_534..65_535), 1);
    assert_eq!(bench.changes, [LEARNED]);
    assert_eq!(bench.stream(FORGER, 2, 0..10), 0);
    assert_eq!(bench.stream(ROUTER, 1, 0..300), 300);
    assert_eq!(bench.changes, [LEARNED, Change::Locked(ROUTER)]);
    assert_eq!(bench.stream(NAMED, 3, 0..10), 0, "too late for the named one");
}

#[test]
fn the_named_source_takes_its_place_from_a_learned_one() {
    let mut bench = Bench::new(Trust::Learn);
    assert_eq!(bench.stream(FORGER, 2, 0..20), 16);
    assert_eq!(bench.stream(NAMED, 1, 0..10), 10);
    assert_eq!(bench.stream(FORGER, 2, 20..40), 0);
    assert_eq!(bench.changes, [Change::Learned { named: NAMED, source: FORGER }, Change::Locked(NAMED)]);
}

#[test]
fn a_stranger_passes_probation_with_few_losses_at_a_live_pace_only() {
    let lossy = |bench: &mut Bench, step: u16| {
        let mut taken = 0;
        for n in 0..20 {
            taken += usize::from(bench.packet(ROUTER, 1, n * step));
            bench.pass(20);
        }
        taken
    };
    assert_eq!(lossy(&mut Bench::new(Trust::Learn), 4), 16, "three of four are lost");
    assert_eq!(lossy(&mut Bench::new(Trust::Learn), 5), 0, "that is no stream");
    assert_eq!(lossy(&mut Bench::new(Trust::Learn), 0), 0, "nor is the same packet again and again");
    let mut bench = Bench::new(Trust::Learn);
    let burst = (0..1_000).filter(|n| bench.packet(FORGER, 1, *n)).count();
    assert_eq!(burst, 0, "a burst has no pace");
    let mut bench = Bench::new(Trust::Learn);
    let mut taken = 0;
    for n in 0..100 {
        taken += usize::from(bench.packet(FORGER, u32::from(n), n));
        bench.pass(20);
    }
    assert_eq!(taken, 0, "nor has a packet of every stream a stream");
}

#[test]
fn a_strict_source_learns_nobody_and_says_so_once() {
    let mut bench = Bench::new(Trust::Strict);
    assert_eq!(bench.stream(ROUTER, 1, 0..500), 0);
    assert_eq!(bench.changes, [Change::Refused { why: Refusal::Strict, named: NAMED, source: ROUTER }]);
    assert_eq!(bench.stream(NAMED, 2, 0..10), 10);
    // RTP_MEDIA_ADDRESSES would not help: the reason is the same for a source of the Internet.
    let mut bench = Bench::new(Trust::Strict);
    bench.source = Source::new(Trust::Strict, Some(["127.0.0.0/8".parse().unwrap()].into()));
    bench.source.named(NAMED);
    assert_eq!(bench.stream(FORGER, 1, 0..500), 0);
    assert_eq!(bench.changes, [Change::Refused { why: Refusal::Strict, named: NAMED, source: FORGER }]);
}

#[test]
fn a_source_is_learned_from_internal_networks_and_asterisks_own_only() {
    let networks = || Some(["127.0.0.0/8", "198.51.100.0/24"].map(|text| text.parse().unwrap()).into());
    let mut bench = Bench::new(Trust::Learn);
    bench.source = Source::new(Trust::Learn, networks());
    bench.source.named(NAMED);
    assert_eq!(
        bench.stream(FORGER, 1, 0..500),
        0,
        "a stranger is not heard, however long Asterisk is silent"
    );
    assert_eq!(
        bench.changes,
        [Change::Refused { why: Refusal::ForeignNetwork, named: NAMED, source: FORGER }]
    );
    // The packets of a stranger do not disturb the probation of a source that can be learned.
    let mut taken = 0;
    for sequence in 0..20 {
        taken += usize::from(bench.packet(ROUTER, 2, sequence));
        for n in 0..3 {
            assert!(!bench.packet(FORGER, 3, 3 * sequence + n));
        }
        bench.pass(20);
    }
    assert_eq!((taken, bench.changes.last()), (16, Some(&LEARNED)));
}

#[test]
fn behind_routers_and_containers_a_source_is_learned_although_asterisks_address_is_another() {
    let near = ["172.17.0.1", "10.9.8.7", "192.168.1.20", "100.64.3.2", "fd00::5", "fe80::1", "198.51.100.7"];
    let far = ["192.0.2.66", "8.8.8.8", "100.128.0.1", "172.32.0.1", "2001:db8::1"];
    for (addresses, is_heard) in [(&near[..], true), (&far[..], false)] {
        for address in addresses {
            let mut bench = Bench::new(Trust::Learn);
            let networks = Some(["127.0.0.0/8", "198.51.100.0/24"].map(|text| text.parse().unwrap()).into());
            bench.source = Source::new(Trust::Learn, networks);
            bench.source.named(NAMED);
            let heard = bench.stream(SocketAddr::new(address.parse().unwrap(), 4_000), 1, 0..50);
            assert_eq!(heard > 0, is_heard, "{address}");
        }
    }
}

#[test]
fn before_asterisk_has_named_an_address_nobody_is_heard() {
    let mut bench = Bench::new(Trust::Learn);
    bench.source = Source::new(Trust::Learn, None);
    assert_eq!(bench.stream(NAMED, 1, 0..50), 0);
    bench.source.named(NAMED);
    assert_eq!(bench.stream(NAMED, 1, 50..60), 10);
}

#[test]
fn another_ssrc_counts_after_the_known_one_has_been_silent() {
    let mut bench = Bench::new(Trust::Learn);
    assert_eq!(bench.stream(NAMED, 1, 0..10), 10);
    for n in 0..500 {
        assert!(!bench.packet(NAMED, 100 + n, 10), "a new one with every packet");
        assert_eq!(bench.stream(NAMED, 1, n as u16..n as u16 + 1), 1);
    }
    bench.pass(179);
    assert!(!bench.packet(NAMED, 2, 0), "199 ms after the last packet");
    bench.pass(1);
    assert!(bench.packet(NAMED, 2, 0), "200 ms");
    assert!(!bench.packet(NAMED, 1, 11), "the old one is over");
}

proptest! {
    /// Whoever sends whatever: once the source is locked only one address is heard, strict hears the named one alone, and
    /// never are two streams heard within the same 200 ms.
    #[test]
    fn nobody_is_heard_beside_the_source(
        strict in any::<bool>(),
        packets in proptest::collection::vec((0..3usize, 0..3u32, 0..6u16, 0u64..120), 1..400),
    ) {
        let mut bench = Bench::new(if strict { Trust::Strict } else { Trust::Learn });
        let (mut locked, mut last): (Option<SocketAddr>, Option<(SocketAddr, u32, Instant)>) = (None, None);
        let mut sequence = 0;
        for (who, ssrc, step, wait) in packets {
            let from = [NAMED, ROUTER, FORGER][who];
            sequence += step;
            bench.changes.clear();
            let taken = bench.packet(from, ssrc, sequence);
            if let Some(Change::Locked(source)) = bench.changes.first() {
                prop_assert!(locked.is_none() && taken, "locked once");
                locked = Some(*source);
            }
            if taken {
                prop_assert!(locked.is_none_or(|source| source == from));
                prop_assert!(!strict || from == NAMED);
                if let Some((before, of, at)) = last.filter(|(before, ..)| *before == from) {
                    prop_assert!(of == ssrc || bench.now - at >= RENEW_AFTER, "{before} renews too soon");
                }
                last = Some((from, ssrc, bench.now));
            }
            bench.pass(wait);
        }
    }
}
