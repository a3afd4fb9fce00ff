//! Tests that the files of the page fit each other and the daemon's codes.

use std::collections::BTreeSet;

use super::*;
use crate::call::record::EventKind;
use crate::end_reason::EndReason;

fn file(name: &str) -> &'static str {
    FILES.iter().find(|(known, ..)| *known == name).expect("the file is there").2
}

/// The keys of one language in the table of words.
fn keys(language: &str) -> BTreeSet<&'static str> {
    let table =
        file("words.js").split(&format!("\n  {language}: {{\n")).nth(1).expect("the language is there");
    let rows = table.split("\n  },").next().expect("it ends").lines();
    let keys: Vec<_> = rows.map(|row| row.trim().split_once(": \"").expect("a row: key, words").0).collect();
    let set: BTreeSet<_> = keys.iter().copied().collect();
    assert_eq!(set.len(), keys.len(), "a key is there once");
    set
}

/// The texts that follow `before` in the scripts and the page, each up to `end`.
fn named(before: &str, end: char) -> BTreeSet<&'static str> {
    let texts = FILES.iter().filter(|(name, ..)| *name != "words.js").map(|(_, _, text)| *text);
    texts.flat_map(|text| text.split(before).skip(1)).filter_map(|rest| rest.split(end).next()).collect()
}

#[test]
fn both_languages_have_the_same_words() {
    assert_eq!(keys("es"), keys("en"));
    assert!(keys("es").len() > 100);
}

#[test]
fn every_word_that_is_named_is_there() {
    let there = keys("en");
    let mut named_here = named("word(\"", '"');
    named_here.extend(named("data-word=\"", '"'));
    named_here.extend(named("data-label=\"", '"').into_iter().filter(|label| !label.contains('$')));
    let missing: Vec<_> = named_here.iter().filter(|key| !there.contains(*key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_the_daemon_says_in_codes_has_words() {
    let there = keys("en");
    let reasons = EndReason::ALL.map(|reason| format!("reason_{}", reason.code()));
    let events = EventKind::ALL.map(|kind| format!("event_{}", kind.code()));
    for key in reasons.iter().chain(&events) {
        assert!(there.contains(key.as_str()), "{key}");
    }
    let of_reasons = there.iter().filter(|key| key.starts_with("reason_")).count();
    assert_eq!(of_reasons, EndReason::ALL.len(), "and no reason is there that is none");
}

#[test]
fn nothing_comes_from_elsewhere_and_nothing_becomes_html() {
    for (name, _, text) in FILES {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "https://",
        ] {
            assert!(!text.contains(word), "{name} has {word}");
        }
        let elsewhere = text.matches("http://").count();
        assert_eq!(elsewhere, text.matches("http://www.w3.org/2000/svg").count(), "{name}");
    }
    // The policy forbids inline styles and inline event handlers: neither would have an effect.
    assert!(!file("page.html").contains("style=") && !file("page.html").contains("onclick"));
}

#[test]
fn every_file_that_is_named_is_served() {
    let named_here = named("\"/dashboard/", '"');
    let there: BTreeSet<_> =
        FILES.iter().map(|(name, ..)| *name).filter(|name| *name != "page.html").collect();
    assert_eq!(named_here, there);
}
