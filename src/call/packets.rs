//! The caller's packets: from the socket to the tape and the model.

use std::net::SocketAddr;

use super::source::{Change, Refusal};
use super::tape::Tape;
use super::{Call, Output};
use crate::media::Frame;
use crate::media::rtp::{self, Packet};
use crate::operator::Notice;

/// A payload that is longer than this is sound. A key has 4 bytes (RFC 4733 §2.3), comfort noise up to 11 (RFC 3389 §3), the
/// shortest piece of sound 33 (GSM, 20 ms) or 10 (G.729, 10 ms, which Asterisk does not send to us).
const LONGEST_SIGNAL: usize = 16;

/// Which codec the operator has been told of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum CodecSaid {
    /// None yet.
    #[default]
    Nothing,
    /// One that the daemon cannot read.
    Other,
    /// µ-law.
    Ulaw,
}

impl Call {
    /// A datagram at our RTP socket.
    pub(super) fn rtp(&mut self, from: SocketAddr, datagram: &[u8]) {
        if !self.phase.is_serving() {
            return;
        }
        let Ok(packet) = Packet::parse(datagram) else {
            self.counters.malformed_packets += 1;
            return;
        };
        let (is_callers, change) = self.source.judge(self.now, from, &packet);
        if let Some(change) = change {
            self.source_changed(change);
        }
        if !is_callers {
            self.counters.foreign_packets += 1;
            return;
        }
        self.watch.packet(self.now);
        self.playout.packet(self.now);
        if self.codec_said != CodecSaid::Ulaw {
            self.say_codec(&packet);
        }
        if packet.payload_type != rtp::PAYLOAD_ULAW {
            self.counters.other_payloads += 1;
            return;
        }
        let Self { now, uplink, to_model, tape, outputs, .. } = self;
        uplink.accept(*now, &packet, &mut |ready| {
            tape_caller(tape, &ready.frame, outputs);
            to_model.send(*now, ready, outputs);
        });
    }

    /// Makes up what the caller's phone has not sent, as far as that is due.
    pub(super) fn fill(&mut self) {
        let Self { now, uplink, to_model, tape, outputs, .. } = self;
        uplink.advance(*now, &mut |ready| {
            tape_caller(tape, &ready.frame, outputs);
            to_model.send(*now, ready, outputs);
        });
    }

    fn source_changed(&mut self, change: Change) {
        self.outputs.push(match change {
            Change::Learned { named, source } => Output::Notice(Notice::RtpSourceLearned { named, source }),
            Change::Refused { why: Refusal::Strict, named, source } => {
                Output::Notice(Notice::RtpSourceRefused { named, source })
            }
            Change::Refused { why: Refusal::ForeignNetwork, named, source } => {
                Output::Notice(Notice::RtpSourceForeign { named, source })
            }
            Change::Locked(source) => Output::MediaSource(source),
        });
    }

    /// Tells the operator the codec of the first sound. Keys and comfort noise, which may come before it, are none.
    fn say_codec(&mut self, packet: &Packet<'_>) {
        let payload_type = packet.payload_type;
        let is_other_sound = packet.payload.len() > LONGEST_SIGNAL && self.codec_said == CodecSaid::Nothing;
        self.codec_said = match payload_type {
            rtp::PAYLOAD_ULAW => CodecSaid::Ulaw,
            _ if is_other_sound => CodecSaid::Other,
            _ => return,
        };
        self.outputs.push(Output::Notice(Notice::CodecDetected { codec: codec(payload_type) }));
        if self.codec_said == CodecSaid::Other {
            self.outputs.push(Output::Notice(Notice::UnknownPayload { payload_type }));
        }
    }
}

fn tape_caller(tape: &mut Option<Tape>, frame: &Frame, outputs: &mut Vec<Output>) {
    if let Some(tape) = tape {
        tape.caller(frame, &mut |entry| outputs.push(Output::Record(entry)));
    }
}

/// The operator's word for a payload type.
fn codec(payload_type: u8) -> String {
    match payload_type {
        rtp::PAYLOAD_ULAW => "ulaw".to_owned(),
        rtp::PAYLOAD_ALAW => "alaw".to_owned(),
        other => format!("RTP {other}"),
    }
}
