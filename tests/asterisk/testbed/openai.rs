//! OpenAI in a test of the SIP route: a second real Asterisk takes its SIP calls over TLS and SDES, and the strict fake of OpenAI's
//! calls decides what becomes of them. What the model says is noise that is never the same twice.
//!
//! ```text
//!   caller ── Asterisk under test ══ SIP over TLS, SRTP ══ Asterisk in OpenAI's place ── RTP ── the model's noise
//!                    │ ARI                                            │ ARI
//!                 daemon ◄── webhook, REST, WebSocket ── the fake of OpenAI's calls
//! ```
//! A transfer that the fake is asked for becomes a REFER of its Asterisk. That knows no `tel:` targets, and of the answers that
//! refuse a call it cannot give 600.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt as _;
use openai_inbound_calls::ari::event::{self, Event};
use openai_inbound_calls::ari::request::Request;
use openai_inbound_calls::ari::{ChannelId, Place};
use openai_inbound_calls::net::ari_rest::AriRest;
use openai_inbound_calls::net::tls::client_config;
use openai_inbound_calls::sim::live::OpenAiCallsServer;
use openai_inbound_calls::sim::openai_calls::{Script, State};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::interval;
use tokio_tungstenite::tungstenite::Message;

use super::{LOOK_EVERY, Testbed, wait};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The bytes of the webhook's secret.
pub(crate) fn secret() -> Vec<u8> {
    (0..32).collect()
}

const FRAME_BYTES: usize = 160;
/// Silence of the caller after which a loud frame is a new utterance.
const PAUSE_FRAMES: u32 = 25;

/// The sound of the model's side.
#[derive(Debug, Default)]
pub(crate) struct Sound {
    /// What the model has said, without its silence.
    pub(crate) said: Vec<u8>,
    /// What it has heard, frame after frame.
    pub(crate) heard: Vec<u8>,
}

/// OpenAI. Dropping the value ends it.
pub(crate) struct OpenAi {
    pub(crate) server: Arc<OpenAiCallsServer>,
    sound: Arc<Mutex<Sound>>,
    peer: HashMap<&'static str, String>,
    /// The daemon's variables.
    variables: Vec<(String, String)>,
    _driver: JoinSet<()>,
}

impl OpenAi {
    /// The sound so far.
    pub(crate) fn sound(&self) -> MutexGuard<'_, Sound> {
        self.sound.lock().expect("nobody panics with the lock")
    }

    /// The id of the only call.
    pub(crate) fn call() -> &'static str {
        "rtc_u0_0001"
    }

    /// Waits until the only call stands so.
    pub(crate) fn stands(&self, is_it: impl Fn(&State) -> bool) {
        let state = || self.server.look(|calls| calls.state(Self::call()).cloned());
        assert!(wait(|| state().as_ref().is_some_and(&is_it)), "{:?}", state());
    }

    /// Asserts that we have made no mistake, and that nothing is left that costs money.
    pub(crate) fn is_clean(&self) {
        self.server.look(|calls| {
            assert_eq!(calls.violations(), [""; 0]);
            assert_eq!(calls.left(), [""; 0]);
        });
    }

    /// What the log of its Asterisk says.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(super::pbx::run_folder(&self.peer["ASTERISK_NAME"]).join("log/full"))
            .unwrap_or_default()
    }
}

impl Drop for OpenAi {
    fn drop(&mut self) {
        drop(script("stop", &self.peer).arg("-k").stdout(Stdio::null()).status());
    }
}

impl Testbed {
    /// Starts OpenAI, and restarts Asterisk with the endpoint of the documentation and the daemon with the SIP route.
    pub(crate) fn openai(
        &self,
        script_of_calls: Script,
        words: &'static [&'static str],
        changes: &[(&str, &str)],
    ) -> OpenAi {
        let _runtime_context = self.runtime.enter();
        let server = Arc::new(OpenAiCallsServer::start(script_of_calls).expect("loopback"));
        let port = |name: &str| self.environment[name].parse::<u16>().expect("a port");
        let (tls, sip, ari) = (port("SIP_PORT") + 600, port("SIP_PORT") + 400, port("ASTERISK_PORT") + 400);
        let extra = self.folder.path().join("openai");
        certify(&extra);
        write(&extra.join("pjsip.conf"), &pjsip_of_openai(&extra, tls, sip));
        write(&extra.join("extensions.conf"), EXTENSIONS);
        let rtp = port("RTP_START");
        let peer = HashMap::from([
            ("ASTERISK_SUITE", "forky".to_owned()),
            ("ASTERISK_NAME", format!("{}-openai", self.environment["ASTERISK_NAME"])),
            ("ASTERISK_PORT", ari.to_string()),
            ("SIP_PORT", sip.to_string()),
            ("RTP_START", (rtp + 50).to_string()),
            ("RTP_END", (rtp + 99).to_string()),
            ("ASTERISK_APP", "openai".to_owned()),
            ("ASTERISK_EXTRA", extra.to_string_lossy().into_owned()),
        ]);
        let started = script("start", &peer).output().expect("a script");
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));

        let ours = Path::new(&self.environment["ASTERISK_EXTRA"]);
        write(&ours.join("pjsip.conf"), &pjsip_of_documentation(&extra.join("ca.pem"), tls, tls + 100));
        write(&ours.join("extensions.conf"), TRUNK);
        let connected = "Conexión ARI establecida";
        let before = self.log_count(connected);
        self.kill_asterisk();
        self.start_asterisk();
        self.log_says_times(connected, before + 1);
        let (realtime, calls) = (server.realtime_url(), server.calls_url());
        let variables = [
            ("OPENAI_WEBHOOK_SECRET", SECRET),
            ("OPENAI_SIP_ENDPOINT", "openai"),
            ("OPENAI_PROJECT", "proj_0001"),
            ("CALL_ROUTE", "sip"),
            ("OPENAI_REALTIME_URL", &realtime),
            ("OPENAI_CALLS_URL", &calls),
            ("WEBHOOK_LISTEN", "127.0.0.1:0"),
        ];
        let variables = [&variables, changes].concat();
        self.restart_daemon_with(&variables);
        self.log_says("Webhook de OpenAI en ");
        self.log_says_times(connected, before + 2);
        let webhook = self.webhook();

        let sound = Arc::new(Mutex::new(Sound::default()));
        let mut driver = JoinSet::new();
        let (shared, heard) = (Arc::clone(&server), Arc::clone(&sound));
        driver.spawn_on(drive(ari, webhook, shared, heard, words), self.runtime.handle());
        // Nobody is called before the driver has its events.
        let listens = || {
            script("cli", &peer)
                .args(["ari", "show", "apps"])
                .output()
                .is_ok_and(|shown| String::from_utf8_lossy(&shown.stdout).contains("openai"))
        };
        assert!(wait(listens), "nobody listens to OpenAI's Asterisk");
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables = variables.iter().map(owned).collect();
        OpenAi { server, sound, peer, variables, _driver: driver }
    }

    /// Restarts the daemon with another project of OpenAI's.
    pub(crate) fn restart_with_project(&self, openai: &OpenAi, project: &str) {
        let connected = "Conexión ARI establecida";
        let before = self.log_count(connected);
        let known = openai.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.restart_daemon_with(&known.chain([("OPENAI_PROJECT", project)]).collect::<Vec<_>>());
        self.log_says_times(connected, before + 1);
    }

    /// The address of the daemon's webhook.
    fn webhook(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("daemon.log")).expect("the log");
        let (_, rest) = log.rsplit_once("Webhook de OpenAI en ").expect("it was said");
        let address = rest.split(": ").next().expect("an address and a path");
        format!("http://{address}")
    }
}

/// An extension for each project of OpenAI: one whose calls are answered with 486, one whose calls are not answered, and the others.
/// Behind them the transfer of a caller.
const EXTENSIONS: &str = "; instead
[openai]
exten => proj_busy,1,Hangup(17)
exten => proj_silent,1,Wait(30)
exten => _proj.,1,Stasis(openai,nonce=${PJSIP_HEADER(read,X-Call-Nonce)},key=${PJSIP_HEADER(read,X-Trunk-Key)})
 same => n,Hangup()
[refer]
exten => s,1,Transfer(PJSIP/${TARGET})
 same => n,Verbose(1,refer: ${TRANSFERSTATUS})
 same => n,Hangup()
";

/// A trunk in our Asterisk that dials OpenAI by itself (number 800), and where a REFER of OpenAI's may lead.
const TRUNK: &str = "
[from-voip](+)
exten => 800,1,Dial(PJSIP/proj_0001@openai,20,b(openai-headers^s^1))
 same => n,Hangup()
[openai-headers]
exten => s,1,Set(PJSIP_HEADER(add,X-Trunk-Key)=k3y-of-the-trunk)
 same => n,Return()
[openai-refer]
exten => 200,1,Verbose(1,referred: ${EXTEN} by ${SIPREFERREDBYHDR})
 same => n,Goto(from-internal,200,1)
";

fn pjsip_of_openai(folder: &Path, tls: u16, sip: u16) -> String {
    let folder = folder.display();
    format!(
        "; instead
[global]
type=global
endpoint_identifier_order=ip
debug=yes
[transport]
type=transport
protocol=udp
bind=127.0.0.1:{sip}
[transport-tls]
type=transport
protocol=tls
bind=127.0.0.1:{tls}
method=tlsv1_2
cert_file={folder}/tls.pem
priv_key_file={folder}/tls.key
[openai]
type=endpoint
transport=transport-tls
context=openai
disallow=all
allow=ulaw
media_encryption=sdes
direct_media=no
dtmf_mode=rfc4733
rewrite_contact=yes
[openai]
type=identify
endpoint=openai
match=127.0.0.0/8
"
    )
}

/// The settings that the documentation shows, with the addresses of this test in the place of OpenAI's.
fn pjsip_of_documentation(authority: &Path, openai: u16, ours: u16) -> String {
    let pages = ["sip.md", "sip.es.md"].map(|page| {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs").join(page);
        let text = std::fs::read_to_string(page).expect("a page");
        let (_, block) = text.split_once("```ini\n; pjsip.conf\n").expect("the settings");
        let lines = block.split("```").next().expect("an end").lines();
        // What explains a line is in the language of the page.
        lines
            .map(|line| line.split(" ;").next().unwrap_or_default().trim_end().to_owned() + "\n")
            .collect::<String>()
    });
    assert_eq!(pages[0], pages[1], "both languages show the same settings");
    let changes = [
        ("sip:sip.api.openai.com:5061", format!("sip:127.0.0.1:{openai}")),
        ("bind=0.0.0.0:5061", format!("bind=127.0.0.1:{ours}")),
        ("/etc/ssl/certs/ca-certificates.crt", authority.display().to_string()),
    ];
    changes.iter().fold(format!("\n{}", pages[0]), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to)
    })
}

/// An authority, and a certificate of it for 127.0.0.1.
fn certify(folder: &Path) {
    std::fs::create_dir(folder).expect("a folder");
    write(&folder.join("names"), "subjectAltName=IP:127.0.0.1");
    for line in [
        "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=authority -keyout ca.key -out ca.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=openai -keyout tls.key -out tls.csr",
        "x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -days 30 -set_serial 1 -extfile names -out tls.pem",
    ] {
        let made =
            Command::new("openssl").args(line.split(' ')).current_dir(folder).output().expect("openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
}

fn script(name: &str, environment: &HashMap<&'static str, String>) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asterisk");
    let mut command = Command::new(folder.join(name));
    command.envs(environment);
    command
}

/// One call, as the driver knows it.
struct Line {
    id: String,
    channel: ChannelId,
    socket: Arc<UdpSocket>,
    is_answered: bool,
    is_joined: bool,
    is_referred: bool,
}

/// Lets OpenAI's Asterisk do what the fake decides, and tells the fake what happens there.
async fn drive(
    ari: u16,
    webhook: String,
    server: Arc<OpenAiCallsServer>,
    sound: Arc<Mutex<Sound>>,
    words: &'static [&'static str],
) {
    let tls = client_config().expect("a client");
    let rest =
        AriRest::new(&format!("http://127.0.0.1:{ari}/ari"), "asterisk", "testbed", &tls).expect("a client");
    let events = format!("ws://127.0.0.1:{ari}/ari/events?app=openai&api_key=asterisk:testbed");
    let (mut events, _) = tokio_tungstenite::connect_async(events).await.expect("OpenAI's Asterisk");
    let (client, mut lines, mut media) = (reqwest::Client::new(), Vec::<Line>::new(), JoinSet::new());
    let mut look = interval(LOOK_EVERY);
    loop {
        tokio::select! {
            Some(Ok(message)) = events.next() => {
                let Message::Text(text) = message else { continue };
                match event::parse(&text) {
                    Ok(Event::StasisStart(channel)) if channel.id.caller().is_none() => {
                        lines.push(rings(lines.len() + 1, channel, &server, &client, &webhook).await);
                    }
                    Ok(Event::StasisStart(channel)) => {
                        let of = channel.id.caller();
                        let Some(line) = lines.iter_mut().find(|line| Some(&line.channel) == of.as_ref()) else { continue };
                        line.is_joined = true;
                        rest.perform(&Request::CreateBridge { bridge: line.channel.bridge() }).await;
                        let channels = [line.channel.clone(), line.channel.media()];
                        rest.perform(&Request::AddChannels { bridge: line.channel.bridge(), channels }).await;
                    }
                    Ok(Event::Dtmf { channel, digit }) => {
                        let line = lines.iter().find(|line| line.channel == channel);
                        if let Some(line) = line {
                            server.look(|calls| calls.caller_presses(&line.id, digit));
                        }
                    }
                    Ok(Event::StasisEnd(channel) | Event::Destroyed { channel, .. }) => {
                        if let Some(line) = lines.iter().find(|line| line.channel == channel) {
                            server.caller_hangs_up(&line.id);
                        }
                    }
                    _ => {}
                }
            }
            _ = look.tick() => {
                for line in &mut lines {
                    match server.look(|calls| calls.state(&line.id).cloned()) {
                        Some(State::Accepted) if !line.is_answered => {
                            line.is_answered = true;
                            rest.perform(&Request::Answer(line.channel.clone())).await;
                            let host = line.socket.local_addr().expect("bound");
                            let made = Request::ExternalMedia { app: "openai".into(), channel: line.channel.media(), host };
                            rest.perform(&made).await;
                            let (server, sound) = (Arc::clone(&server), Arc::clone(&sound));
                            media.spawn(talk(line.id.clone(), Arc::clone(&line.socket), server, sound, words));
                        }
                        Some(State::Referred(target)) if !line.is_referred => {
                            line.is_referred = true;
                            refer(&rest, line, target).await;
                        }
                        Some(State::Rejected(_) | State::HungUp) => {
                            rest.perform(&Request::Hangup(line.channel.clone())).await;
                            rest.perform(&Request::Hangup(line.channel.media())).await;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

/// A call rings at OpenAI, which tells of it by a webhook.
async fn rings(
    number: usize,
    channel: event::Channel,
    server: &OpenAiCallsServer,
    client: &reqwest::Client,
    webhook: &str,
) -> Line {
    let id = format!("rtc_u0_{number:04}");
    let of = |name: &str| channel.arguments.get(name).unwrap_or_default();
    let headers =
        [("From", "<sip:1000@127.0.0.1>;tag=8"), ("X-Call-Nonce", of("nonce")), ("X-Trunk-Key", of("key"))];
    let headers: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let hook = server.offer(&id, &headers);
    let request = client
        .post(webhook)
        .header("webhook-id", hook.id)
        .header("webhook-timestamp", hook.timestamp)
        .header("webhook-signature", hook.signature)
        .header("content-type", "application/json")
        .body(hook.body);
    assert_eq!(request.send().await.expect("the webhook answers").status(), 200);
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("loopback"));
    let channel = channel.id;
    Line { id, channel, socket, is_answered: false, is_joined: false, is_referred: false }
}

/// Sends the caller of a call to this address.
async fn refer(rest: &AriRest, line: &Line, target: String) {
    let (channel, media) = (line.channel.clone(), line.channel.media());
    let set = Request::SetVariable { channel: channel.clone(), name: "TARGET", value: target };
    rest.perform(&set).await;
    let place = Place { context: "refer".into(), extension: "s".into(), priority: 1 };
    rest.perform(&Request::Continue { channel, place: Some(place) }).await;
    rest.perform(&Request::Hangup(media)).await;
}

/// The model's ear and mouth in one call.
async fn talk(
    id: String,
    socket: Arc<UdpSocket>,
    server: Arc<OpenAiCallsServer>,
    sound: Arc<Mutex<Sound>>,
    words: &'static [&'static str],
) {
    let mut tick = interval(Duration::from_millis(20));
    let (mut datagram, mut asterisk, mut noise, mut count) = ([0; 2_048], None, Noise(1), 0u32);
    let (mut quiet, mut words) = (PAUSE_FRAMES, words.iter());
    loop {
        tokio::select! {
            Ok((length, from)) = socket.recv_from(&mut datagram) => {
                asterisk = Some(from);
                let frame = &datagram[12..length];
                let is_loud = frame.iter().any(|byte| *byte | 0x80 != 0xFF);
                if is_loud && quiet >= PAUSE_FRAMES && let Some(words) = words.next() {
                    server.caller_says(&id, words, Duration::from_millis(700));
                }
                quiet = if is_loud { 0 } else { quiet.saturating_add(1) };
                sound.lock().expect("nobody panics with the lock").heard.extend_from_slice(frame);
            }
            _ = tick.tick() => {
                let Some(asterisk) = asterisk else { continue };
                let speaks = server.look(|calls| calls.is_heard(&id));
                let frame = if speaks { noise.frame() } else { [0xFF; FRAME_BYTES] };
                if speaks {
                    sound.lock().expect("nobody panics with the lock").said.extend_from_slice(&frame);
                }
                count += 1;
                let mut packet = vec![0x80, 0];
                packet.extend_from_slice(&(count as u16).to_be_bytes());
                packet.extend_from_slice(&(count * FRAME_BYTES as u32).to_be_bytes());
                packet.extend_from_slice(&7u32.to_be_bytes());
                packet.extend_from_slice(&frame);
                drop(socket.send_to(&packet, asterisk).await);
            }
        }
    }
}

/// Loud sound that does not repeat.
struct Noise(u32);

impl Noise {
    fn frame(&mut self) -> [u8; FRAME_BYTES] {
        std::array::from_fn(|_| {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Negative zero: a recording of Asterisk's has the positive one in its place.
            Some((self.0 >> 24) as u8).filter(|byte| *byte != 0x7F).unwrap_or(0xFF)
        })
    }
}
