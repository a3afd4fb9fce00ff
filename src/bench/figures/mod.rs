//! Computes the figures of a run from the data at both ends of its calls. The module is pure.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::marks::Mark;
use super::script::{ANSWER_FRAMES, ASSISTANT, GREETING, GREETING_FRAMES};
use crate::media::{FRAME_BYTES, FRAME_DURATION};
use crate::sim::caller::{Caller, Heard};
use crate::sim::realtime::{Fact, Session, What};

/// A frame is late if it arrives this many milliseconds later than the quickest frame of its call. Such a
/// frame would miss a tight jitter buffer.
const LATE_MS: f64 = 20.0;
/// Audio that was sent within this time before the end of the run may not have arrived yet, so it does not
/// count as lost.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// The distribution of a time in milliseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Spread {
    /// The number of measurements.
    pub(super) count: usize,
    /// The median.
    pub(super) p50: f64,
    /// The 99th percentile.
    pub(super) p99: f64,
    /// The 99.9th percentile.
    pub(super) p999: f64,
    /// The largest value.
    pub(super) worst: f64,
}

impl Spread {
    /// Computes the distribution of these times, which may be in any order.
    pub(super) fn of(mut ms: Vec<f64>) -> Self {
        ms.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = (ms.len() as f64 * part) as usize;
            ms.get(place.min(ms.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Self { count: ms.len(), p50: at(0.5), p99: at(0.99), p999: at(0.999), worst: at(1.0) }
    }
}

/// The frames that did not arrive as they were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Faults {
    /// Frames that never arrived.
    pub(super) lost: u64,
    /// Frames that arrived twice.
    pub(super) doubled: u64,
    /// Frames that arrived after a later frame.
    pub(super) disordered: u64,
}

impl Faults {
    /// Whether every frame arrived once and in order.
    pub(super) fn none(self) -> bool {
        self == Self::default()
    }

    fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.disordered += other.disordered;
    }
}

/// All measurements of calls, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) lateness: Vec<f64>,
    pub(super) uplink: Vec<f64>,
    pub(super) downlink: Vec<f64>,
    pub(super) barge_in: Vec<f64>,
    pub(super) set_up: Vec<f64>,
    /// The time that the packets of all calls took, and the number of frame intervals in that time.
    pub(super) clock: (f64, u64),
    pub(super) from_callers: Faults,
    pub(super) to_callers: Faults,
    pub(super) violations: Vec<String>,
}

impl Samples {
    /// The number of frames that reached callers late.
    pub(super) fn late(&self) -> usize {
        self.lateness.iter().filter(|ms| **ms > LATE_MS).count()
    }

    /// Adds the audio that the phone received. Frames outside of `window` are counted but not timed.
    pub(super) fn take_phone(&mut self, phone: &Caller, window: &Range<Instant>) {
        let heard = phone.heard();
        let inside: Vec<_> = heard.iter().filter(|packet| window.contains(&packet.at)).collect();
        if let (Some(first), Some(last)) = (inside.first(), inside.last()) {
            let delay = |packet: &Heard| {
                let media = f64::from(packet.timestamp.wrapping_sub(first.timestamp)) / 8.0;
                ms(packet.at - first.at) - media
            };
            let quickest = inside.iter().map(|packet| delay(packet)).fold(f64::INFINITY, f64::min);
            self.lateness.extend(inside.iter().map(|packet| delay(packet) - quickest));
            self.clock.0 += ms(last.at - first.at);
            self.clock.1 += u64::from(last.timestamp.wrapping_sub(first.timestamp)) / FRAME_BYTES as u64;
        }
        let statistics = phone.statistics();
        self.to_callers.add(Faults {
            lost: statistics.lost,
            doubled: statistics.duplicates,
            disordered: statistics.disordered,
        });
    }

    /// Adds a call that was served: the caller's phone, and the session to which the caller talked.
    pub(super) fn take(
        &mut self,
        phone: &Caller,
        session: &Session,
        called_at: Instant,
        window: &Range<Instant>,
    ) {
        let arrivals = session.arrivals();
        self.set_up.extend(arrivals.first().map(|(at, _)| ms(*at - called_at)));
        self.violations.extend(session.violations().iter().cloned());
        self.take_uplink(phone, session, called_at, window);
        self.take_downlink(phone.heard(), session.journal(), window);
    }

    fn take_uplink(&mut self, phone: &Caller, session: &Session, born: Instant, window: &Range<Instant>) {
        let said = frames(phone.said_audio());
        let due = |place: usize| born + Duration::from_micros(place as u64 * 125);
        let due_of: HashMap<u32, Instant> =
            said.iter().map(|(mark, place)| (mark.frame, due(*place))).collect();
        let appended = frames(session.appended());
        let came: Vec<_> = appended.iter().map(|(mark, _)| mark.frame).collect();
        let surely = said.iter().filter(|(_, place)| due(*place) + ON_ITS_WAY < window.end).count();
        self.from_callers.add(in_order(&came, surely));
        // An append is sent with its last frame; the earlier frames wait for that one.
        let mut rest = session.arrivals();
        let mut last: Option<(usize, Instant, Instant)> = None;
        for (mark, place) in appended {
            while let [(_, end), behind @ ..] = rest
                && *end <= place
            {
                rest = behind;
            }
            let (Some((at, end)), Some(due)) = (rest.first(), due_of.get(&mark.frame)) else { continue };
            if let Some((end_before, at_before, due_before)) = last.replace((*end, *at, *due))
                && end_before != *end
                && window.contains(&due_before)
            {
                self.uplink.push(ms(at_before.saturating_duration_since(due_before)));
            }
        }
    }

    fn take_downlink(&mut self, heard: &[Heard], journal: &[Fact], window: &Range<Instant>) {
        let marks: Vec<_> = heard.iter().map(|packet| (packet.at, Mark::read(&packet.payload))).collect();
        let interruptions: Vec<_> = journal
            .iter()
            .filter(|fact| matches!(fact.what, What::SpeechStarted { .. }))
            .map(|fact| fact.at)
            .collect();
        self.to_callers.add(answers_in_order(&marks, &interruptions, window.end));

        let begins: Vec<_> = marks
            .iter()
            .filter(|(_, mark)| mark.is_some_and(|mark| mark.frame == 0))
            .map(|(at, _)| *at)
            .collect();
        let mut firsts: Vec<(&str, Instant)> = Vec::new();
        for fact in journal {
            if let What::AudioSent { item, .. } = &fact.what
                && firsts.iter().rev().take(2).all(|(known, _)| known != item)
            {
                firsts.push((item, fact.at));
            }
        }
        for (n, (_, sent)) in firsts.iter().enumerate().filter(|(_, (_, sent))| window.contains(sent)) {
            let next = firsts.get(n + 1).map_or(window.end, |(_, next)| *next);
            let heard = begins.iter().find(|at| **at >= *sent && **at < next);
            self.downlink.extend(heard.map(|at| ms(*at - *sent)));
        }

        for word in interruptions.iter().filter(|word| window.contains(*word)) {
            let behind = marks.partition_point(|(at, _)| at <= word);
            let was_speaking = behind.checked_sub(1).is_some_and(|before| marks[before].1.is_some());
            if !was_speaking {
                continue;
            }
            let mut last = *word;
            for (at, _) in
                marks[behind..].iter().take_while(|(_, mark)| mark.is_some_and(|mark| mark.frame > 0))
            {
                last = *at;
            }
            self.barge_in.push(ms(last - *word));
        }
    }
}

/// The marked frames in the audio, each with its offset in bytes.
fn frames(sound: &[u8]) -> Vec<(Mark, usize)> {
    let Some(first) = (0..sound.len()).find(|place| Mark::read(&sound[*place..]).is_some()) else {
        return Vec::new();
    };
    let places = (first..sound.len()).step_by(FRAME_BYTES);
    places.filter_map(|place| Some((Mark::read(&sound[place..])?, place))).collect()
}

/// The faults in these frames, which should be 0, 1, 2 … up to at least `surely` frames.
fn in_order(came: &[u32], surely: usize) -> Faults {
    let mut faults = Faults::default();
    let mut next = 0;
    for frame in came {
        match frame.cmp(&next) {
            std::cmp::Ordering::Equal => next += 1,
            std::cmp::Ordering::Greater => {
                faults.lost += u64::from(frame - next);
                next = frame + 1;
            }
            std::cmp::Ordering::Less if *frame + 1 == next => faults.doubled += 1,
            std::cmp::Ordering::Less => faults.disordered += 1,
        }
    }
    faults.lost += (surely as u64).saturating_sub(u64::from(next));
    faults
}

/// The faults in the answers that the caller heard. Each answer should start with frame 0 and continue to its
/// end, or until the model heard the caller, or until the run ended.
fn answers_in_order(heard: &[(Instant, Option<Mark>)], interruptions: &[Instant], end: Instant) -> Faults {
    let mut faults = Faults::default();
    // The current answer: its first and its latest frame.
    let mut answer: Option<(Instant, Instant, Mark)> = None;
    let whole = |answer: Option<(Instant, Instant, Mark)>| -> u64 {
        let Some((began, latest, mark)) = answer else { return 0 };
        let frames = if mark.speaker == GREETING { GREETING_FRAMES } else { ANSWER_FRAMES };
        let until = latest + 2 * FRAME_DURATION;
        let was_interrupted = interruptions.iter().any(|word| *word >= began && *word <= until);
        if was_interrupted || until + ON_ITS_WAY > end { 0 } else { u64::from(frames - 1 - mark.frame) }
    };
    for (at, mark) in heard {
        let Some(mark) = mark.filter(|mark| [GREETING, ASSISTANT].contains(&mark.speaker)) else { continue };
        answer = match answer {
            Some((began, _, last)) if mark.frame > last.frame && mark.speaker == last.speaker => {
                faults.lost += u64::from(mark.frame - last.frame - 1);
                Some((began, *at, mark))
            }
            Some((began, _, last)) if mark == last => {
                faults.doubled += 1;
                Some((began, *at, mark))
            }
            before if mark.frame == 0 => {
                faults.lost += whole(before);
                Some((*at, *at, mark))
            }
            before => {
                faults.disordered += 1;
                before
            }
        };
    }
    faults.lost += whole(answer);
    faults
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests;
