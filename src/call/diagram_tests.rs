//! The diagrams in the documentation of this folder draw exactly the states that the code has.

use std::collections::BTreeSet;

/// A file with a diagram, the enums whose variants it draws, and names in it that are no states.
type Drawn = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const CLOSING: &str = include_str!("closing.rs");
const LEGS: &str = include_str!("legs.rs");
const WATCH: &str = include_str!("watch.rs");

const DRAWN: [Drawn; 11] = [
    (
        include_str!("mod.rs"),
        &[(CLOSING, "Phase"), (include_str!("mod.rs"), "Turn")],
        &["StasisStart", "Asterisk", "None"],
    ),
    (CLOSING, &[(CLOSING, "Phase")], &[]),
    (LEGS, &[(include_str!("thing.rs"), "Thing"), (LEGS, "Join")], &["Thing", "Join"]),
    (include_str!("caller.rs"), &[(include_str!("caller.rs"), "State")], &[]),
    (include_str!("session.rs"), &[(include_str!("session.rs"), "Session")], &[]),
    (include_str!("floor.rs"), &[(include_str!("floor.rs"), "Announcement")], &[]),
    (include_str!("leaving.rs"), &[(include_str!("leaving.rs"), "Goodbye")], &[]),
    (
        WATCH,
        &[(WATCH, "Packets"), (WATCH, "Silence"), (WATCH, "Said")],
        &["Packets", "Silence", "Prompt", "Warning"],
    ),
    (include_str!("owed.rs"), &[(include_str!("owed.rs"), "Stage")], &[]),
    (include_str!("responses.rs"), &[(include_str!("responses.rs"), "State")], &[]),
    (include_str!("source.rs"), &[(include_str!("source.rs"), "State")], &[]),
];

/// The capitalized words in a file's diagrams.
fn names(source: &str) -> BTreeSet<&str> {
    let (mut names, mut is_drawing) = (BTreeSet::new(), false);
    for line in source.lines() {
        if line.starts_with("//! ```") {
            is_drawing = line == "//! ```text";
        } else if is_drawing {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            // What is all capitals is a constant or a protocol.
            let is_name = |word: &&str| {
                word.starts_with(|c: char| c.is_ascii_uppercase())
                    && word.contains(|c: char| c.is_ascii_lowercase())
            };
            names.extend(words.filter(is_name));
        }
    }
    names
}

/// The variants of an enum.
fn variants<'a>(source: &'a str, name: &str) -> BTreeSet<&'a str> {
    let body = source.split(&format!("enum {name} {{")).nth(1).expect("the enum is in the file");
    let lines = body.lines().take_while(|line| *line != "}").filter_map(|line| line.strip_prefix("    "));
    let lines = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    lines.filter_map(|line| line.split(|c: char| !c.is_alphanumeric()).next()).collect()
}

#[test]
fn a_diagram_draws_exactly_the_states_of_the_code() {
    for (file, enums, others) in DRAWN {
        let mut states = BTreeSet::new();
        for (source, name) in enums {
            states.extend(variants(source, name));
        }
        assert!(states.len() > 2, "{enums:?}");
        let mut drawn = names(file);
        drawn.retain(|name| !others.contains(name));
        let names: Vec<_> = enums.iter().map(|(_, name)| name).collect();
        assert_eq!(drawn, states, "in the diagram and in the code of {names:?}");
    }
}
