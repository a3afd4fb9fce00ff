//! The SIP trunk between the fake Asterisk and the fake of OpenAI's calls: what Asterisk dials rings at OpenAI with its headers, is
//! answered when it is accepted there, carries sound both ways in frames of 20 ms, and ends when either side ends it. The webhooks
//! about these calls are sent from here.
//!
//! ```text
//!   AsteriskServer ── Dialled, Hears, Key, Alone, Released ──► Trunk ──► offer, answered, hear, … ── OpenAiCallsServer
//!                 ◄─ far_end_answers, _hangs_up, _datagram ───   │   ◄── state, take_sound
//!                                                    webhook ◄───┘
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::asterisk::{Exchange, FarEnd};
use super::openai_calls::{House, What};
use super::{AsteriskServer, OpenAiCallsServer};
use crate::clock::{self, chance, wall};
use crate::sim::openai_calls::{State, Webhook};
use crate::sim::rtp::{self, Header};

/// How long OpenAI's SIP side takes to answer a call that is accepted.
const ANSWERS: Duration = Duration::from_millis(150);
/// How long the answer to a webhook is waited for.
const WEBHOOK: Duration = Duration::from_secs(5);
/// The timestamps of a frame of 20 ms at 8 kHz.
const FRAME: u32 = 160;
/// The headers that every INVITE has.
const HEADERS: [(&str, &str); 2] =
    [("From", "<sip:anonymous@203.0.113.5>;tag=88221144"), ("To", "<sip:proj_0001@sip.api.openai.com>")];

/// A trunk that carries calls. Dropping the value ends it.
#[derive(Debug)]
pub struct Trunk {
    webhook: watch::Sender<Option<SocketAddr>>,
    _tasks: JoinSet<()>,
}

impl Trunk {
    /// Carries the calls that this Asterisk makes to this OpenAI. Webhooks are not sent before [`Self::webhook_at`].
    #[must_use]
    pub fn between(asterisk: &AsteriskServer, openai: &OpenAiCallsServer) -> Self {
        let (webhook, address) = watch::channel(None);
        let (asterisk, far_ends) = asterisk.far_ends();
        let carrier = Carrier {
            asterisk,
            openai: openai.house(),
            calls: Vec::new(),
            webhooks: JoinSet::new(),
            address,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(carrier.carry(far_ends));
        Self { webhook, _tasks: tasks }
    }

    /// From now on webhooks are sent to `/webhook` at this address.
    pub fn webhook_at(&self, address: SocketAddr) {
        self.webhook.send_replace(Some(address));
    }
}

/// How a call stands between Asterisk and OpenAI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Ringing,
    /// It is accepted, and answered at this instant.
    Accepted(Instant),
    Up,
}

/// One call.
#[derive(Debug)]
struct Carried {
    /// Its id at OpenAI.
    id: String,
    /// Its channel in Asterisk.
    channel: String,
    stage: Stage,
    /// The header of the next packet to Asterisk.
    next: Header,
}

/// What Asterisk's side of a call is told.
enum Act {
    Answer(String),
    End(String),
    Speak(String, Vec<u8>),
}

/// The task of a trunk.
struct Carrier {
    asterisk: Arc<Exchange>,
    openai: Arc<House>,
    calls: Vec<Carried>,
    webhooks: JoinSet<()>,
    address: watch::Receiver<Option<SocketAddr>>,
}

impl Carrier {
    async fn carry(mut self, mut far_ends: mpsc::Receiver<FarEnd>) {
        loop {
            let deadline = self.pass();
            let due = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                happened = far_ends.recv() => match happened {
                    Some(happened) => self.happened(happened),
                    None => return,
                },
                () = self.openai.for_trunk.notified() => {}
                () = due => {}
            }
        }
    }

    fn happened(&mut self, what: FarEnd) {
        let now = clock::now();
        let id = |calls: &[Carried], channel: &str| {
            calls.iter().find(|call| call.channel == channel).map(|call| call.id.clone())
        };
        match what {
            FarEnd::Dialled { channel, headers } => self.dialled(now, channel, &headers),
            FarEnd::Hears { channel, datagram } => {
                if let (Some(id), Some((_, frame))) = (id(&self.calls, &channel), rtp::read(&datagram)) {
                    self.openai.calls().hear(now, &id, frame);
                }
            }
            FarEnd::Key { channel, digit } => {
                if let Some(id) = id(&self.calls, &channel) {
                    self.openai.calls().caller_presses(&id, digit);
                }
            }
            FarEnd::Alone { channel } => {
                if let Some(id) = id(&self.calls, &channel) {
                    self.openai.calls().nobody_listens(&id);
                }
            }
            FarEnd::Released { channel } => {
                if let Some(at) = self.calls.iter().position(|call| call.channel == channel) {
                    let call = self.calls.swap_remove(at);
                    self.openai.calls().caller_hangs_up(now, &call.id);
                    self.openai.note(&call.id, || What::HungUp);
                }
            }
        }
        self.openai.news.notify_waiters();
    }

    fn dialled(&mut self, now: Instant, channel: String, headers: &[(String, String)]) {
        let id = format!("rtc_u0_{:016x}", chance());
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers: Vec<_> = HEADERS.into_iter().chain(headers).collect();
        let unix_s = u64::try_from(wall().timestamp()).unwrap_or_default();
        let webhook = self.openai.calls().offer(now, &id, unix_s, &headers);
        self.openai.note(&id, || What::Rings);
        let [seq, timestamp, ssrc] = [0, 16, 32].map(|shift| (chance() >> shift) as u32);
        let next = Header { marker: true, payload_type: rtp::ULAW, seq: seq as u16, timestamp, ssrc };
        self.calls.push(Carried { id: id.clone(), channel, stage: Stage::Ringing, next });
        while self.webhooks.try_join_next().is_some() {}
        if let Some(address) = *self.address.borrow() {
            let sent = clock::now();
            let openai = Arc::clone(&self.openai);
            self.webhooks.spawn(async move {
                let answer = timeout(WEBHOOK, send(address, &webhook)).await;
                let status = answer.ok().and_then(Result::ok).unwrap_or(0);
                // When it was sent: what it causes may happen before its answer is read.
                openai.note_at(sent, &id, || What::Webhook(status));
            });
        }
    }

    /// Lets time pass at OpenAI, does in Asterisk what follows, and returns when to do so again.
    fn pass(&mut self) -> Option<Instant> {
        let (mut acts, now) = (Vec::new(), clock::now());
        let mut openai = self.openai.calls();
        openai.advance(now);
        let mut answers = None;
        self.calls.retain_mut(|call| {
            match (openai.state(&call.id), call.stage) {
                (Some(State::Accepted), Stage::Ringing) => call.stage = Stage::Accepted(now + ANSWERS),
                (Some(State::Accepted), Stage::Accepted(at)) if at <= now => {
                    call.stage = Stage::Up;
                    openai.answered(now, &call.id);
                    openai.advance(now);
                    acts.push(Act::Answer(call.channel.clone()));
                    self.openai.note(&call.id, || What::Answered);
                }
                (Some(State::Accepted | State::Ringing(_) | State::Elsewhere), _) => {}
                _ => {
                    acts.push(Act::End(call.channel.clone()));
                    self.openai.note(&call.id, || What::HangsUp);
                    return false;
                }
            }
            if let Stage::Accepted(at) = call.stage {
                answers = [answers, Some(at)].into_iter().flatten().min();
            }
            while let Some(frame) = openai.take_sound(&call.id) {
                acts.push(Act::Speak(call.channel.clone(), call.packet(&frame)));
            }
            true
        });
        let deadline = [openai.deadline(), answers].into_iter().flatten().min();
        drop(openai);
        if !acts.is_empty() {
            self.asterisk.with(|world, now| {
                for act in &acts {
                    match act {
                        Act::Answer(channel) => world.asterisk.far_end_answers(now, channel),
                        Act::End(channel) => world.asterisk.far_end_hangs_up(now, channel),
                        Act::Speak(channel, datagram) => {
                            world.asterisk.far_end_datagram(now, channel, datagram);
                        }
                    }
                }
            });
        }
        deadline
    }
}

impl Carried {
    /// The packet that carries a frame to Asterisk.
    fn packet(&mut self, frame: &[u8]) -> Vec<u8> {
        let header = self.next;
        self.next = Header {
            marker: false,
            seq: header.seq.wrapping_add(1),
            timestamp: header.timestamp.wrapping_add(FRAME),
            ..header
        };
        rtp::write(header, frame)
    }
}

/// Sends a webhook, and returns the status of the answer.
async fn send(to: SocketAddr, webhook: &Webhook) -> std::io::Result<u16> {
    let Webhook { id, timestamp, signature, body } = webhook;
    let request = format!(
        "POST /webhook HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         user-agent: OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)\r\nwebhook-id: {id}\r\n\
         webhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer[..read]);
    Ok(text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0))
}
