//! Requests that were refused, and those of people whom nobody knows: at most one line a second for an address and a status,
//! with how many more there were. Whoever is refused can ask as often as they like, and must neither fill the disk nor push
//! others out of the log.
//!
//! ```text
//!  first of its kind ──► a line at once ──► a second of counting ──► a line with the count ──► a second …
//!                                                  └── none came ──► forgotten
//! ```
//! It has no clock: the lines bring the time, and whoever writes them says when nothing has come for a second.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use chrono::{DateTime, FixedOffset, TimeDelta};

use super::access_log::{Line, render};

/// Addresses that are counted each by itself; all others are counted as one. More would let somebody with many addresses
/// fill the disk faster: at 150 bytes a line these are 10 kB a second.
const ADDRESSES: usize = 64;
/// Between two lines of a kind.
const SECOND: TimeDelta = TimeDelta::seconds(1);

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    counts: HashMap<Kind, Count>,
}

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// Of this address, with this status.
    Of(Option<IpAddr>, u16),
    /// Of whoever comes when enough are counted.
    Others,
}

#[derive(Debug)]
struct Count {
    /// When a line was written last.
    written: DateTime<FixedOffset>,
    /// Requests since.
    more: u64,
    /// The last of them.
    last: Line,
}

impl Refusals {
    /// Takes a refused request; returns what is to be written now.
    pub(super) fn take(&mut self, line: Line) -> String {
        let mut text = self.due(line.at);
        let kind = Kind::Of(line.client.map(|client| client.ip()), line.status);
        let has_room = self.counts.len() < ADDRESSES || self.counts.contains_key(&kind);
        let kind = if has_room { kind } else { Kind::Others };
        if let Some(count) = self.counts.get_mut(&kind) {
            count.more += 1;
            count.last = line;
        } else {
            text.push_str(&render(&line));
            self.counts.insert(kind, Count { written: line.at, more: 0, last: line });
        }
        text
    }

    /// What has been counted for a second at this time.
    fn due(&mut self, now: DateTime<FixedOffset>) -> String {
        // The wall's time may have been set back.
        self.write(Some(now), |count| (now - count.written).abs() >= SECOND)
    }

    /// All that has been counted: nothing has come for a second, or nothing will come any more.
    pub(super) fn rest(&mut self) -> String {
        self.write(None, |_| true)
    }

    fn write(&mut self, now: Option<DateTime<FixedOffset>>, is_due: impl Fn(&Count) -> bool) -> String {
        let mut text = String::new();
        self.counts.retain(|kind, count| {
            if !is_due(count) {
                return true;
            }
            if count.more == 0 {
                return false;
            }
            let line = render(&count.last);
            let of = if *kind == Kind::Others { " of many addresses" } else { "" };
            match std::mem::take(&mut count.more) {
                1 => text.push_str(&line),
                more => writeln!(text, "{} and {} more{of}", line.trim_end(), more - 1)
                    .expect("writing to a String cannot fail"),
            }
            count.written = now.unwrap_or(count.last.at);
            true
        });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::guard::Who;
    use crate::http::origin::Client;

    fn line(ms: i64, address: u8, status: u16) -> Line {
        let at = DateTime::parse_from_rfc3339("2026-11-20T14:30:25.000-05:00").unwrap();
        Line {
            at: at + TimeDelta::milliseconds(ms),
            who: Who::nobody(),
            client: Some(Client::Direct(([192, 0, 2, address], 5).into())),
            method: "GET".into(),
            what: "/recordings".into(),
            status,
            bytes: 85,
        }
    }

    #[test]
    fn a_flood_is_one_line_a_second_and_none_is_uncounted() {
        let mut refusals = Refusals::default();
        let mut text = String::new();
        for n in 0..10_000 {
            text.push_str(&refusals.take(line(n / 4, 1, 401)));
        }
        text.push_str(&refusals.rest());
        let ends: Vec<_> = text.lines().map(|line| &line[24..]).collect();
        let one = "05:00 - 192.0.2.1:5 GET /recordings 401 85";
        let counted = |more| format!("{one} and {more} more");
        assert_eq!(ends, [one, &counted(3_998), &counted(3_999), &counted(1_999)]);
        assert_eq!((1 + 3_999 + 4_000 + 2_000, refusals.rest().as_str()), (10_000, ""));
        assert!(refusals.counts.is_empty(), "whoever is quiet is forgotten");
    }

    #[test]
    fn addresses_and_statuses_are_counted_apart_and_in_a_bounded_number() {
        let mut refusals = Refusals::default();
        let mut text = String::new();
        for status in [401, 403, 421, 429] {
            for address in 0..=255 {
                text.push_str(&refusals.take(line(0, address, status)));
            }
        }
        assert_eq!(text.lines().count(), ADDRESSES + 1);
        assert_eq!(refusals.counts.len(), ADDRESSES + 1);
        let rest = refusals.rest();
        assert!(
            rest.ends_with(" 429 85 and 958 more of many addresses\n") && rest.lines().count() == 1,
            "{rest}"
        );
    }

    #[test]
    fn a_clock_that_is_set_back_silences_nobody() {
        let mut refusals = Refusals::default();
        let written: Vec<_> =
            [0, 10, -5_000, -5_000].map(|ms| refusals.take(line(ms, 1, 401)).lines().count()).into();
        assert_eq!(written, [1, 0, 1, 0]);
    }
}
