//! Tests of the phone's clock, script and statistics.

use super::*;

const MS: Duration = Duration::from_millis(1);
/// The byte of a loud frame, and that of a quiet one.
const LOUD: u8 = 0x90;

/// A packet that was sent, with the milliseconds since the answer.
type Sent = (u128, Header, Vec<u8>);

/// A phone on its virtual clock, and what it sent.
struct Phone {
    caller: Caller,
    start: Instant,
    now: Instant,
    sent: Vec<Sent>,
    did: Vec<(u128, Doing)>,
    /// The sequence number and the timestamp of the assistant's stream.
    assistant: (u16, u32),
}

impl Phone {
    fn new(script: Vec<Step>) -> Self {
        let start = crate::sim::epoch();
        let mut phone = Self {
            caller: Caller::new(start, script, 1),
            start,
            now: start,
            sent: Vec::new(),
            did: Vec::new(),
            assistant: (65_530, u32::MAX - 1000),
        };
        phone.caller.answered(start);
        phone.drain();
        phone
    }

    fn drain(&mut self) {
        let at = (self.now - self.start).as_millis();
        while let Some(doing) = self.caller.poll() {
            match doing {
                Doing::Send(datagram) => {
                    let (header, payload) = rtp::read(&datagram).expect("the phone sends RTP");
                    self.sent.push((at, header, payload.to_vec()));
                }
                other => self.did.push((at, other)),
            }
        }
    }

    /// Lets time pass and wakes the phone at every deadline, as an IO layer would.
    fn pass(&mut self, milliseconds: u32) {
        let until = self.now + MS * milliseconds;
        while let Some(due) = self.caller.deadline().filter(|due| *due <= until) {
            self.now = due;
            self.caller.advance(due);
            self.drain();
        }
        self.now = until;
    }

    /// The phone hears the assistant for this time, in frames of this byte.
    fn hear(&mut self, milliseconds: u32, byte: u8) {
        for _ in 0..milliseconds / 20 {
            self.hear_frame(byte);
            self.pass(20);
        }
    }

    fn hear_frame(&mut self, byte: u8) {
        let (seq, timestamp) = self.assistant;
        let header = Header { marker: false, payload_type: 0, seq, timestamp, ssrc: 9 };
        self.caller.hear(self.now, &rtp::write(header, &[byte; 160]));
        self.drain();
        self.skip(1);
    }

    /// Skips packets of the assistant, which never arrive.
    fn skip(&mut self, packets: u16) {
        let (seq, timestamp) = self.assistant;
        self.assistant = (seq.wrapping_add(packets), timestamp.wrapping_add(160 * u32::from(packets)));
    }

    /// The time of the first packet that is not silence, in milliseconds since the answer.
    fn first_word(&self) -> Option<u128> {
        self.sent
            .iter()
            .find(|(_, header, payload)| header.payload_type == 0 && payload[0] != 0xff)
            .map(|sent| sent.0)
    }
}

fn say(byte: u8, bytes: usize) -> Step {
    Step::Say(vec![byte; bytes].into())
}

fn steps(sent: &[Sent]) -> Vec<(u16, u32)> {
    let step = |one: &Header, next: &Header| {
        (next.seq.wrapping_sub(one.seq), next.timestamp.wrapping_sub(one.timestamp))
    };
    sent.windows(2).map(|pair| step(&pair[0].1, &pair[1].1)).collect()
}

#[test]
fn it_sends_a_frame_every_20_ms_from_the_answer_on() {
    let mut phone = Phone::new(Vec::new());
    phone.pass(999);
    assert_eq!(
        phone.sent.iter().map(|sent| sent.0).collect::<Vec<_>>(),
        (0..50).map(|n| n * 20).collect::<Vec<_>>()
    );
    assert_eq!(steps(&phone.sent), [(1, 160); 49]);
    assert!(
        phone.sent.iter().all(|(_, header, payload)| header.payload_type == 0 && payload == &[0xff; 160])
    );
    let marked: Vec<bool> = phone.sent.iter().map(|(_, header, _)| header.marker).collect();
    assert_eq!((marked[0], marked[1..].iter().any(|marker| *marker)), (true, false));
    assert!(phone.caller.finished(), "an empty script is played, and yet the phone stays on");
}

#[test]
fn it_sends_nothing_before_the_answer_and_after_the_end() {
    let start = crate::sim::epoch();
    let mut caller = Caller::new(start, Vec::new(), 1);
    caller.advance(start + MS * 500);
    assert_eq!((caller.deadline(), caller.poll()), (None, None));
    caller.answered(start + MS * 500);
    assert!(matches!(caller.poll(), Some(Doing::Send(datagram)) if datagram.len() == 172));
    caller.released(start + MS * 510);
    assert_eq!((caller.deadline(), caller.poll(), caller.finished()), (None, None, true));
    assert_eq!(caller.said_audio().len(), 500 * 8 + 160);
}

#[test]
fn a_late_wake_up_catches_up_on_the_same_schedule() {
    let mut phone = Phone::new(Vec::new());
    phone.now += MS * 105;
    phone.caller.advance(phone.now);
    phone.drain();
    assert_eq!(phone.sent.len(), 6);
    assert_eq!(steps(&phone.sent), [(1, 160); 5]);
    assert_eq!(phone.caller.deadline(), Some(phone.start + MS * 120));
}

#[test]
fn it_speaks_its_lines_one_after_the_other() {
    let mut phone = Phone::new(vec![say(1, 200), Step::Pause(MS * 40), say(2, 160), Step::HangUp]);
    phone.pass(1000);
    let spoken: Vec<Vec<u8>> = phone.sent.iter().map(|(_, _, payload)| payload.clone()).collect();
    let mut expected = vec![vec![1; 160], [vec![1; 40], vec![0xff; 120]].concat()];
    expected.extend([vec![0xff; 160], vec![0xff; 160], vec![2; 160]]);
    assert_eq!(spoken, expected);
    assert_eq!(phone.caller.said_audio(), expected.concat());
    assert_eq!(phone.did, [(100, Doing::HangUp)]);
    assert_eq!((phone.caller.finished(), phone.caller.deadline()), (true, None));
}

#[test]
fn a_key_takes_nine_packets_in_the_place_of_six() {
    let mut phone = Phone::new(vec![Step::Pause(MS * 20), Step::Press('#'), Step::Press('1'), Step::HangUp]);
    phone.pass(1000);
    let keys: Vec<&Sent> = phone.sent.iter().filter(|sent| sent.1.payload_type == 101).collect();
    assert_eq!(keys.len(), 18);
    assert_eq!(keys[0].2, [11, 0x0a, 0, 160]);
    assert_eq!(keys[8].2, [11, 0x8a, 3, 192]);
    assert!(keys[..9].iter().all(|key| key.1.timestamp == keys[0].1.timestamp));
    assert_eq!(
        keys.iter().map(|key| key.1.marker).collect::<Vec<_>>(),
        [[true].as_slice(), &[false; 8]].concat().repeat(2)
    );
    let sound: Vec<Sent> = phone.sent.iter().filter(|sent| sent.1.payload_type == 0).cloned().collect();
    let gaps: Vec<_> = steps(&sound).into_iter().filter(|step| *step != (1, 160)).collect();
    assert_eq!(gaps, [(10, 1120); 2]);
    assert_eq!(keys[9].0 - keys[0].0, 220, "a hand's pause between keys");
}

#[test]
fn it_can_stop_sending_and_hold() {
    let mut phone = Phone::new(vec![
        Step::Pause(MS * 20),
        Step::StopSending(MS * 100),
        Step::Pause(MS * 20),
        Step::Hold(true),
        Step::Pause(MS * 60),
        Step::Hold(false),
    ]);
    phone.pass(300);
    let gaps: Vec<_> = steps(&phone.sent).into_iter().filter(|step| *step != (1, 160)).collect();
    assert_eq!(gaps, [(1, 160 * 6), (1, 160 * 4)]);
    assert_eq!(phone.did, [(140, Doing::Hold(true)), (200, Doing::Hold(false))]);
    assert_eq!(phone.caller.said_audio().len(), 16 * 160);
}

#[test]
fn it_waits_for_speech() {
    let mut phone = Phone::new(vec![Step::WaitForSpeech { at_most: MS * 2000 }, say(1, 160)]);
    phone.hear(240, 0xff);
    phone.hear(260, 0xf0);
    assert_eq!(phone.first_word(), None, "silence and comfort noise are no speech");
    phone.hear(100, LOUD);
    assert_eq!(phone.first_word(), Some(520), "the tick after the first loud frame");
    let mut patient = Phone::new(vec![Step::WaitForSpeech { at_most: MS * 2000 }, say(1, 160)]);
    patient.pass(5000);
    assert_eq!(patient.first_word(), Some(2000));
}

#[test]
fn it_waits_for_silence() {
    let wait = Step::WaitForSilence { quiet: MS * 600, at_most: MS * 5000 };
    let mut phone = Phone::new(vec![wait.clone(), say(1, 160)]);
    phone.hear(1000, LOUD);
    phone.hear(400, 0xff);
    phone.hear(200, LOUD);
    assert_eq!(phone.first_word(), None, "a pause of 400 ms is not enough");
    phone.pass(1000);
    assert_eq!(phone.first_word(), Some(1580 + 600));
    let mut after = Phone::new(vec![Step::Pause(MS * 500), wait.clone(), say(1, 160)]);
    after.hear(200, LOUD);
    after.pass(2000);
    assert_eq!(after.first_word(), Some(1100), "the silence before the step does not count");
    let mut silent = Phone::new(vec![wait.clone(), say(1, 160)]);
    silent.pass(2000);
    assert_eq!(silent.first_word(), Some(600), "also when nothing is ever heard");
    let mut endless = Phone::new(vec![wait, say(1, 160)]);
    endless.hear(6000, LOUD);
    assert_eq!(endless.first_word(), Some(5000));
}

#[test]
fn it_interrupts() {
    let script = || vec![Step::AfterHearing(MS * 700), say(1, 160)];
    let mut phone = Phone::new(script());
    phone.pass(1000);
    phone.hear(2000, LOUD);
    assert_eq!(phone.first_word(), Some(1700));
    let mut short = Phone::new(script());
    short.pass(1000);
    short.hear(200, LOUD);
    short.pass(2000);
    assert_eq!(short.first_word(), Some(1180 + 520), "a short answer ends before that");
    let mut silent = Phone::new(script());
    silent.pass(40_000);
    assert_eq!(silent.first_word(), Some(30_000));
}

#[test]
fn it_keeps_what_it_heard_in_its_place() {
    let mut phone = Phone::new(Vec::new());
    phone.pass(100);
    phone.hear(20, 1);
    phone.skip(3); // These packets are lost.
    phone.pass(60);
    phone.hear(20, 2);
    let heard = phone.caller.heard_audio();
    let expected = [vec![0xff; 800], vec![1; 160], vec![0xff; 480], vec![2; 160]].concat();
    assert_eq!(heard, expected);
    assert_eq!((phone.caller.heard().len(), phone.caller.heard()[1].seq), (2, 65_534));
    let figures = phone.caller.statistics();
    assert_eq!((figures.packets, figures.lost, figures.loud), (2, 3, 2));
    assert_eq!(figures.longest_gap, MS * 80);
}

#[test]
fn it_counts_what_the_network_did() {
    let mut phone = Phone::new(Vec::new());
    let first = phone.assistant;
    for n in [0_u16, 1, 3, 2, 3, 5, 200] {
        phone.assistant = (first.0.wrapping_add(n), first.1.wrapping_add(u32::from(n) * 160));
        phone.hear_frame(0xff);
        phone.pass(20);
    }
    phone.caller.hear(phone.now, &[1; 160]);
    let figures = phone.caller.statistics();
    assert_eq!((figures.packets, figures.duplicates, figures.disordered, figures.refused), (7, 1, 1, 1));
    assert_eq!(figures.lost, 1 + 194, "number 4, and 6 to 199");
    let mut late = Phone::new(Vec::new());
    late.hear(200, 0xff);
    late.pass(100);
    late.hear(200, 0xff);
    let figures = late.caller.statistics();
    assert_eq!((figures.late, figures.worst_delay), (10, MS * 100));
    assert_eq!(Phone::new(Vec::new()).caller.statistics_only().heard(), []);
}

#[test]
fn a_jump_of_the_timestamp_does_not_blow_up_the_recording() {
    let mut phone = Phone::new(Vec::new());
    phone.hear(20, 1);
    phone.assistant.1 = phone.assistant.1.wrapping_add(1 << 30);
    phone.hear(40, 2);
    assert_eq!(phone.caller.heard_audio(), [vec![1; 160], vec![2; 320]].concat());
}

#[test]
fn another_seed_is_another_stream() {
    let first = |seed| {
        let start = crate::sim::epoch();
        let mut caller = Caller::new(start, Vec::new(), seed);
        caller.answered(start);
        caller.poll()
    };
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}
