//! The thread of the floor that carries the audio of all calls: one thread, epoll, and no runtime.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::frames;
use crate::clock::now;
use crate::media::rtp::{Packet, Stream};
use crate::media::{FRAME_BYTES, FRAME_DURATION, Frame, base64};
use crate::realtime::client::{self, ClientEvent};
use crate::realtime::dialect::SessionSettings;
use crate::realtime::server;

/// The number of events that one system call may return. A smaller number needs more system calls when many calls are ready at
/// once.
const EVENTS: usize = 256;
/// The size of the buffer for what a session sends, in bytes. A smaller buffer needs more system calls for an audio delta.
const SESSION_BYTES: usize = 64 * 1024;

/// Something that the carrier shall do.
pub(super) enum Order {
    /// Carry the audio of this call.
    Begin(u64, Box<Line>),
    /// The call is over.
    End(u64),
}

/// The sockets of a call, and what is in flight between them.
pub(super) struct Line {
    /// Connected to the port of Asterisk; does not block.
    rtp: UdpSocket,
    /// A WebSocket behind its handshake; does not block.
    session: TcpStream,
    /// What the session has sent and is not read yet.
    unread: Vec<u8>,
    /// What the session does not accept yet.
    unsent: Vec<u8>,
    append: Vec<u8>,
    stream: Stream,
    queue: VecDeque<u8>,
    is_configured: bool,
}

impl Line {
    /// A call whose sockets stand. `unread` is what arrived together with the answer to the handshake.
    pub(super) fn new(rtp: UdpSocket, session: TcpStream, unread: Vec<u8>, stream: Stream) -> Self {
        Self {
            rtp,
            session,
            unread,
            unsent: Vec::new(),
            append: Vec::new(),
            stream,
            queue: VecDeque::new(),
            is_configured: false,
        }
    }
}

/// Which socket of a call is readable.
const RTP: u64 = 0;
const SESSION: u64 = 1;

/// The calls whose audio is carried.
pub(super) struct Carrier {
    epoll: OwnedFd,
    orders: Receiver<Order>,
    settings: SessionSettings,
    append_bytes: usize,
    lines: HashMap<u64, Box<Line>>,
    /// When the next frame of which call is due.
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    read: Vec<u8>,
}

impl Carrier {
    /// A carrier without calls. An append has `append_bytes` of audio.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub(super) fn new(
        orders: Receiver<Order>,
        settings: SessionSettings,
        append_bytes: usize,
    ) -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            orders,
            settings,
            append_bytes,
            lines: HashMap::new(),
            due: BinaryHeap::new(),
            read: vec![0; SESSION_BYTES],
        })
    }

    /// Carries audio until the channel of the orders is closed.
    ///
    /// # Errors
    /// Returns the error of epoll.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        while self.obey() {
            let Some(Reverse((next, _))) = self.due.peek() else { continue };
            let wait = next.saturating_duration_since(now());
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timespec(wait)))?;
            for event in events.drain(..) {
                let Event { data, .. } = event;
                let number = data.u64() >> 1;
                let served = match data.u64() & 1 {
                    RTP => self.packet(number),
                    _ => self.session(number),
                };
                if served.is_err() {
                    self.end(number);
                }
            }
            self.play();
        }
        Ok(())
    }

    /// Does what has been ordered; without a call, waits for it. Returns false when there will be no more orders.
    fn obey(&mut self) -> bool {
        loop {
            let order = if self.lines.is_empty() {
                self.orders.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                self.orders.try_recv()
            };
            match order {
                Ok(Order::Begin(number, line)) => {
                    // A call whose sockets cannot be watched is heard by nobody, and the bench shows it.
                    drop(self.begin(number, line));
                }
                Ok(Order::End(number)) => self.end(number),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn begin(&mut self, number: u64, line: Box<Line>) -> io::Result<()> {
        epoll::add(&self.epoll, &line.rtp, EventData::new_u64(number << 1 | RTP), EventFlags::IN)?;
        epoll::add(&self.epoll, &line.session, EventData::new_u64(number << 1 | SESSION), EventFlags::IN)?;
        self.lines.insert(number, line);
        self.due.push(Reverse((now(), number)));
        if self.understand(number).is_err() {
            self.end(number);
        }
        Ok(())
    }

    fn end(&mut self, number: u64) {
        if let Some(mut line) = self.lines.remove(&number) {
            // The sockets are closed when the line is dropped, which also removes them from epoll.
            line.session.write_all(&frames::close()).ok();
        }
    }

    /// Takes a packet of the caller.
    fn packet(&mut self, number: u64) -> anyhow::Result<()> {
        let Some(line) = self.lines.get_mut(&number) else { return Ok(()) };
        let Ok(length) = line.rtp.recv(&mut self.read) else { return Ok(()) };
        if let (Ok(packet), true) = (Packet::parse(&self.read[..length]), line.is_configured) {
            line.append.extend_from_slice(packet.payload);
            if line.append.len() >= self.append_bytes {
                let text = client::append(&line.append);
                line.append.clear();
                line.say(&text)?;
            }
        }
        Ok(())
    }

    /// Takes what the session has sent.
    fn session(&mut self, number: u64) -> anyhow::Result<()> {
        let Some(line) = self.lines.get_mut(&number) else { return Ok(()) };
        match line.session.read(&mut self.read) {
            Ok(0) => return Err(anyhow!("the session is over")),
            Ok(length) => line.unread.extend_from_slice(&self.read[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        self.understand(number)
    }

    /// Does what the session's complete messages ask for.
    fn understand(&mut self, number: u64) -> anyhow::Result<()> {
        let Some(line) = self.lines.get_mut(&number) else { return Ok(()) };
        let unread = std::mem::take(&mut line.unread);
        let mut rest = &unread[..];
        while let Some((text, behind)) = frames::take(rest) {
            line.take(std::str::from_utf8(text)?, &self.settings)?;
            rest = behind;
        }
        line.unread = rest.to_vec();
        Ok(())
    }

    /// Lets the frames leave that are due.
    fn play(&mut self) {
        let now = now();
        while let Some(Reverse((at, number))) = self.due.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.due.pop();
            if let Some(line) = self.lines.get_mut(&number) {
                line.play();
                self.due.push(Reverse((at + FRAME_DURATION, number)));
            }
        }
    }
}

impl Line {
    fn take(&mut self, text: &str, settings: &SessionSettings) -> anyhow::Result<()> {
        match server::parse(text) {
            Ok(server::Event::AudioDelta { audio, .. }) => {
                let queue = &mut self.queue;
                let taken = base64::decode(&audio, |bytes| {
                    queue.extend(bytes);
                    Ok::<(), ()>(())
                });
                taken.map_err(|_| anyhow!("bad base64"))?;
            }
            Ok(server::Event::SpeechStarted { .. }) => self.queue.clear(),
            Ok(server::Event::SessionCreated) => {
                let session = settings.session(settings.interrupt);
                self.say(&ClientEvent::SessionUpdate { event_id: "floor".into(), session }.to_json())?;
            }
            Ok(server::Event::SessionUpdated { .. }) => {
                self.is_configured = true;
                let (event_id, instructions) = ("floor-greeting".into(), Some("Salude.".into()));
                self.say(&ClientEvent::ResponseCreate { event_id, instructions }.to_json())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Sends a text. What the socket does not accept waits for the next text.
    fn say(&mut self, text: &str) -> io::Result<()> {
        frames::put(text.as_bytes(), &mut self.unsent);
        match self.session.write(&self.unsent) {
            Ok(length) => drop(self.unsent.drain(..length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Lets a frame leave.
    fn play(&mut self) {
        let mut frame = Frame::SILENCE;
        let ready = self.queue.len().min(FRAME_BYTES);
        for (place, byte) in frame.0.iter_mut().zip(self.queue.drain(..ready)) {
            *place = byte;
        }
        // A full socket buffer loses one frame, as the network would.
        drop(self.rtp.send(&self.stream.packet(&frame)));
    }
}

fn timespec(wait: Duration) -> Timespec {
    Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) }
}
