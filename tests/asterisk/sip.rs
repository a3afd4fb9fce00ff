//! A telephone that can transfer calls (REFER, RFC 3515; Replaces, RFC 3891), which SIPp's scenarios cannot
//! do across two calls. The telephone sends no audio. It knows enough of SIP for one Asterisk on loopback: no
//! retransmissions and no authentication.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// The time limit of a wait: longer than anything that works takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A telephone.
pub(crate) struct SipPhone {
    socket: UdpSocket,
    asterisk: SocketAddr,
    user: &'static str,
    /// The counter for calls, requests and tags.
    count: u32,
}

/// One call of a telephone.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    call_id: String,
    /// The values of From and To in the telephone's requests.
    local: String,
    remote: String,
    target: String,
}

impl SipPhone {
    pub(crate) fn new(user: &'static str, port: u16, asterisk_port: u16) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", port)).expect("loopback");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Self { socket, asterisk: ([127, 0, 0, 1], asterisk_port).into(), user, count: 0 }
    }

    /// Starts a call; [`Self::is_answered`] completes it.
    pub(crate) fn dial(&mut self, number: &str) -> Dialog {
        self.count += 1;
        let (user, count) = (self.user, self.count);
        let port = self.socket.local_addr().expect("bound").port();
        let target = format!("sip:{number}@{}", self.asterisk);
        let dialog = Dialog {
            call_id: format!("{user}-{count}@127.0.0.1:{port}"),
            local: format!("<sip:{user}@127.0.0.1:{port}>;tag={user}{count}"),
            remote: format!("<{target}>"),
            target,
        };
        self.request("INVITE", &dialog, "Content-Type: application/sdp\r\n", &self.sdp());
        dialog
    }

    /// Waits until the call is answered.
    pub(crate) fn is_answered(&mut self, dialog: Dialog) -> Dialog {
        let answer = self.response(&dialog);
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        let target = uri(&header(&answer, "Contact"));
        let dialog = Dialog { remote: header(&answer, "To"), target, ..dialog };
        self.request("ACK", &dialog, "", "");
        dialog
    }

    /// Waits for a call and answers it.
    pub(crate) fn answers(&mut self) -> Dialog {
        let invite = self.receive(|message| message.starts_with("INVITE "));
        let local = format!("{};tag={}", header(&invite, "To"), self.user);
        let dialog = Dialog {
            call_id: header(&invite, "Call-ID"),
            local: local.clone(),
            remote: header(&invite, "From"),
            target: uri(&header(&invite, "Contact")),
        };
        self.answer(&invite, &local);
        self.receive(|message| message.starts_with("ACK "));
        dialog
    }

    /// Connects the party at the other end of `call` with the party at the other end of `consultation`.
    pub(crate) fn transfers(&mut self, call: &Dialog, consultation: &Dialog) {
        let tag = |value: &str| value.split("tag=").nth(1).expect("a tag").to_owned();
        let (call_id, to, from) =
            (consultation.call_id.replace('@', "%40"), tag(&consultation.remote), tag(&consultation.local));
        let uri = consultation.target.split(';').next().unwrap_or_default();
        self.refer(call, &format!("{uri}?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}"));
    }

    /// Transfers the party at the other end of `call` to this number.
    pub(crate) fn sends_to(&mut self, call: &Dialog, number: &str) {
        let uri = format!("sip:{number}@{}", self.asterisk);
        self.refer(call, &uri);
    }

    /// Ends a call.
    pub(crate) fn hangs_up(&mut self, call: &Dialog) {
        self.request("BYE", call, "", "");
        self.response(call);
    }

    fn refer(&mut self, call: &Dialog, to: &str) {
        let headers = format!("Refer-To: <{to}>\r\nReferred-By: <sip:{}@127.0.0.1>\r\n", self.user);
        self.request("REFER", call, &headers, "");
        let answer = self.response(call);
        assert!(answer.starts_with("SIP/2.0 202 "), "{answer}");
        self.receive(|message| message.starts_with("NOTIFY ") && message.contains("SIP/2.0 200 OK"));
    }

    /// The final answer to the last request of this call.
    fn response(&self, call: &Dialog) -> String {
        let is_final = |message: &str| {
            message.starts_with("SIP/2.0 ")
                && !message.starts_with("SIP/2.0 1")
                && header(message, "Call-ID") == call.call_id
        };
        self.receive(is_final)
    }

    /// Waits for a message, and answers requests meanwhile.
    fn receive(&self, is_it: impl Fn(&str) -> bool) -> String {
        let mut datagram = [0; 4_096];
        loop {
            let (length, _) = self.socket.recv_from(&mut datagram).expect("Asterisk says something");
            let message = String::from_utf8_lossy(&datagram[..length]).into_owned();
            let is_request = !message.starts_with("SIP/2.0 ") && !message.starts_with("ACK ");
            // A new call is for the function that waits for one.
            let is_new = || message.starts_with("INVITE ") && !header(&message, "To").contains("tag=");
            if is_request && !is_new() {
                self.answer(&message, &header(&message, "To"));
            }
            if is_it(&message) {
                return message;
            }
        }
    }

    fn answer(&self, request: &str, to: &str) {
        let same = |name: &str| format!("{name}: {}\r\n", header(request, name));
        let body = if request.starts_with("INVITE ") { self.sdp() } else { String::new() };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let answer = format!(
            "SIP/2.0 200 OK\r\n{}{}To: {to}\r\n{}{}{}{kind}Content-Length: {}\r\n\r\n{body}",
            same("Via"),
            same("From"),
            same("Call-ID"),
            same("CSeq"),
            self.contact(),
            body.len(),
        );
        self.send(&answer);
    }

    fn request(&mut self, method: &str, dialog: &Dialog, headers: &str, body: &str) {
        // An ACK has the number of its INVITE.
        self.count += u32::from(method != "ACK");
        let Dialog { call_id, local, remote, target } = dialog;
        let port = self.socket.local_addr().expect("bound").port();
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{}{method}{};rport\r\n\
             Max-Forwards: 70\r\nFrom: {local}\r\nTo: {remote}\r\nCall-ID: {call_id}\r\nCSeq: {} {method}\r\n\
             {}{headers}Content-Length: {}\r\n\r\n{body}",
            self.user,
            self.count,
            self.count,
            self.contact(),
            body.len(),
        );
        self.send(&text);
    }

    fn contact(&self) -> String {
        let port = self.socket.local_addr().expect("bound").port();
        format!("Contact: <sip:{}@127.0.0.1:{port}>\r\n", self.user)
    }

    fn sdp(&self) -> String {
        // The port has no listener, because these tests do not use the audio.
        let port = self.socket.local_addr().expect("bound").port() + 1_000;
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )
    }

    fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.asterisk).expect("loopback takes it");
    }
}

/// The value of the first header of a message with this name.
fn header(message: &str, name: &str) -> String {
    let mut lines =
        message.lines().map_while(|line| line.split_once(": ").or((!line.is_empty()).then_some((line, ""))));
    let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
    let Some((_, value)) = found else { panic!("no {name} in {message}") };
    value.to_owned()
}

fn uri(value: &str) -> String {
    value.split(['<', '>']).nth(1).expect("a URI in brackets").to_owned()
}
