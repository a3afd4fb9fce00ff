//! Draws what happened as a call-flow ladder, and compares it with the one a test expects.
//!
//! Times are seconds since the test began, seen from us. Sound is folded: one line tells when a run of it began and
//! how long it lasted in all, whatever else happened meanwhile. `BLESS_LADDERS=1` prints what is, for copying.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Who stands at a rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    Caller,
    Asterisk,
    Us,
    Model,
    /// The servers of an agent's tools. Their rail is drawn only where something happened on it.
    Tools,
}

/// Characters from one rail to the next.
const RUNG: usize = 10;
/// No sound at all.
pub(crate) const SILENCE: &str = "silence";

#[derive(Debug)]
struct Row {
    at: Instant,
    call: usize,
    from: Lane,
    to: Lane,
    text: String,
    /// Of a run of sound.
    lasts: Option<Duration>,
}

/// Which rungs to draw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Show {
    /// What goes on with Asterisk.
    pub(crate) asterisk: bool,
    /// Runs of silence.
    pub(crate) silence: bool,
    /// Nothing before, milliseconds.
    pub(crate) from_ms: u64,
}

impl Show {
    /// Everything but silence.
    pub(crate) const ALL: Self = Self { asterisk: true, silence: false, from_ms: 0 };
    /// What is said.
    pub(crate) const TALK: Self = Self { asterisk: false, silence: false, from_ms: 0 };
    /// What is said, and when nothing is.
    pub(crate) const SOUND: Self = Self { asterisk: false, silence: true, from_ms: 0 };

    /// Only from this time on.
    pub(crate) const fn from(self, from_ms: u64) -> Self {
        Self { from_ms, ..self }
    }
}

/// What happened, as it happens.
#[derive(Debug)]
pub(crate) struct Ladder {
    start: Instant,
    rows: Vec<Row>,
    runs: BTreeMap<(usize, Lane, Lane), usize>,
    keep: bool,
}

impl Ladder {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, rows: Vec::new(), runs: BTreeMap::new(), keep: true }
    }

    /// Draws nothing from now on: for worlds nobody looks at.
    pub(crate) fn off(&mut self) {
        self.keep = false;
    }

    pub(crate) fn is_on(&self) -> bool {
        self.keep
    }

    pub(crate) fn tell(
        &mut self,
        at: Instant,
        call: usize,
        from: Lane,
        to: Lane,
        text: impl FnOnce() -> String,
    ) {
        if self.keep {
            self.rows.push(Row { at, call, from, to, text: text(), lasts: None });
        }
    }

    /// A piece of sound; it continues the run of its direction if it is of the same kind.
    pub(crate) fn sound(&mut self, at: Instant, call: usize, way: (Lane, Lane), kind: &str, lasts: Duration) {
        if !self.keep {
            return;
        }
        let key = (call, way.0, way.1);
        if let Some(row) = self.runs.get(&key).map(|row| &mut self.rows[*row])
            && row.text == kind
        {
            row.lasts = row.lasts.map(|before| before + lasts);
            return;
        }
        self.runs.insert(key, self.rows.len());
        let (from, to) = way;
        self.rows.push(Row { at, call, from, to, text: kind.to_owned(), lasts: Some(lasts) });
    }

    /// The texts of all rungs between two rails, for assertions on one thing.
    pub(crate) fn texts(&self, call: usize, from: Lane, to: Lane) -> Vec<&str> {
        let mine = |row: &&Row| (row.call, row.from, row.to) == (call, from, to) && row.lasts.is_none();
        self.rows.iter().filter(mine).map(|row| row.text.as_str()).collect()
    }

    /// When the texts that begin so were said of the first call, since it began to be served.
    pub(crate) fn moments(&self, way: (Lane, Lane), begins: &str) -> Vec<Duration> {
        let of_the_first = || self.rows.iter().filter(|row| row.call == 0);
        let born = of_the_first().find(|row| row.text == "connect").map_or(self.start, |row| row.at);
        let meant = |row: &&Row| (row.from, row.to) == way && row.text.starts_with(begins);
        of_the_first().filter(meant).map(|row| row.at - born).collect()
    }

    /// The ladder of one call.
    pub(crate) fn draw(&self, call: usize, show: Show) -> String {
        let from = self.start + Duration::from_millis(show.from_ms);
        let wanted = |row: &&Row| {
            row.call == call
                && row.at >= from
                && (show.silence || row.text != SILENCE)
                && (show.asterisk || row.from != Lane::Asterisk && row.to != Lane::Asterisk)
        };
        let has_tools = self.rows.iter().filter(wanted).any(|row| [row.from, row.to].contains(&Lane::Tools));
        let (last, tools) = if has_tools { (Lane::Tools, "     tools") } else { (Lane::Model, "") };
        let mut text = format!("           caller    Asterisk  us        model{tools}\n");
        for row in self.rows.iter().filter(wanted) {
            let at = row.at.saturating_duration_since(self.start).as_millis();
            write!(text, "{:>5}.{:03}  {}  {}", at / 1_000, at % 1_000, rung(row, last), row.text)
                .expect("a String");
            if let Some(lasts) = row.lasts {
                write!(text, " {} ms", lasts.as_millis()).expect("a String");
            }
            text.push('\n');
        }
        text
    }
}

/// The rails up to the last one, with one arrow between them. Sound is drawn double.
fn rung(row: &Row, last: Lane) -> String {
    let (line, start_right, start_left, cross) =
        if row.lasts.is_some() { ('═', '╞', '╡', '╪') } else { ('─', '├', '┤', '┼') };
    let (from, to) = (row.from as usize * RUNG, row.to as usize * RUNG);
    let (low, high) = (from.min(to), from.max(to));
    let right = from < to;
    let cell = |place: usize| match place {
        _ if from == to && place == from => '●',
        _ if place == from => {
            if right {
                start_right
            } else {
                start_left
            }
        }
        _ if right && place + 1 == to => '▶',
        _ if !right && place == to + 1 && from != to => '◀',
        _ if place.is_multiple_of(RUNG) && low < place && place < high => cross,
        _ if place.is_multiple_of(RUNG) => '│',
        _ if low < place && place < high => line,
        _ => ' ',
    };
    (0..=last as usize * RUNG).map(cell).collect()
}

/// Compares a ladder with the expected one, line by line, without what is around them.
#[track_caller]
pub(crate) fn check(ladder: &Ladder, show: Show, expected: &str) {
    check_call(ladder, 0, show, expected);
}

/// The same for one of several calls.
#[track_caller]
pub(crate) fn check_call(ladder: &Ladder, call: usize, show: Show, expected: &str) {
    let actual = ladder.draw(call, show);
    let lines = |text: &str| {
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect::<Vec<_>>()
    };
    let (want, is) = (lines(expected), lines(&actual));
    if want != is {
        if blesses() {
            print_for_copying(&actual, std::panic::Location::caller());
        }
        panic!("another ladder (- expected, + happened):\n{}", difference(&want, &is));
    }
}

#[expect(clippy::disallowed_methods, reason = "a switch for whoever writes tests")]
fn blesses() -> bool {
    std::env::var("BLESS_LADDERS").is_ok()
}

#[expect(clippy::print_stderr, reason = "for whoever writes tests")]
fn print_for_copying(actual: &str, place: &std::panic::Location<'_>) {
    eprintln!("BLESS {}:{}\n{actual}BLESSED", place.file(), place.line());
}

/// The lines of both, the common ones once (longest common subsequence).
fn difference(want: &[String], is: &[String]) -> String {
    let mut common = vec![vec![0_usize; is.len() + 1]; want.len() + 1];
    for (i, one) in want.iter().enumerate().rev() {
        for (j, other) in is.iter().enumerate().rev() {
            common[i][j] =
                if one == other { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < want.len() || j < is.len() {
        let (mark, line) = if i < want.len() && j < is.len() && want[i] == is[j] {
            (i, j) = (i + 1, j + 1);
            (' ', &want[i - 1])
        } else if j == is.len() || i < want.len() && common[i + 1][j] >= common[i][j + 1] {
            i += 1;
            ('-', &want[i - 1])
        } else {
            j += 1;
            ('+', &is[j - 1])
        };
        writeln!(text, "{mark} {line}").expect("a String");
    }
    text
}
