//! The parts of RTP (RFC 3550) that the fakes need: they write a fixed header and read any header. There is
//! no RTCP and no jitter buffer.

/// µ-law silence.
pub(super) const SILENCE: u8 = 0xff;
/// The payload type of G.711 µ-law.
pub(super) const ULAW: u8 = 0;
/// The payload type of G.711 A-law.
pub(super) const ALAW: u8 = 8;
/// The payload type of RFC 4733 telephone events that nearly every phone negotiates.
pub(super) const KEYS: u8 = 101;
/// The digits in the order of their RFC 4733 codes.
pub(super) const DIGITS: &str = "0123456789*#ABCD";

/// The header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
}

/// Reads the header and the payload. None: the datagram is not RTP (too short, another version, RTCP).
pub(super) fn read(datagram: &[u8]) -> Option<(Header, &[u8])> {
    let (fixed, rest) = datagram.split_at_checked(12)?;
    if fixed[0] >> 6 != 2 || (192..=223).contains(&fixed[1]) {
        return None;
    }
    let mut payload = rest.get(usize::from(fixed[0] & 15) * 4..)?;
    if fixed[0] & 16 != 0 {
        let words = u16::from_be_bytes([*payload.get(2)?, *payload.get(3)?]);
        payload = payload.get(4 + usize::from(words) * 4..)?;
    }
    if fixed[0] & 32 != 0 {
        let padding = usize::from(*payload.last()?);
        payload = payload.get(..payload.len().checked_sub(padding)?)?;
    }
    let header = Header {
        marker: fixed[1] & 128 != 0,
        payload_type: fixed[1] & 127,
        seq: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
    };
    Some((header, payload))
}

/// The packet as bytes.
pub(super) fn write(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(12 + payload.len());
    datagram.extend([0x80, u8::from(header.marker) << 7 | header.payload_type]);
    datagram.extend(header.seq.to_be_bytes());
    datagram.extend(header.timestamp.to_be_bytes());
    datagram.extend(header.ssrc.to_be_bytes());
    datagram.extend(payload);
    datagram
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { marker: true, payload_type: 101, seq: 7, timestamp: 8, ssrc: 9 };

    #[test]
    fn reads_what_it_writes() {
        assert_eq!(read(&write(HEADER, b"abc")), Some((HEADER, &b"abc"[..])));
    }

    #[test]
    fn skips_csrc_extension_and_padding() {
        let mut datagram = write(HEADER, &[]);
        datagram[0] |= 32 | 16 | 1;
        datagram.extend([1, 1, 1, 1]); // one CSRC
        datagram.extend([0, 0, 0, 1, 2, 2, 2, 2]); // an extension of one word
        datagram.extend(b"abc\0\x02"); // two bytes of padding
        assert_eq!(read(&datagram), Some((HEADER, &b"abc"[..])));
    }

    #[test]
    fn refuses_what_is_no_rtp() {
        assert_eq!(read(b"short"), None);
        assert_eq!(read(&[0xff; 160]), None, "audio without a header");
        assert_eq!(read(&[0x80, 200, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]), None, "an RTCP sender report");
        assert_eq!(read(&[0x8f, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]), None, "CSRCs promised and missing");
    }
}
