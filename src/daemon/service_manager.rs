//! What systemd is told of the daemon (`sd_notify(3)`): that it serves, how it fares, that it stops, and that its
//! event loop turns. Without systemd, this module does nothing.
//!
//! Only the event loop feeds the watchdog: if the loop hangs, systemd restarts the daemon. The loop never waits for
//! systemd, even if systemd does not read. The libraries for this protocol block, so the module does not use one. The text
//! of the status line comes from the operator's notices.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::operator::{Language, Notice};

/// The way to the service manager.
pub(super) struct ServiceManager {
    language: Language,
    /// `None`: nobody listens.
    socket: Option<UnixDatagram>,
    /// The heartbeat, due twice within systemd's watchdog time. `None`: systemd does not watch the daemon.
    heartbeat: Option<Interval>,
    /// What was last said, as nobody wants to read it twice.
    status: Option<Notice>,
}

impl ServiceManager {
    /// The manager that started this process, if one did: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` tell.
    pub(super) fn of_this_process(language: Language) -> Self {
        let number = |name| std::env::var_os(name).and_then(|text| text.to_str()?.parse::<u64>().ok());
        let is_meant = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
        let patience = number("WATCHDOG_USEC").filter(|patience| *patience > 1 && is_meant);
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|address| {
            connect(&address)
                .inspect_err(
                    |error| tracing::debug!(%error, "NOTIFY_SOCKET leads nowhere: systemd is told nothing"),
                )
                .ok()
        });
        let heartbeat = patience.map(|patience| {
            let mut heartbeat = interval(Duration::from_micros(patience) / 2);
            heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            heartbeat
        });
        Self { language, socket, heartbeat, status: None }
    }

    /// Everything stands; from now on the loop turns.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// The line of `systemctl status`, if it is another than before.
    pub(super) fn status(&mut self, status: Notice) {
        if self.status.as_ref() != Some(&status) {
            self.tell(&format!("STATUS={}", status.line(self.language)));
            self.status = Some(status);
        }
    }

    /// The end has begun and may take `patience`, whatever `TimeoutStopSec` says.
    pub(super) fn stopping(&self, patience: Duration) {
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={}", patience.as_micros()));
    }

    /// Waits until a heartbeat is due. Cancel safe.
    pub(super) async fn heartbeat_due(&mut self) {
        match &mut self.heartbeat {
            Some(heartbeat) => _ = heartbeat.tick().await,
            None => std::future::pending().await,
        }
    }

    /// The loop turns.
    pub(super) fn heartbeat(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, message: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(message.as_bytes())
        {
            tracing::debug!(%error, message, "systemd was not told");
        }
    }
}

/// `address` is a path, or `@` and an abstract name.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match address.as_bytes() {
        [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        _ => socket.connect(address)?,
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}
