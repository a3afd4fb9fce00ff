//! Limits the log of refused requests and of requests from unknown clients to one line a second for each address and
//! status. The line says how many more there were. A refused client can send any number of requests and must neither
//! fill the disk nor push other entries out of the log.
//!
//! ```text
//!  first of its kind ──► a line at once ──► counts for a second ──► a line with the count ──► counts again …
//!                                                  └── none arrived ──► the kind is forgotten
//! ```
//! This file has no clock. The lines carry their time, and the caller reports when no line has come for a second.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use chrono::{DateTime, FixedOffset, TimeDelta};

use super::{Line, render};

/// The number of addresses that are counted separately; all others are counted together. With a larger value,
/// somebody with many addresses could fill the disk faster: at 150 bytes a line, 64 addresses write 10 kB a second. A
/// smaller value merges unrelated clients earlier.
const ADDRESSES: usize = 64;
/// The time between two lines of one kind.
const SECOND: TimeDelta = TimeDelta::seconds(1);

/// The refused requests that have been counted and not yet written.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    counts: HashMap<Kind, Count>,
}

/// The property by which refused requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// Requests from this address that were answered with this status.
    Of(Option<IpAddr>, u16),
    /// All requests that come when [`ADDRESSES`] kinds are already being counted.
    Others,
}

#[derive(Debug)]
struct Count {
    /// When the last line was written.
    written: DateTime<FixedOffset>,
    /// The number of requests since then.
    more: u64,
    /// The last of these requests.
    last: Line,
}

impl Refusals {
    /// Counts a refused request and returns the lines that must be written now.
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

    /// Returns the lines of all counts that are at least a second old at this time.
    fn due(&mut self, now: DateTime<FixedOffset>) -> String {
        // The wall clock may have been set back.
        self.write(Some(now), |count| (now - count.written).abs() >= SECOND)
    }

    /// Returns the lines of all counts. The caller uses it when no request has come for a second, and at the end.
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
    use crate::access_log::{Client, Who};

    fn line(ms: i64, address: u8, status: u16) -> Line {
        let at = DateTime::parse_from_rfc3339("2026-11-20T14:30:25.000-05:00").unwrap();
        Line {
            at: at + TimeDelta::milliseconds(ms),
            who: Who::nobody(),
            client: Some(Client::Direct(([192, 0, 2, address], 5).into())),
            method: "GET".into(),
            what: "/recordings".into(),
            status,
            bytes: crate::units::ByteCount::new(85),
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
