//! The floor: the least code that carries the same audio, with which the daemon is compared. The floor
//! accepts every call, appends every packet, and plays the audio of the model, one frame every 20 ms. It
//! records nothing, supervises nothing, repairs nothing and refuses no call, so it is not for production.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::Message;

use crate::ari::event::{self, Event};
use crate::ari::request::{Reply, Request, media_address};
use crate::ari::{BridgeId, ChannelId};
use crate::clock::chance;
use crate::config::Config;
use crate::media::rtp::{Packet, Stream};
use crate::media::{FRAME_BYTES, FRAME_DURATION, Frame};
use crate::net::ari_rest::AriRest;
use crate::net::realtime_link::Endpoint;
use crate::net::websocket::connect;
use crate::net::{rtp_socket, tls};
use crate::peers::{ari_headers, ari_rest, endpoint, events_url};
use crate::realtime::client::{self, ClientEvent};
use crate::realtime::dialect::SessionSettings;
use crate::realtime::server;

/// The prefix of the ids of the floor's media channels, which tells them from callers.
const MEDIA: &str = "floor-media-";

/// The data that all calls share.
struct House {
    config: Config,
    rest: AriRest,
    endpoint: Endpoint,
}

/// Serves calls until `stop`.
///
/// # Errors
/// Returns an error if the floor cannot start, or if the connection to Asterisk is lost.
pub(super) async fn serve(stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    tokio::select! {
        ended = take_calls() => ended,
        () = stop => Ok(()),
    }
}

async fn take_calls() -> anyhow::Result<()> {
    let config = Config::load().map_err(|error| anyhow!("{error:?}"))?;
    let tls = tls::client_config()?;
    let rest = ari_rest(&config.asterisk, &tls)?;
    let url = events_url(&config.asterisk, &config.asterisk.app);
    let mut events = connect(&url, &ari_headers(&config.asterisk)?, &tls).await?;
    let endpoint = endpoint(&config.realtime, tls)?;
    let listener = TcpListener::bind(config.archive.api.listen).await?;
    let house = Arc::new(House { config, rest, endpoint });
    let mut tasks = JoinSet::new();
    tasks.spawn(say_ready(listener));
    let mut calls: HashMap<ChannelId, watch::Sender<bool>> = HashMap::new();
    // The calls that wait for their media channel to enter the application.
    let mut waiting: HashMap<ChannelId, mpsc::Sender<()>> = HashMap::new();
    while let Some(message) = events.next().await {
        match message?.to_text().ok().and_then(|text| event::parse(text).ok()) {
            Some(Event::StasisStart(channel)) if channel.id.as_str().starts_with(MEDIA) => {
                if let Some(entered) = waiting.remove(&channel.id) {
                    // The call may be over.
                    entered.try_send(()).ok();
                }
            }
            Some(Event::StasisStart(channel)) => {
                let (end, ended) = watch::channel(false);
                let (enter, entered) = mpsc::channel(1);
                waiting.insert(ChannelId::from(&*format!("{MEDIA}{}", channel.id.as_str())), enter);
                calls.insert(channel.id.clone(), end);
                let call = Call { house: Arc::clone(&house), caller: channel.id, entered, ended };
                tasks.spawn(async move { drop(call.run().await) });
            }
            Some(Event::StasisEnd(id) | Event::Destroyed(id)) => {
                if let Some(end) = calls.remove(&id) {
                    end.send_replace(true);
                }
            }
            _ => {}
        }
        while tasks.try_join_next().is_some() {}
    }
    Ok(())
}

/// Answers every HTTP request with 200, which means that the floor is ready.
async fn say_ready(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = [0; 1_024];
        // A client that has gone away asks again.
        if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer).await.ok();
        }
    }
}

/// One call.
struct Call {
    house: Arc<House>,
    caller: ChannelId,
    entered: mpsc::Receiver<()>,
    ended: watch::Receiver<bool>,
}

impl Call {
    async fn run(mut self) -> anyhow::Result<()> {
        let rest = &self.house.rest;
        let media = ChannelId::from(&*format!("{MEDIA}{}", self.caller.as_str()));
        let bridge = BridgeId::from(&*format!("floor-bridge-{}", self.caller.as_str()));
        let socket = rtp_socket::bind(SocketAddr::new(self.house.config.media.local_ip, 0))?;
        let external = Request::ExternalMedia {
            app: self.house.config.asterisk.app.clone(),
            channel: media.clone(),
            host: socket.local_addr()?,
        };
        let body = done(rest.perform(&external).await)?;
        let asterisk = media_address(&body).context("no media address")?;
        done(rest.perform(&Request::CreateBridge { bridge: bridge.clone() }).await)?;
        self.entered.recv().await.context("no media channel")?;
        let channels = [self.caller.clone(), media.clone()];
        done(rest.perform(&Request::AddChannels { bridge: bridge.clone(), channels }).await)?;
        done(rest.perform(&Request::Answer(self.caller.clone())).await)?;
        let talked = talk(&self.house, &socket, asterisk, &mut self.ended).await;
        for request in
            [Request::Hangup(media), Request::DeleteBridge(bridge), Request::Hangup(self.caller.clone())]
        {
            drop(self.house.rest.perform(&request).await);
        }
        talked
    }
}

fn done(reply: Reply) -> anyhow::Result<String> {
    match reply {
        Reply::Done(body) => Ok(body),
        other => Err(anyhow!("{other:?}")),
    }
}

/// Carries the audio until the caller is gone.
async fn talk(
    house: &House,
    socket: &UdpSocket,
    asterisk: SocketAddr,
    ended: &mut watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut session = connect(&house.endpoint.url, &house.endpoint.headers, &house.endpoint.tls).await?;
    let settings = &house.config.realtime.session;
    let mut stream = Stream::new(chance() as u32, 0, 0);
    let mut queue: VecDeque<u8> = VecDeque::new();
    let (mut sound, mut datagram, mut append) = (Vec::new(), [0; 2_048], Vec::new());
    let per_append = usize::from(house.config.uplink_frames_per_append) * FRAME_BYTES;
    let mut is_configured = false;
    let mut clock = interval(FRAME_DURATION);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            _ = clock.tick() => {
                let mut frame = [0xFF; FRAME_BYTES];
                for (place, byte) in frame.iter_mut().zip(queue.drain(..queue.len().min(FRAME_BYTES))) {
                    *place = byte;
                }
                drop(socket.try_send_to(&stream.packet(&Frame(frame)), asterisk));
            }
            Ok(length) = socket.recv(&mut datagram) => {
                if let (Ok(packet), true) = (Packet::parse(&datagram[..length]), is_configured) {
                    append.extend_from_slice(packet.payload);
                    if append.len() >= per_append {
                        session.send(Message::text(client::append(&append))).await?;
                        append.clear();
                    }
                }
            }
            message = session.next() => {
                let message = message.context("the session is over")??;
                let Ok(text) = message.to_text() else { continue };
                let event = server::parse(text).ok();
                is_configured |= matches!(event, Some(server::Event::SessionUpdated { .. }));
                match event {
                    Some(server::Event::AudioDelta { audio, .. }) => {
                        sound.clear();
                        STANDARD.decode_vec(audio.as_bytes(), &mut sound)?;
                        queue.extend(&sound);
                    }
                    Some(server::Event::SpeechStarted { .. }) => queue.clear(),
                    Some(event) => {
                        if let Some(said) = answer(&event, settings) {
                            session.send(Message::text(said.to_json())).await?;
                        }
                    }
                    None => {}
                }
            }
            _ = ended.changed() => return Ok(session.close(None).await?),
        }
    }
}

/// What the floor says to the server when the session begins: the settings, then that the model should greet.
fn answer(event: &server::Event<'_>, settings: &SessionSettings) -> Option<ClientEvent> {
    match event {
        server::Event::SessionCreated => Some(ClientEvent::SessionUpdate {
            event_id: "floor".into(),
            session: settings.session(settings.interrupt),
        }),
        server::Event::SessionUpdated { .. } => Some(ClientEvent::ResponseCreate {
            event_id: "floor-greeting".into(),
            instructions: Some("Salude.".into()),
        }),
        _ => None,
    }
}
