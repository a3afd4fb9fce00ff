//! Tests of partial and conditional requests: RFC 9110, sections 13 and 14.

use std::fs::File;
use std::time::{Duration, SystemTime};

use crate::world::World;

const ID: &str = "20251020_143025_a";
const BEFORE: &str = "Mon, 20 Oct 2025 19:35:09 GMT";
const DATE: &str = "Mon, 20 Oct 2025 19:35:10 GMT";
const AFTER: &str = "Mon, 20 Oct 2025 19:35:11 GMT";

/// Sets the time at which the audio was written to this date and a fraction of a second.
fn written(world: &World, date: &str) {
    let file = File::options().write(true).open(world.path(&format!("{ID}_audio.wav"))).unwrap();
    let time: SystemTime = chrono::DateTime::parse_from_rfc2822(date).unwrap().into();
    file.set_modified(time + Duration::from_millis(700)).unwrap();
}

#[test]
fn a_part_is_exactly_the_bytes_asked_for() {
    let world = World::of(&[ID]);
    let path = format!("/recordings/{ID}/audio");
    let whole = world.get(&path).body;
    assert_eq!(whole.len(), 16_058);
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=0-57", 0, 57),
        ("bytes=57-58", 57, 58),
        ("bytes=1000-", 1_000, 16_057),
        ("bytes=-1", 16_057, 16_057),
        ("bytes=-99999", 0, 16_057),
        ("bytes=16057-99999", 16_057, 16_057),
        ("bytes=3-99999999999999999999", 3, 16_057),
    ] {
        let part = world.ask("GET", &path, &[("Range", range)]);
        assert_eq!((part.status, part.header("content-type")), (206, Some("audio/wav")), "{range}");
        assert_eq!(part.header("content-range"), Some(format!("bytes {first}-{last}/16058").as_str()));
        assert_eq!(part.body, whole[first..=last], "{range}");
    }
    let voice = world.get(&format!("{path}?channel=assistant")).body;
    let part = world.ask("GET", &format!("{path}?channel=assistant"), &[("Range", "bytes=100-200")]);
    assert_eq!(part.body, voice[100..=200]);
    let bin = world.ask("GET", &format!("/recordings/{ID}/audio.bin"), &[("Range", "bytes=990-")]);
    assert_eq!((bin.status, bin.body.len()), (206, 10));
}

#[test]
fn bytes_that_are_not_there_are_416_and_what_is_no_range_is_ignored() {
    let world = World::of(&[ID]);
    let path = format!("/recordings/{ID}/audio");
    for range in ["bytes=16058-", "bytes=99999999999999999999-", "bytes=-0"] {
        let refused = world.ask("GET", &path, &[("Range", range)]);
        refused.is_problem(416, "range_not_satisfiable");
        assert_eq!(refused.header("content-range"), Some("bytes */16058"));
    }
    for range in ["bytes=5-3", "bytes=0-1,5-6", "bytes=-", "bytes=a-b", "items=0-1", "", "0-1"] {
        let whole = world.ask("GET", &path, &[("Range", range)]);
        assert_eq!((whole.status, whole.body.len()), (200, 16_058), "{range}");
        assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    }
    let twice = world.ask("GET", &path, &[("Range", "bytes=0-1"), ("Range", "bytes=2-3")]);
    assert_eq!(twice.status, 200);
}

#[test]
fn a_part_is_only_of_the_file_it_is_meant_for() {
    let world = World::of(&[ID]);
    let path = format!("/recordings/{ID}/audio");
    written(&world, DATE);
    let whole = world.get(&path);
    let (tag, date) = (whole.header("etag").unwrap(), whole.header("last-modified").unwrap());
    for same in [tag, date] {
        assert_eq!(world.ask("GET", &path, &[("Range", "bytes=0-9"), ("If-Range", same)]).status, 206);
    }
    for other in ["\"other\"", BEFORE, AFTER, &format!("W/{tag}")] {
        let all = world.ask("GET", &path, &[("Range", "bytes=0-9"), ("If-Range", other)]);
        assert_eq!((all.status, all.body.len()), (200, 16_058), "{other}");
    }
    let caller = world.get(&format!("{path}?channel=caller"));
    assert_ne!(caller.header("etag"), Some(tag), "another voice is another file");
    let assistant = world.get(&format!("{path}?channel=assistant"));
    assert_ne!(caller.header("etag"), assistant.header("etag"), "even of the same length");
}

#[test]
fn sound_that_the_client_has_is_not_sent_again() {
    let world = World::of(&[ID]);
    written(&world, DATE);
    let path = format!("/recordings/{ID}/audio");
    let whole = world.get(&path);
    let tag = whole.header("etag").unwrap();
    assert_eq!(whole.header("last-modified"), Some(DATE));
    for method in ["GET", "HEAD"] {
        for (name, value) in [
            ("If-None-Match", tag),
            ("If-None-Match", "*"),
            ("If-None-Match", &format!("\"other\", W/{tag}")),
            ("If-Modified-Since", DATE),
            ("If-Modified-Since", "Monday, 20-Oct-25 19:35:10 GMT"),
            ("If-Modified-Since", "Mon Oct 20 19:35:11 2025"),
        ] {
            let known = world.ask(method, &path, &[(name, value)]);
            assert_eq!((known.status, known.header("etag")), (304, Some(tag)), "{method} {name}: {value}");
            assert_eq!((known.body.len(), known.header("content-type")), (0, None));
            // A part of a known version is not new either.
            let part = world.ask(method, &path, &[(name, value), ("Range", "bytes=0-9")]);
            assert_eq!((part.status, part.body.len()), (304, 0), "{method} {name}: {value}");
        }
    }
    for headers in [
        &[("If-None-Match", "\"other\"")][..],
        &[("If-None-Match", "\"other\""), ("If-Modified-Since", AFTER)],
        &[("If-Modified-Since", BEFORE)],
        &[("If-Modified-Since", "yesterday")],
        &[("If-Modified-Since", AFTER), ("If-Modified-Since", AFTER)],
    ] {
        assert_eq!(world.ask("GET", &path, headers).status, 200, "{headers:?}");
        let part = [headers, &[("Range", "bytes=0-9")]].concat();
        assert_eq!(world.ask("GET", &path, &part).status, 206, "{headers:?}");
    }
}

#[test]
fn sound_in_another_state_than_the_one_meant_is_412() {
    let world = World::of(&[ID]);
    written(&world, DATE);
    let path = format!("/recordings/{ID}/audio");
    let tag = world.get(&path).header("etag").unwrap().to_owned();
    for headers in [
        &[("If-Match", "\"other\"")][..],
        &[("If-Match", &format!("W/{tag}"))],
        &[("If-Match", "")],
        &[("If-Unmodified-Since", BEFORE)],
        // Preconditions that may fail come before those about known versions, and both come before the range.
        &[("If-Match", "\"other\""), ("If-None-Match", &tag)],
        &[("If-Unmodified-Since", BEFORE), ("If-Modified-Since", AFTER)],
        &[("If-Match", "\"other\""), ("Range", "bytes=99999-")],
    ] {
        world.ask("GET", &path, headers).is_problem(412, "precondition_failed");
    }
    for headers in [
        &[("If-Match", tag.as_str())][..],
        &[("If-Match", "*"), ("If-Unmodified-Since", BEFORE)],
        &[("If-Match", &format!("\"other\", {tag}"))],
        &[("If-Unmodified-Since", DATE)],
        &[("If-Unmodified-Since", "yesterday")],
    ] {
        assert_eq!(world.ask("GET", &path, headers).status, 200, "{headers:?}");
        let part = [headers, &[("Range", "bytes=0-9"), ("If-Range", DATE)]].concat();
        assert_eq!(world.ask("GET", &path, &part).status, 206, "{headers:?}");
    }
    // A missing file matches no precondition.
    let missing = format!("/recordings/{ID}x/audio");
    world.ask("GET", &missing, &[("If-Match", "*")]).is_problem(404, "no_such_recording");
}

#[test]
fn a_date_does_not_vouch_for_a_file_that_may_still_change_within_its_second() {
    let world = World::of(&[ID]);
    let path = format!("/recordings/{ID}/audio");
    // The same holds for any file with a date in the future.
    written(&world, "Fri, 20 Oct 2090 19:35:10 GMT");
    let date = world.get(&path).header("last-modified").unwrap().to_owned();
    assert_eq!(world.ask("GET", &path, &[("Range", "bytes=0-9"), ("If-Range", &date)]).status, 200);
}
