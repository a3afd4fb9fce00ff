//! Draws the call as a ladder diagram: five lifelines, time downwards, an arrow for each step. The module is
//! pure: rows go in, lines come out.

use std::time::Instant;

use crate::operator::Language;

use super::words::seconds;

/// A lifeline. The order is from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Caller,
    Asterisk,
    Daemon,
    OpenAi,
    /// The server that the tools ask.
    Clinic,
}

impl Lane {
    const ALL: [Self; 5] = [Self::Caller, Self::Asterisk, Self::Daemon, Self::OpenAi, Self::Clinic];

    /// The column of the lifeline on the screen.
    const fn column(self) -> usize {
        match self {
            Self::Caller => 12,
            Self::Asterisk => 32,
            Self::Daemon => 59,
            Self::OpenAi => 95,
            Self::Clinic => 121,
        }
    }
}

/// The number of columns of a line.
const WIDTH: usize = 123;

/// One line of the ladder diagram.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) at: Instant,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A message from one party to another.
    Step { from: Lane, to: Lane, label: String },
    /// Audio from one party to another.
    Sound { from: Lane, to: Lane, label: String },
    /// The words of a person or of the model.
    Words { who: Lane, text: String },
    /// A remark on the call.
    Remark(String),
    /// A line of the daemon's log.
    Log(String),
}

/// Draws rows in this language, with or without colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    pub(super) language: Language,
    pub(super) colours: bool,
}

impl Pen {
    /// The header with the names of the lifelines.
    pub(super) fn head(self) -> String {
        let mut canvas = vec![' '; WIDTH + 4];
        for lane in Lane::ALL {
            let name = match lane {
                Lane::Caller => self.language.choose("llamante", "caller"),
                Lane::Asterisk => "Asterisk",
                Lane::Daemon => self.language.choose("servicio", "daemon"),
                Lane::OpenAi => "OpenAI",
                Lane::Clinic => self.language.choose("clínica", "clinic"),
            };
            write(&mut canvas, lane.column() - name.chars().count() / 2, name);
        }
        self.paint("1", &finish(canvas))
    }

    /// Draws a row with its time since `since`, the start of the call.
    pub(super) fn draw(self, row: &Row, since: Instant) -> String {
        let time = seconds(self.language, row.at.saturating_duration_since(since));
        let time = format!("{time:>7}");
        match &row.kind {
            Kind::Step { from, to, label } => {
                format!("{time}  {}", arrow(*from, *to, label, '─'))
            }
            Kind::Sound { from, to, label } => {
                let colour = if *from == Lane::Caller { "36" } else { "33" };
                format!("{time}  {}", self.paint(colour, &arrow(*from, *to, label, '═')))
            }
            Kind::Words { who, text } => {
                let (colour, name) = match who {
                    Lane::Caller => ("36", self.language.choose("llamante", "caller")),
                    _ => ("33", self.language.choose("asistente", "assistant")),
                };
                format!("{time}  {}", self.paint(colour, &format!("  {name}: «{text}»")))
            }
            Kind::Remark(text) => format!("{time}  {}", self.paint("1", &format!("  ✂ {text}"))),
            Kind::Log(text) => self.paint("2", &format!("{time}  {}· {text}", life_lines(Lane::Asterisk))),
        }
    }

    /// Applies an ANSI style to `text` if colours are on.
    pub(super) fn paint(self, style: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The width of the part before the lifelines: the time and two spaces.
const MARGIN: usize = 9;

fn write(canvas: &mut [char], at: usize, text: &str) {
    for (place, c) in canvas.iter_mut().skip(at).zip(text.chars()) {
        *place = c;
    }
}

fn finish(canvas: Vec<char>) -> String {
    canvas.into_iter().collect::<String>().trim_end().to_owned()
}

/// The lifelines up to this one, without the margin.
fn life_lines(last: Lane) -> String {
    let mut canvas = vec![' '; last.column() + 2];
    for lane in Lane::ALL.into_iter().filter(|lane| *lane <= last) {
        canvas[lane.column()] = '│';
    }
    canvas[MARGIN..].iter().collect()
}

/// An arrow between two lifelines with its label in the middle.
fn arrow(from: Lane, to: Lane, label: &str, stroke: char) -> String {
    let mut canvas = vec![' '; WIDTH];
    for lane in Lane::ALL {
        canvas[lane.column()] = '│';
    }
    let (left, right) = (from.min(to).column() + 1, from.max(to).column());
    canvas[left..right].fill(stroke);
    if from < to {
        canvas[right - 1] = '►';
    } else {
        canvas[left] = '◄';
    }
    let room = right - left - 4;
    let mut label: Vec<char> = label.chars().collect();
    if label.len() > room {
        label.truncate(room - 1);
        label.push('…');
    }
    let label: String = [' '].into_iter().chain(label).chain([' ']).collect();
    write(&mut canvas, left + 1 + (room + 2 - label.chars().count()) / 2, &label);
    finish(canvas[MARGIN..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_lie_between_their_lanes_and_point_the_right_way() {
        assert_eq!(
            arrow(Lane::Caller, Lane::Asterisk, "INVITE", '─'),
            "   │───── INVITE ─────►│                          │                                   │                         │"
        );
        let back = arrow(Lane::OpenAi, Lane::Daemon, "session.created", '─');
        assert!(back.ends_with('│') && back.contains("│◄─") && back.contains(" session.created "), "{back}");
        assert_eq!(back.chars().count(), Lane::Clinic.column() + 1 - MARGIN);
    }

    #[test]
    fn a_label_that_is_too_long_is_cut() {
        let line = arrow(Lane::Caller, Lane::Asterisk, &"x".repeat(80), '─');
        assert_eq!(line.chars().count(), Lane::Clinic.column() + 1 - MARGIN);
        assert!(line.contains("x… "), "{line}");
    }
}
