//! Cuts a JSON value to a size without breaking it.
//!
//! What is least missed goes first: the ends of lists, then of long texts, then of wide tables, at last what lies deep. Each
//! step leaves the value valid JSON, and everything that is left out is counted.

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
    let all = Limits { entries: usize::MAX, chars: usize::MAX, members: usize::MAX, depth: MOST_DEPTH };
    if fits(value, room) {
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
    let mut limits = all;
    for (least, most, with) in steps {
        if fits(&kept(value, with(limits, least)).0, room) {
            return kept(
                value,
                with(limits, largest(least, most, |limit| fits(&kept(value, with(limits, limit)).0, room))),
            );
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

fn fits(value: &Value, room: usize) -> bool {
    value.to_string().chars().count() <= room
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
