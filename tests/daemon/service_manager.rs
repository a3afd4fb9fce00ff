//! Tests of the messages to systemd: the real program with a socket in systemd's place.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::Script;
use tempfile::TempDir;

use crate::world::{World, ms, until};

/// The other end of `NOTIFY_SOCKET`.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
    heard: Vec<String>,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_nonblocking(true).expect("a socket that does not wait");
        Self { socket, folder, heard: Vec::new() }
    }

    fn address(&self) -> String {
        self.folder.path().join("notify").display().to_string()
    }

    /// Every line so far, in order.
    fn heard(&mut self) -> &[String] {
        let mut message = [0; 1024];
        while let Ok(length) = self.socket.recv(&mut message) {
            let text = std::str::from_utf8(&message[..length]).expect("text");
            self.heard.extend(text.lines().map(str::to_owned));
        }
        &self.heard
    }

    fn count(&mut self, line: &str) -> usize {
        self.heard().iter().filter(|heard| *heard == line).count()
    }

    async fn hears(&mut self, times: usize, line: &str) {
        until(line, || self.count(line) >= times).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_hears_of_the_start_the_calls_the_heartbeat_and_the_end() {
    let world = World::new(Script::default());
    let mut manager = Manager::new();
    let address = manager.address();
    let changes =
        [("NOTIFY_SOCKET", &*address), ("WATCHDOG_USEC", "40000"), ("SHUTDOWN_GRACE_SECONDS", "3600")];
    let mut program = world.program(&changes).await;
    manager.hears(1, "READY=1").await;
    manager.hears(1, "STATUS=Conectado a Asterisk - Llamadas en curso: 0").await;
    manager.hears(5, "WATCHDOG=1").await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    manager.hears(1, "STATUS=Conectado a Asterisk - Llamadas en curso: 1").await;
    world.asterisk.cut_events();
    manager.hears(1, "STATUS=Sin conexión con Asterisk - Llamadas en curso: 1").await;
    assert_eq!(manager.count("STOPPING=1"), 0, "{:?}", manager.heard);
    program.signal("TERM");
    manager.hears(1, "STOPPING=1").await;
    // An hour of grace, and the time that ending takes.
    manager.hears(1, "EXTEND_TIMEOUT_USEC=3630000000").await;
    let beats = manager.count("WATCHDOG=1");
    manager.hears(beats + 3, "WATCHDOG=1").await;
    world.asterisk.hang_up(call);
    assert_eq!(program.exit().await.code(), Some(0));
    assert_eq!((manager.count("READY=1"), manager.count("STOPPING=1")), (1, 1), "{:?}", manager.heard);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_hears_that_there_is_no_room_for_another_call() {
    let world = World::new(Script::default());
    let mut manager = Manager::new();
    let address = manager.address();
    let _program = world.program(&[("NOTIFY_SOCKET", &*address), ("MAX_CALLS", "1")]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    let full = "STATUS=Conectado a Asterisk - Llamadas en curso: 1, y no se admiten más (MAX_CALLS)";
    manager.hears(1, full).await;
    world.asterisk.hang_up(call);
    manager.hears(2, "STATUS=Conectado a Asterisk - Llamadas en curso: 0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_heartbeat_is_sent_to_a_manager_that_does_not_watch() {
    let world = World::new(Script::default());
    let mut manager = Manager::new();
    let address = manager.address();
    let mut program = world.program(&[("NOTIFY_SOCKET", &address), ("LOG_LANGUAGE", "en")]).await;
    manager.hears(1, "STATUS=Connected to Asterisk - Calls in progress: 0").await;
    program.signal("TERM");
    assert_eq!(program.exit().await.code(), Some(0));
    assert_eq!(manager.count("WATCHDOG=1"), 0, "{:?}", manager.heard);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abstract_socket_will_do_too() {
    let world = World::new(Script::default());
    let name = format!("openai-inbound-calls-{}", world.asterisk.address());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let socket = UnixDatagram::bind_addr(&address).expect("a socket");
    socket.set_nonblocking(true).expect("a socket that does not wait");
    let _program = world.program(&[("NOTIFY_SOCKET", &format!("@{name}"))]).await;
    let mut message = [0; 64];
    until("it is told something", || socket.recv(&mut message).is_ok()).await;
    assert!(message.starts_with(b"READY=1\0"), "{message:?}");
}

/// The queue of a socket that nobody reads is full after a second. The loop must not wait for room in the
/// queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_that_does_not_read_holds_up_no_call() {
    let world = World::new(Script::default());
    let manager = Manager::new();
    let address = manager.address();
    let changes = [("NOTIFY_SOCKET", &*address), ("WATCHDOG_USEC", "200"), ("LOG_LEVEL", "debug")];
    let mut program = world.program(&changes).await;
    program.says("DEBUG", "systemd was not told").await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller hears the greeting", || {
        world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
    })
    .await;
    world.asterisk.hang_up(call);
    world.over(call).await;
    program.signal("TERM");
    assert_eq!(program.exit().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_that_is_gone_disturbs_nothing() {
    let world = World::new(Script::default());
    let mut program = world.program(&[("NOTIFY_SOCKET", "/nowhere/notify"), ("WATCHDOG_USEC", "2000")]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller hears the greeting", || {
        world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
    })
    .await;
    world.asterisk.hang_up(call);
    world.over(call).await;
    program.signal("TERM");
    assert_eq!(program.exit().await.code(), Some(0));
}
