//! RTP packets (RFC 3550 §5.1): a parser for received packets and a writer for sent packets.
//!
//! The parser handles the whole header, including contributing sources, the extension and the padding,
//! because a parser that ignores one of them plays it to the caller as noise. Packets are neither reordered
//! nor paced here; see `call::uplink`.

use super::frame::{FRAME_BYTES, Frame};

/// The length of the fixed part of the header, in bytes.
pub const HEADER_BYTES: usize = 12;
/// The length of a sent packet in bytes: the header and one frame.
pub const PACKET_BYTES: usize = HEADER_BYTES + FRAME_BYTES;

/// The payload type of G.711 µ-law (RFC 3551 table 4).
pub const PAYLOAD_ULAW: u8 = 0;
/// The payload type of G.711 A-law (RFC 3551 table 4).
pub const PAYLOAD_ALAW: u8 = 8;

/// Why a datagram is not a usable RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The datagram is shorter than the header that it announces.
    #[error("too short")]
    TooShort,
    /// The version in the header is not 2.
    #[error("not RTP version 2")]
    Version,
    /// The padding is longer than the payload, or its length is zero.
    #[error("bad padding")]
    Padding,
    /// The datagram is an RTCP packet (RFC 5761 §4).
    #[error("RTCP, not RTP")]
    Rtcp,
}

/// A received packet. The payload is borrowed from the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The RTP payload type, 0–127.
    pub payload_type: u8,
    /// The marker bit, which is set on the first packet after a pause.
    pub marker: bool,
    /// The sequence number, which wraps after 65 535.
    pub sequence: u16,
    /// The timestamp in samples at 8 kHz, which wraps after 2³² − 1.
    pub timestamp: u32,
    /// The synchronisation source, which identifies the sender of the stream.
    pub ssrc: u32,
    /// The audio, without the padding.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads one datagram.
    ///
    /// # Errors
    /// See [`ParseError`]. The caller counts the datagram and drops it.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let (header, _) = datagram.split_at_checked(HEADER_BYTES).ok_or(ParseError::TooShort)?;
        if header[0] >> 6 != 2 {
            return Err(ParseError::Version);
        }
        if (192..=223).contains(&header[1]) {
            return Err(ParseError::Rtcp);
        }
        let mut start = HEADER_BYTES + 4 * usize::from(header[0] & 0x0F);
        if header[0] & 0x10 != 0 {
            let extension = datagram.get(start..start + 4).ok_or(ParseError::TooShort)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
        }
        let mut payload = datagram.get(start..).ok_or(ParseError::TooShort)?;
        if header[0] & 0x20 != 0 {
            let padding = usize::from(*payload.last().ok_or(ParseError::Padding)?);
            let kept = payload.len().checked_sub(padding).ok_or(ParseError::Padding)?;
            if padding == 0 {
                return Err(ParseError::Padding);
            }
            payload = &payload[..kept];
        }
        Ok(Self {
            payload_type: header[1] & 0x7F,
            marker: header[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            payload,
        })
    }
}

/// The state of one outgoing µ-law stream, which numbers its packets.
#[derive(Debug)]
pub struct Stream {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
}

impl Stream {
    /// A stream that has not sent any packet. The three values should be random (RFC 3550 §5.1).
    pub const fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self { ssrc, sequence, timestamp, marker: true }
    }

    /// The next packet. Its timestamp is 20 ms after that of the previous packet.
    pub fn packet(&mut self, frame: &Frame) -> [u8; PACKET_BYTES] {
        let mut packet = [0; PACKET_BYTES];
        packet[0] = 2 << 6;
        packet[1] = PAYLOAD_ULAW | (u8::from(self.marker) << 7);
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        packet[HEADER_BYTES..].copy_from_slice(frame.bytes());
        self.marker = false;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME_BYTES as u32);
        packet
    }

    /// Skips `frames` × 20 ms without a packet, so that the timestamp keeps up with the clock. The next
    /// packet carries the marker bit, as the first packet after a pause does (RFC 3551 §4.1).
    pub fn skip(&mut self, frames: u32) {
        self.timestamp = self.timestamp.wrapping_add(frames.wrapping_mul(FRAME_BYTES as u32));
        self.marker = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stream_counts_on_through_the_wrap() {
        let mut stream = Stream::new(7, u16::MAX, u32::MAX - 159);
        let (first, second) = (stream.packet(&Frame::SILENCE), stream.packet(&Frame::SILENCE));
        let (first, second) = (Packet::parse(&first).expect("ours"), Packet::parse(&second).expect("ours"));
        assert_eq!((first.sequence, first.timestamp, first.marker), (u16::MAX, u32::MAX - 159, true));
        assert_eq!((second.sequence, second.timestamp, second.marker), (0, 0, false));
        assert_eq!((second.ssrc, second.payload), (7, &Frame::SILENCE.0[..]));
    }

    #[test]
    fn a_pause_moves_the_clock_and_marks_the_next_packet() {
        let mut stream = Stream::new(1, 10, 0);
        let _ = stream.packet(&Frame::SILENCE);
        stream.skip(3);
        let packet = stream.packet(&Frame::SILENCE);
        let packet = Packet::parse(&packet).expect("ours");
        assert_eq!((packet.sequence, packet.timestamp, packet.marker), (11, 4 * 160, true));
    }

    #[test]
    fn sources_extension_and_padding_are_not_sound() {
        let mut datagram = vec![0xB2, 0x80, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]; // padding, extension, 2 sources
        datagram.extend([9; 8]);
        datagram.extend([0xBE, 0xDE, 0, 1, 1, 2, 3, 4]);
        datagram.extend([0x11, 0x22, 0x33, 0, 0, 3]);
        let packet = Packet::parse(&datagram).expect("well-formed");
        assert_eq!(packet.payload, [0x11, 0x22, 0x33]);
        assert!(packet.marker);
    }

    #[test]
    fn malformed_packets_are_told_apart() {
        assert_eq!(Packet::parse(&[0x80; 11]), Err(ParseError::TooShort));
        assert_eq!(Packet::parse(&[0x00; 12]), Err(ParseError::Version));
        assert_eq!(Packet::parse(&[0x8F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Err(ParseError::TooShort));
        assert_eq!(Packet::parse(&[0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]), Err(ParseError::Padding));
        assert_eq!(Packet::parse(&[0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Err(ParseError::Padding));
        assert_eq!(Packet::parse(&[0x80, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Err(ParseError::Rtcp));
    }

    proptest! {
        /// An independent parser reads every datagram in the same way.
        #[test]
        fn another_parser_agrees(mut datagram in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(first) = datagram.first_mut() { *first = 0x80 | (*first & 0x3F); }
            prop_assume!(datagram.len() < 2 || !(192..=223).contains(&datagram[1]));
            match (Packet::parse(&datagram), rtp_types::RtpPacket::parse(&datagram)) {
                (Ok(ours), Ok(theirs)) => {
                    prop_assert_eq!(ours.payload_type, theirs.payload_type());
                    prop_assert_eq!(ours.marker, theirs.marker_bit());
                    prop_assert_eq!(ours.sequence, theirs.sequence_number());
                    prop_assert_eq!(ours.timestamp, theirs.timestamp());
                    prop_assert_eq!(ours.ssrc, theirs.ssrc());
                    prop_assert_eq!(ours.payload, theirs.payload());
                }
                (Err(_), Err(_)) => {}
                (ours, theirs) => prop_assert!(false, "we say {ours:?}, the other {theirs:?}"),
            }
        }
    }
}
