//! Tests of the number of connections, and of who is served when there are too many.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use openai_inbound_calls::config::Role;

use crate::live::scene;
use crate::world::{PATIENCE, With, World, token};

fn connect(world: &World) -> TcpStream {
    let stream = TcpStream::connect(world.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A stream of events: a connection that is busy until it is dropped.
fn stream(world: &World) -> TcpStream {
    let stream = connect(world);
    write!(&stream, "GET /calls/live/events HTTP/1.1\r\nHost: {}\r\n\r\n", world.address).unwrap();
    let mut first = String::new();
    BufReader::new(&stream).read_line(&mut first).unwrap();
    assert!(first.contains(" 200 "), "{first}");
    stream
}

#[test]
fn idle_connections_of_one_address_keep_nobody_waiting() {
    let world = World::empty();
    let mut idle: Vec<_> = (0..300).map(|_| connect(&world)).collect();
    // A connection with half a request counts as idle too.
    for stream in &mut idle[..10] {
        // The connection may be closed already.
        stream.write_all(b"GET /hea").ok();
    }
    assert_eq!(world.get("/health").status, 200);
    for stream in &mut idle[..269] {
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "the oldest are closed");
    }
    for stream in &mut idle[269..] {
        stream.set_nonblocking(true).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

/// Behind a proxy one share has all connections; strangers at many addresses would have as many.
#[test]
fn logins_whose_bodies_do_not_come_keep_nobody_out() {
    let secret = "full-0123456789ab";
    let tokens = vec![token("boss", Role::Full, secret)];
    let with = With { tokens, trusted_proxies: &["127.0.0.1/32"], ..With::default() };
    let world = World::over(tempfile::tempdir().unwrap(), with);
    let slow: Vec<_> = (0..256).map(|_| connect(&world)).collect();
    for stream in &slow {
        let head = format!("POST /login HTTP/1.1\r\nHost: {}\r\nContent-Length: 40\r\n\r\n{{", world.address);
        let mut stream = stream;
        stream.write_all(head.as_bytes()).unwrap();
    }
    // Only a few are waited for; the answer to the others, which comes at once, frees their connections.
    let mut answers = Vec::new();
    for stream in &slow {
        stream.set_nonblocking(true).unwrap();
    }
    world.until("the others are answered", |_| {
        let mut start = [0; 12];
        let read = |mut stream: &TcpStream| stream.read(&mut start).ok().map(|_| start);
        answers.extend(slow.iter().filter_map(read).filter(|start| start.starts_with(b"HTTP")));
        answers.len() >= 240
    });
    assert!(answers.iter().all(|start| start.ends_with(b"503")));
    let bearer = format!("Bearer {secret}");
    assert_eq!(world.ask("GET", "/calls", &[("Authorization", &bearer)]).status, 200);
}

#[test]
fn where_all_are_busy_a_monitor_finds_room() {
    let scene = scene(With::default());
    let world = &scene.world;
    let busy: Vec<_> = (0..32).map(|_| stream(world)).collect();
    let refused = world.get("/recordings");
    refused.is_problem(503, "too_many_connections");
    assert_eq!(refused.header("retry-after"), Some("5"));
    let idle: Vec<_> = (0..40).map(|_| connect(world)).collect();
    for path in ["/health", "/ready", "/metrics"] {
        let answer = world.get(path);
        assert!(!answer.text().contains("too_many_connections"), "{path}: {}", answer.text());
        assert_eq!(answer.header("connection"), Some("close"), "{path}");
    }
    drop((busy, idle));
    world.until("there is room again", |world| world.get("/recordings").status == 200);
}
