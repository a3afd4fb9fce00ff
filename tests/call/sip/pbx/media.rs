//! The media route in this world: the RTP of callers in Asterisk to our sockets and back, and the sessions at the fake Realtime
//! server that carry it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openai_inbound_calls::ari::ChannelId;
use openai_inbound_calls::ari::event::Channel;
use openai_inbound_calls::call::{Call, Input, Known, Output, Seed, SessionEnd};
use openai_inbound_calls::exchange::{self, Agent};
use openai_inbound_calls::operator::{Code, LinkFault};
use openai_inbound_calls::realtime::client::append;
use openai_inbound_calls::realtime::error::Refusal;
use openai_inbound_calls::sim::asterisk::CallerId;
use openai_inbound_calls::sim::realtime::{Handshake, Incoming, Outgoing, Session};

use super::{Due, KEY, Pbx, WAY};

/// A packet of the caller's.
const FRAME: Duration = Duration::from_millis(20);
const FRAME_BYTES: usize = 160;
/// µ-law that every detector takes for speech.
const VOICE: u8 = 0x20;
/// A call that goes on for longer after the end of its conversation has waited for the last words.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The sound of a call that we carry.
#[derive(Debug)]
pub(super) struct Media {
    /// Our socket.
    local: SocketAddr,
    /// Where Asterisk receives.
    asterisk: Option<SocketAddr>,
    /// The only source that we listen to.
    source: Option<SocketAddr>,
    /// What is still to be appended.
    pending: Vec<u8>,
    /// When the conversation ended.
    ended: Option<Instant>,
}

/// The phone of a caller in Asterisk.
#[derive(Debug, Default)]
pub(super) struct Phone {
    /// Of the last packet.
    sequence: u16,
    timestamp: u32,
    /// How many frames are still to be said; None: the caller is silent.
    frames_left: Option<u64>,
}

/// A session of the fake Realtime server.
#[derive(Debug)]
pub(super) struct Model {
    of: ChannelId,
    session: Session,
    /// Whether its call waited for the last words, and sent no sound meanwhile.
    waited: bool,
}

impl Pbx {
    /// Starts a call of this agent whose sound we carry.
    pub(super) fn starts_media(&mut self, channel: &Channel, agent: &Agent) {
        self.ports += 2;
        let local = SocketAddr::from(([10, 0, 0, 1], 10_000 + self.ports));
        let others = self.running.values().filter_map(|running| running.media.as_ref());
        let seed = Seed {
            channel: channel.id.clone(),
            wall: 1_795_182_600,
            channel_name: channel.name.clone(),
            answered: channel.up,
            local,
            advertised: local,
            other_ports: others.map(|media| media.local.port()).collect(),
            ssrc: u32::from(self.ports),
            sequence: self.ports,
            timestamp: 0,
            known: Known::default(),
        };
        let call = Call::new(self.now, Arc::clone(&agent.settings), seed);
        let media = Media { local, asterisk: None, source: None, pending: Vec::new(), ended: None };
        self.begins(&channel.id, agent, call, None, Some(media));
        self.feed(exchange::Input::Started(channel.id.clone(), local));
    }

    /// A call does something with its sound.
    pub(super) fn sounds(&mut self, id: &ChannelId, output: Output) {
        let running = self.running.get_mut(id).expect("it runs");
        let Some(media) = &mut running.media else {
            panic!("a call whose sound OpenAI carries has none of ours: {output:?}")
        };
        match output {
            Output::Rtp(packet) => {
                running.recorded.left(&packet);
                if let Some(to) = media.asterisk {
                    self.asterisk.media_datagram(self.now, to.port(), media.local, &packet);
                }
            }
            Output::MediaAddress(address) => media.asterisk = Some(address),
            Output::MediaSource(source) => media.source = Some(source),
            Output::Append { frame, complete } => {
                media.pending.extend_from_slice(frame.bytes());
                if complete {
                    let text = append(&std::mem::take(&mut media.pending));
                    self.says_to_model(id, text);
                }
            }
            other => panic!("this is no sound: {other:?}"),
        }
    }

    /// A packet of Asterisk's reaches one of our sockets.
    pub(super) fn media_comes(&mut self, from_port: u16, to: SocketAddr, datagram: &[u8]) {
        let from = SocketAddr::from(([127, 0, 0, 1], from_port));
        let is_its = |media: &Media| media.local == to && media.source.is_none_or(|source| source == from);
        let is_it = |(_, running): &(&ChannelId, &super::Running)| running.media.as_ref().is_some_and(is_its);
        let found = self.running.iter().find(is_it).map(|(id, _)| id.clone());
        if let Some(id) = found {
            self.tell(&id, Input::Rtp { from, datagram });
        }
    }

    /// A caller speaks for so many frames. A caller who speaks already has no second voice, but speaks until the later of both ends.
    pub(super) fn speaks(&mut self, caller: CallerId, frames: u64) {
        let phone = self.phones.entry(caller).or_default();
        let speaks_already = phone.frames_left.is_some();
        phone.frames_left = phone.frames_left.max(Some(frames));
        if !speaks_already {
            self.speaks_on(caller);
        }
    }

    /// The next packet of a caller who speaks, or the end of what they say.
    pub(super) fn speaks_on(&mut self, caller: CallerId) {
        let Some(phone) = self.phones.get_mut(&caller) else { return };
        phone.frames_left = phone.frames_left.and_then(|frames| frames.checked_sub(1));
        if phone.frames_left.is_none() {
            return;
        }
        phone.sequence = phone.sequence.wrapping_add(1);
        phone.timestamp = phone.timestamp.wrapping_add(FRAME_BYTES as u32);
        let mut packet = vec![0x80, 0];
        packet.extend(phone.sequence.to_be_bytes());
        packet.extend(phone.timestamp.to_be_bytes());
        packet.extend((caller.0 as u32).to_be_bytes());
        packet.resize(packet.len() + FRAME_BYTES, VOICE);
        self.asterisk.caller_datagram(self.now, caller, &packet);
        self.after(FRAME, Due::Speaks(caller));
    }

    /// The WebSocket to a new session is asked for.
    pub(super) fn knocks(&mut self, id: ChannelId, link: u64) {
        let accepted = if self.is_openai_down() {
            Err(503)
        } else {
            let headers = [("Authorization".to_owned(), KEY.to_owned())];
            let handshake =
                Handshake { path: "/v1/realtime", query: "model=gpt-realtime-2.1", headers: &headers };
            Session::accept(self.now, &handshake, Arc::clone(&self.model), link).map_err(|error| error.status)
        };
        match accepted {
            Ok(session) => {
                self.models.insert(link, Model { of: id.clone(), session, waited: false });
                self.after(WAY, Due::Opened(id, link));
            }
            Err(status) => self.after(WAY, Due::Refused(id, link, status)),
        }
    }

    /// A call says this to the session that it is connected to.
    pub(super) fn says_to_model(&mut self, id: &ChannelId, text: String) {
        if let Some((link, true)) = self.running.get(id).and_then(|running| running.link) {
            self.after(WAY, Due::ToModel(id.clone(), link, text));
        }
    }

    /// Something arrives at a session.
    pub(super) fn at_model(&mut self, link: u64, incoming: Incoming<'_>) {
        let Some(model) = self.models.get_mut(&link) else { return };
        model.session.receive(self.now, incoming);
        if matches!(incoming, Incoming::Closed) {
            self.model_ends(link);
        }
    }

    /// A call closes its WebSocket.
    pub(super) fn hangs(&mut self, id: &ChannelId, link: u64) {
        let media = self.running.get(id).and_then(|running| running.media.as_ref());
        let ended = media.and_then(|media| media.ended);
        if let Some(model) = self.models.get_mut(&link) {
            model.waited = ended.is_some_and(|at| self.now > at + LAST_WORDS);
        }
        self.after(WAY, Due::Hangs(link));
    }

    /// The conversation of a call has ended.
    pub(super) fn conversation_ends(&mut self, id: &ChannelId) {
        let media = self.running.get_mut(id).and_then(|running| running.media.as_mut());
        if let Some(media) = media {
            media.ended = Some(self.now);
        }
    }

    fn model_ends(&mut self, link: u64) {
        if let Some(model) = self.models.remove(&link) {
            let is_excused = |words: &&String| model.waited && words.contains("of real time");
            let complaints = model.session.violations().iter().filter(|words| !is_excused(words));
            self.complaints.extend(complaints.cloned());
        }
    }

    /// All sessions and their connections are gone.
    pub(super) fn models_die(&mut self) {
        for link in self.models.keys().copied().collect::<Vec<_>>() {
            let of = self.models[&link].of.clone();
            self.model_ends(link);
            self.after(WAY, Due::FromModel(of, link, Outgoing::Drop));
        }
    }

    /// Time passes at the sessions, and what they say is on its way to us.
    pub(super) fn models_go_on(&mut self) {
        let mut said = Vec::new();
        for (link, Model { of, session, .. }) in &mut self.models {
            if session.deadline().is_some_and(|at| at <= self.now) {
                session.advance(self.now);
            }
            while let Some(what) = session.poll() {
                said.push((of.clone(), *link, what));
            }
        }
        for (of, link, what) in said {
            self.after(WAY, Due::FromModel(of, link, what));
        }
    }

    /// When [`Self::models_go_on`] is needed next.
    pub(super) fn models_deadline(&self) -> Option<Instant> {
        self.models.values().filter_map(|model| model.session.deadline()).min()
    }

    /// Something of a session arrives at the call that is connected to it.
    pub(super) fn model_says(&mut self, id: &ChannelId, link: u64, what: Outgoing) {
        let end = match what {
            Outgoing::Text(text) => return self.told_text(id, &text),
            // The library skips the one and answers the other.
            Outgoing::Binary(_) => return,
            Outgoing::Ping => return self.after(WAY, Due::Pong(link)),
            Outgoing::Close { code, reason } => {
                let cause = LinkFault::Closed { code, word: Code::new(&reason) };
                SessionEnd { refusal: Refusal::of_close(code, &reason), cause }
            }
            Outgoing::Drop => SessionEnd { refusal: None, cause: LinkFault::Broken },
        };
        self.after(WAY, Due::Hangs(link));
        self.unlinked(id, end);
    }
}
