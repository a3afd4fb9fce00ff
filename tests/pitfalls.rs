//! Checks the list of known faults (`pitfalls.md`) against the tests: each test that the list names must
//! exist.

use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The faults of the list: the text, and the tests that cover each of them, as file and name.
fn faults(list: &str) -> Vec<(&str, Vec<(&str, &str)>)> {
    let entries = list.split("\n- ").skip(1);
    let entries = entries.map(|entry| entry.split("\n\n").next().unwrap_or(entry));
    entries
        .map(|entry| {
            let (fault, tests) = entry.split_once("\n  `").unwrap_or((entry, ""));
            let tests = tests
                .split("\n  `")
                .filter_map(|test| test.trim_end().trim_end_matches(',').split_once("` "));
            (fault, tests.collect())
        })
        .collect()
}

#[test]
fn every_fault_of_the_list_is_held_by_tests_that_exist() {
    let list = read("tests/pitfalls.md");
    let faults = faults(&list);
    assert!(faults.len() >= 19, "the list is read: {faults:#?}");
    for (fault, tests) in faults {
        assert!(!tests.is_empty(), "no test holds: {fault}");
        for (file, name) in tests {
            let text = read(file);
            // A test is a function, or a scenario of a macro that defines a test for each Asterisk.
            let found =
                [format!("fn {name}()"), format!(" {name}(testbed: ")].iter().any(|form| text.contains(form));
            assert!(found, "{file} has no test {name}, which is to hold: {fault}");
        }
    }
}
