//! Parts of a file.

use crate::world::World;

const ID: &str = "20251020_143025_a";

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
    let whole = world.get(&path);
    let (tag, date) = (whole.header("etag").unwrap(), whole.header("last-modified").unwrap());
    for same in [tag, date] {
        assert_eq!(world.ask("GET", &path, &[("Range", "bytes=0-9"), ("If-Range", same)]).status, 206);
    }
    for other in ["\"other\"", "Mon, 20 Oct 2025 19:30:25 GMT", &format!("W/{tag}")] {
        let all = world.ask("GET", &path, &[("Range", "bytes=0-9"), ("If-Range", other)]);
        assert_eq!((all.status, all.body.len()), (200, 16_058), "{other}");
    }
    let caller = world.get(&format!("{path}?channel=caller"));
    assert_ne!(caller.header("etag"), Some(tag), "another voice is another file");
    let assistant = world.get(&format!("{path}?channel=assistant"));
    assert_ne!(caller.header("etag"), assistant.header("etag"), "even of the same length");
}
