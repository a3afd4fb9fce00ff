//! Cuts a JSON value to a size without breaking it.
//!
//! What is least missed goes first: the ends of lists, then of long texts, then of wide tables, at last what lies deep. Each
//! step leaves the value valid JSON, and everything that is left out is counted.
//!
//! Whether limits are strict enough is found out by counting, which stops where the room ends: the time depends on the room, and
//! hardly on the size of the value. Only what is kept is copied.

use serde_json::{Map, Value};

/// A list keeps this many entries until everything else has been cut too.
const FEW_ENTRIES: usize = 3;
/// A text keeps this many characters until tables are cut.
const FEW_CHARS: usize = 80;
/// A table keeps this many members until depth is cut.
const FEW_MEMBERS: usize = 8;
/// No answer is deeper: serde_json refuses it.
const MOST_DEPTH: usize = 128;

/// How much of a value is kept.
#[derive(Clone, Copy)]
struct Limits {
    entries: usize,
    chars: usize,
    members: usize,
    depth: usize,
}

/// What to cut next: the least and the most that is kept, and the limits with a number between them.
type Step = (usize, usize, fn(Limits, usize) -> Limits);

/// Cuts `value` so that its JSON has at most `room` characters. Returns it with the number of entries, members and texts that
/// were left out or cut.
#[must_use]
pub fn cut(value: &Value, room: usize) -> (Value, usize) {
    let all = Limits { entries: usize::MAX, chars: usize::MAX, members: usize::MAX, depth: usize::MAX };
    if fits(value, all, room) {
        return (value.clone(), 0);
    }
    let size = Size::of(value);
    let steps: [Step; 5] = [
        (FEW_ENTRIES, size.entries, |limits, entries| Limits { entries, ..limits }),
        (FEW_CHARS, size.chars, |limits, chars| Limits { chars, ..limits }),
        (FEW_MEMBERS, size.members, |limits, members| Limits { members, ..limits }),
        (0, size.depth, |limits, depth| Limits { depth, ..limits }),
        (0, FEW_CHARS, |limits, chars| Limits { chars, ..limits }),
    ];
    let mut limits = Limits { depth: MOST_DEPTH, ..all };
    for (least, most, with) in steps {
        if fits(value, with(limits, least), room) {
            let limit = largest(least, most, |limit| fits(value, with(limits, limit), room));
            return kept(value, with(limits, limit));
        }
        limits = with(limits, least);
    }
    (Value::Null, 1)
}

/// The largest number up to `most` for which `fits` holds, which holds for `least` and for no number above one for which it
/// does not.
fn largest(least: usize, most: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut good, mut bad) = (least, most.saturating_add(1).max(least + 1));
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    good
}

/// Whether the JSON of what the limits keep of a value has at most `room` characters.
fn fits(value: &Value, limits: Limits, room: usize) -> bool {
    left(value, limits, room).is_some()
}

/// What is left of the room after the JSON of what the limits keep of a value. `None`: it does not fit.
fn left(value: &Value, limits: Limits, room: usize) -> Option<usize> {
    let is_whole = |count: usize| count == 0 || limits.depth > 0;
    let inner = Limits { depth: limits.depth.saturating_sub(1), ..limits };
    match value {
        Value::Array(entries) if is_whole(entries.len()) => {
            let kept = entries.iter().take(limits.entries);
            let room = room.checked_sub(around(kept.len()))?;
            kept.into_iter().try_fold(room, |room, entry| left(entry, inner, room))
        }
        Value::Object(members) if is_whole(members.len()) => {
            let kept = members.iter().take(limits.members);
            let room = room.checked_sub(around(kept.len()))?;
            kept.into_iter().try_fold(room, |room, (name, member)| {
                left(member, inner, left_by_text(name, usize::MAX, room)?.checked_sub(":".len())?)
            })
        }
        Value::Array(_) | Value::Object(_) | Value::Null => room.checked_sub("null".len()),
        Value::String(text) => left_by_text(text, limits.chars, room),
        Value::Bool(is_true) => room.checked_sub(if *is_true { "true" } else { "false" }.len()),
        Value::Number(number) => room.checked_sub(number.to_string().len()),
    }
}

/// The brackets around this many entries or members, and the commas between them.
const fn around(count: usize) -> usize {
    2 + count.saturating_sub(1)
}

/// What is left of the room after a text, of which this many characters are kept. RFC 8259 section 7 says what is escaped.
fn left_by_text(text: &str, chars: usize, room: usize) -> Option<usize> {
    let mut all = text.chars();
    let mut room = room.checked_sub(2)?;
    for c in all.by_ref().take(chars) {
        room = room.checked_sub(match c {
            '"' | '\\' | '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' => 2,
            '\0'..='\u{1f}' => 6,
            _ => 1,
        })?;
    }
    // The ellipsis.
    room.checked_sub(usize::from(all.next().is_some()))
}

/// The largest list, text, table, and the depth of a value.
#[derive(Default)]
struct Size {
    entries: usize,
    chars: usize,
    members: usize,
    depth: usize,
}

impl Size {
    fn of(value: &Value) -> Self {
        let inner = |values: &mut dyn Iterator<Item = &Value>| {
            values.map(Self::of).fold(Self::default(), |all, one| Self {
                entries: all.entries.max(one.entries),
                chars: all.chars.max(one.chars),
                members: all.members.max(one.members),
                depth: all.depth.max(one.depth + 1),
            })
        };
        match value {
            Value::Array(entries) => {
                let size = inner(&mut entries.iter());
                Self { entries: size.entries.max(entries.len()), ..size }
            }
            Value::Object(members) => {
                let size = inner(&mut members.values());
                Self { members: size.members.max(members.len()), ..size }
            }
            Value::String(text) => Self { chars: text.chars().count(), ..Self::default() },
            _ => Self::default(),
        }
    }
}

/// What the limits keep of a value, and the number of things that they leave out.
fn kept(value: &Value, limits: Limits) -> (Value, usize) {
    let deeper = |depth: usize| Limits { depth, ..limits };
    match value {
        Value::Array(entries) if !entries.is_empty() => {
            let Some(depth) = limits.depth.checked_sub(1) else { return (Value::Null, 1) };
            let mut left_out = entries.len().saturating_sub(limits.entries);
            let values = entries.iter().take(limits.entries).map(|entry| {
                let (entry, inner) = kept(entry, deeper(depth));
                left_out += inner;
                entry
            });
            let values: Vec<_> = values.collect();
            (Value::Array(values), left_out)
        }
        Value::Object(members) if !members.is_empty() => {
            let Some(depth) = limits.depth.checked_sub(1) else { return (Value::Null, 1) };
            let mut left_out = members.len().saturating_sub(limits.members);
            let mut values = Map::new();
            for (name, member) in members.iter().take(limits.members) {
                let (member, inner) = kept(member, deeper(depth));
                left_out += inner;
                values.insert(name.clone(), member);
            }
            (Value::Object(values), left_out)
        }
        Value::String(text) => match text.char_indices().nth(limits.chars) {
            Some((end, _)) => (Value::String(format!("{}…", &text[..end])), 1),
            None => (value.clone(), 0),
        },
        other => (other.clone(), 0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tool::tests::json_value;

    proptest! {
        #[test]
        fn what_is_counted_is_the_length_of_what_is_kept(
            value in json_value(), entries in 0_usize..14, chars in 0_usize..14, members in 0_usize..14, depth in 0_usize..8,
        ) {
            let limits = Limits { entries, chars, members, depth };
            let length = kept(&value, limits).0.to_string().chars().count();
            prop_assert!(fits(&value, limits, length) && !fits(&value, limits, length - 1));
        }
    }
}
