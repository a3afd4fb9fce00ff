//! Tests of a folder into which another program has put things: pipes, links and files without an end.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::world::{With, World, record};

const ID: &str = "20251020_143025_a";
const OTHER: &str = "20251020_143026_b";

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn pipes_in_the_place_of_recordings_keep_neither_the_list_nor_health_waiting() {
    let folder = tempfile::tempdir().unwrap();
    for id in [ID, OTHER] {
        record(folder.path(), id, "1");
    }
    for part in ["conversation.json", "summary.txt", "audio.wav", "audio.bin"] {
        let path = folder.path().join(format!("{ID}_{part}"));
        fs::remove_file(&path).unwrap();
        pipe(&path);
    }
    let world = World::over(folder, With::default());
    assert_eq!(world.ids(""), [OTHER, ID]);
    // There are more requests than threads that wait for the disk.
    let asked: Vec<_> = (0..16)
        .map(|_| {
            let mut stream = TcpStream::connect(world.address).unwrap();
            let head =
                format!("GET /recordings/{ID}/conversation HTTP/1.1\r\nHost: {}\r\n\r\n", world.address);
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(world.get("/health").status, 200);
    drop(asked);
    for part in ["/conversation", "/summary", "/audio", "/audio.bin"] {
        world.get(&format!("/recordings/{ID}{part}")).is_problem(500, "damaged");
    }
    assert_eq!(world.get(&format!("/recordings/{OTHER}/conversation")).status, 200);
    assert_eq!(world.ask("DELETE", &format!("/recordings/{ID}"), &[]).status, 204, "it can be got rid of");
    assert_eq!(world.files().len(), 4);
}

#[test]
fn a_link_shows_no_file_of_the_machine_as_a_recording() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = elsewhere.path().join("secret");
    fs::write(&secret, "{\"conversation\": []}").unwrap();
    record(folder.path(), ID, "1");
    for part in ["conversation.json", "summary.txt", "audio.wav", "audio.bin"] {
        let path = folder.path().join(format!("{ID}_{part}"));
        fs::remove_file(&path).unwrap();
        symlink(&secret, &path).unwrap();
    }
    let world = World::over(folder, With::default());
    for part in ["/conversation", "/summary", "/events", "/audio", "/audio.bin"] {
        world.get(&format!("/recordings/{ID}{part}")).is_problem(500, "damaged");
    }
    assert_eq!(world.ask("DELETE", &format!("/recordings/{ID}"), &[]).status, 204);
    assert!(secret.exists() && world.files().is_empty(), "the link goes, not what it leads to");
}

#[test]
fn a_text_larger_than_any_is_not_read_into_memory() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), ID, "1");
    // The file is sparse, so it takes no space on the disk.
    let endless = File::create(folder.path().join(format!("{ID}_conversation.json"))).unwrap();
    endless.set_len(1 << 40).unwrap();
    let world = World::over(folder, With::default());
    world.get(&format!("/recordings/{ID}/conversation")).is_problem(500, "damaged");
    assert_eq!(world.ids(""), [ID]);
}
