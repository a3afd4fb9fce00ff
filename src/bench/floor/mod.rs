//! The floor: the least code that carries the same audio, with which the daemon is compared. The floor
//! accepts every call, appends every packet, and plays the audio of the model, one frame every 20 ms. It
//! records nothing, supervises nothing, repairs nothing and refuses no call, so it is not for production.
//!
//! This module sets calls up and ends them, with the daemon's own code. The audio of all calls is carried by one thread without
//! a runtime (`carrier`), which is all that runs while the floor is measured; `frames` are its WebSocket frames.

mod carrier;
mod frames;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;

use anyhow::{Context as _, anyhow, ensure};
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::http::Uri;

use crate::ari::event::{self, Event};
use crate::ari::request::{Reply, Request, media_address};
use crate::ari::{BridgeId, ChannelId};
use crate::clock::chance;
use crate::config::Config;
use crate::media::FRAME_BYTES;
use crate::media::rtp::Stream;
use crate::net::ari_rest::AriRest;
use crate::net::realtime_link::Endpoint;
use crate::net::websocket::connect;
use crate::net::{rtp_socket, tls};
use crate::peers::{ari_headers, ari_rest, endpoint, events_url};
use carrier::{Carrier, Line, Order};

/// The prefix of the ids of the floor's media channels, which tells them from callers.
const MEDIA: &str = "floor-media-";
/// The number of orders that may wait for the carrier, which looks for them every 20 ms at the latest. A smaller number makes
/// the set-up of a call wait.
const ORDERS: usize = 1_024;

/// The data that all calls share.
struct House {
    config: Config,
    rest: AriRest,
    endpoint: Endpoint,
    carrier: SyncSender<Order>,
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
    let (carrier, orders) = std::sync::mpsc::sync_channel(ORDERS);
    let append_bytes = usize::from(config.uplink_frames_per_append) * FRAME_BYTES;
    let carrying = Carrier::new(orders, config.realtime.session.clone(), append_bytes)?;
    thread::Builder::new().name("carrier".into()).spawn(|| carrying.run())?;
    let house = Arc::new(House { config, rest, endpoint, carrier });
    let mut tasks = JoinSet::new();
    tasks.spawn(say_ready(listener));
    let mut calls: HashMap<ChannelId, watch::Sender<bool>> = HashMap::new();
    // The calls that wait for their media channel to enter the application.
    let mut waiting: HashMap<ChannelId, mpsc::Sender<()>> = HashMap::new();
    let mut numbered = 0;
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
                numbered += 1;
                let call =
                    Call { house: Arc::clone(&house), number: numbered, caller: channel.id, entered, ended };
                tasks.spawn(async move { drop(call.run().await) });
            }
            Some(Event::StasisEnd(id) | Event::Destroyed { channel: id, .. }) => {
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
    number: u64,
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
        socket.connect(asterisk)?;
        let (session, unread) = open_session(&self.house.endpoint).await?;
        let line = Line::new(socket, session, unread, Stream::new(chance() as u32, 0, 0));
        self.house.carrier.send(Order::Begin(self.number, Box::new(line)))?;
        // An error means that the floor ends.
        self.ended.changed().await.ok();
        self.house.carrier.send(Order::End(self.number))?;
        for request in
            [Request::Hangup(media), Request::DeleteBridge(bridge), Request::Hangup(self.caller.clone())]
        {
            drop(self.house.rest.perform(&request).await);
        }
        Ok(())
    }
}

fn done(reply: Reply) -> anyhow::Result<String> {
    match reply {
        Reply::Done(body) => Ok(body),
        other => Err(anyhow!("{other:?}")),
    }
}

/// Opens a WebSocket by hand: the carrier needs the bare socket. Also returns what arrived together with the answer.
async fn open_session(endpoint: &Endpoint) -> anyhow::Result<(std::net::TcpStream, Vec<u8>)> {
    let uri: Uri = endpoint.url.parse()?;
    let address = uri.authority().context("no address")?.as_str();
    let path = uri.path_and_query().context("no path")?;
    let headers = endpoint.headers.iter().map(|(name, value)| Ok(format!("{name}: {}\r\n", value.to_str()?)));
    let headers = headers.collect::<anyhow::Result<String>>()?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        ensure!(stream.read_buf(&mut answer).await? > 0, "no answer to the handshake");
        if let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            ensure!(answer.starts_with(b"HTTP/1.1 101 "), "the handshake is refused");
            return Ok((stream.into_std()?, answer.split_off(end + 4)));
        }
    }
}
