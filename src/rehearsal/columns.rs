//! Two transcripts side by side: what follows each turn of the caller stands on the same height.

use crate::operator::foreign::plain;

/// The width of a column, in characters. Two of them fit on a terminal of 100.
const WIDTH: usize = 48;

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) is_callers: bool,
    pub(super) text: String,
}

/// The lines of both transcripts, below their titles. `names` are those of the caller and the assistant.
pub(super) fn beside(left: &[Row], right: &[Row], titles: [&str; 2], names: [&str; 2]) -> Vec<String> {
    let mut lines = vec![line(titles[0], titles[1]), line(&"─".repeat(WIDTH), &"─".repeat(WIDTH))];
    let (left, right) = (parts(left, names), parts(right, names));
    for at in 0..left.len().max(right.len()) {
        let empty = Vec::new();
        let (left, right) = (left.get(at).unwrap_or(&empty), right.get(at).unwrap_or(&empty));
        for at in 0..left.len().max(right.len()) {
            let text = |side: &[String]| side.get(at).cloned().unwrap_or_default();
            lines.push(line(&text(left), &text(right)));
        }
    }
    lines
}

fn line(left: &str, right: &str) -> String {
    let pad = " ".repeat(WIDTH.saturating_sub(left.chars().count()));
    format!("{left}{pad} │ {right}").trim_end().to_owned()
}

/// The wrapped lines of a transcript. A part begins with each turn of the caller; the first is what was said before.
fn parts(rows: &[Row], names: [&str; 2]) -> Vec<Vec<String>> {
    let mut parts = vec![Vec::new()];
    for Row { is_callers, text } in rows {
        if *is_callers {
            parts.push(Vec::new());
        }
        let name = names[usize::from(!is_callers)];
        if let Some(part) = parts.last_mut() {
            part.extend(wrapped(&format!("{name} {}", plain(text))));
        }
    }
    parts
}

/// The text in lines of at most [`WIDTH`] characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let chars: Vec<_> = word.chars().collect();
        // A word that is longer than a line is cut.
        for piece in chars.chunks(WIDTH) {
            let room = WIDTH.saturating_sub(lines.last().map_or(0, |line| line.chars().count()));
            let is_first = lines.last().is_some_and(String::is_empty);
            if !is_first && piece.len() + 1 > room {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.extend(piece);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(is_callers: bool, text: &str) -> Row {
        Row { is_callers, text: text.to_owned() }
    }

    #[test]
    fn what_follows_a_turn_of_the_caller_stands_beside_it() {
        let left = [row(false, "Hola."), row(true, "Una cita."), row(false, "¿Cuándo?")];
        let long = "Claro que sí, con mucho gusto le busco una cita para el día que usted prefiera.";
        let right = [row(true, "Una cita."), row(false, long), row(true, "Mañana.")];
        let lines = beside(&left, &right, ["a", "b"], ["L>", "A>"]);
        let shown: Vec<_> = lines[2..]
            .iter()
            .map(|line| line.split('│').map(str::trim).collect::<Vec<_>>().join(" | ").trim().to_owned())
            .collect();
        assert_eq!(
            shown,
            [
                "A> Hola. |",
                "L> Una cita. | L> Una cita.",
                "A> ¿Cuándo? | A> Claro que sí, con mucho gusto le busco una",
                "| cita para el día que usted prefiera.",
                "| L> Mañana.",
            ]
        );
        assert!(lines.iter().all(|line| line.chars().count() <= 2 * WIDTH + 3), "{lines:?}");
    }

    #[test]
    fn a_word_without_end_is_cut() {
        let lines = wrapped(&"ñ".repeat(100));
        assert_eq!(lines.iter().map(|line| line.chars().count()).collect::<Vec<_>>(), [48, 48, 4]);
    }
}
