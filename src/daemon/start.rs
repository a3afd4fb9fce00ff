//! The daemon's life, from its configuration to its last line.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::Stream;
use futures_util::stream::FuturesUnordered;
use ipnet::IpNet;
use rustls::ClientConfig;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::call_io::Admission;
use super::endpoints::Endpoints;
use super::rejections::Rejections;
use super::rules::rules;
use super::servers::{NewsOfServers, Servers};
use super::sip::OpenAi;
use super::{Daemon, Inboxes, Reload, call_log, moment, sip};
use crate::archive::webhooks::Courier;
use crate::archive::{Archive, OfAgentFiles, recording};
use crate::clock::wall;
use crate::config::{AsteriskConfig, Config};
use crate::exchange::Exchange;
use crate::http::live;
use crate::live::Board;
use crate::logging::Operator;
use crate::net::ari_link::AriLink;
use crate::net::rtp_socket::PortPool;
use crate::net::tls;
use crate::net::tools::ToolClient;
use crate::operator::Notice;
use crate::peers::{ari_headers, ari_rest, events_url, media_networks};
use crate::recordings::retention::OfAgents;
use crate::webhook::Addresses;

/// The number of messages from calls that may wait for the loop. If more come, reports about OpenAI are dropped, because
/// they would repeat those that wait, and the calls send their costs again.
const TOLD: usize = 256;

/// Serves calls until `stop` is done and the last call has ended, or its time is up. New calls follow the last valid
/// configuration of `reloads`.
///
/// # Errors
/// Only for faults that make serving impossible from the start.
pub async fn run(
    config: Config,
    operator: Operator,
    stop: impl Future<Output = ()>,
    reloads: impl Stream<Item = Reload>,
) -> anyhow::Result<()> {
    // This future is too large to be moved about.
    Box::pin(start_and_serve(config, operator, stop, reloads)).await
}

async fn start_and_serve(
    config: Config,
    operator: Operator,
    stop: impl Future<Output = ()>,
    reloads: impl Stream<Item = Reload>,
) -> anyhow::Result<()> {
    let tls = tls::client_config().context("the system's trust store")?;
    let (rest, again) = (ari_rest(&config.asterisk, &tls)?, Arc::new(Notify::new()));
    let link = link(&config.asterisk, &tls, &again)?;
    let (tools, servers, of_servers) = tools(&config, &tls, operator)?;
    let endpoints = Endpoints::new(&config, Arc::clone(&tls))?;
    operator.say(&started(&config));
    let board = Board::default();
    let openai = sip::open(&config, &tls, operator, board.clone())?;
    let OpenAi { rest: calls_rest, offers, listener, news } = openai;
    let (own_networks, exchange) = exchange(&config, operator).await;
    let (readiness, known) = watch::channel(exchange.readiness());
    let view = live::Daemon { readiness: known, board: board.clone() };
    let (retention, addresses, follows) = follows(&config, &tls)?;
    let begun = recording::start(&config, operator, view, follows);
    let (archive, recorder) = begun.context("the archive of recordings")?;
    let (tell, told) = mpsc::channel(TOLD);
    let mut daemon = Daemon {
        ports: PortPool::new(config.media.ports.clone()),
        config,
        exchange,
        own_networks,
        endpoints,
        tools,
        servers,
        operator,
        readiness,
        board,
        rest,
        calls_rest,
        again,
        link: JoinSet::new(),
        ticks: Arc::default(),
        live: HashMap::new(),
        callers: HashMap::new(),
        calls: JoinSet::new(),
        aftermaths: HashMap::new(),
        numbers: 0,
        pending: FuturesUnordered::new(),
        writing: FuturesUnordered::new(),
        claiming: 0,
        rejections: Rejections::default(),
        admission: Admission { tell, outage: Arc::default() },
        recorder,
        log: archive.log(),
        retention,
        addresses,
        host: call_log::host(),
    };
    let earlier = archive.spent_before(wall(), &daemon.host);
    daemon.look_for_left(&archive);
    daemon.serve(link, stop, reloads, earlier, Inboxes { told, offers, listener, news }, of_servers).await;
    end(daemon, archive).await;
    Ok(())
}

/// The exchange, and the networks of Asterisk by which it goes, if they are known.
async fn exchange(config: &Config, operator: Operator) -> (Option<Vec<IpNet>>, Exchange) {
    let own_networks = media_networks::own(&config.asterisk, &config.media).await;
    let rules = rules(config, own_networks.as_deref());
    operator.say(&Notice::Capacity { calls: rules.max_calls });
    (own_networks, Exchange::new(moment(), rules))
}

/// Ends the recorder and the archive.
async fn end(Daemon { recorder, log, readiness, operator, .. }: Daemon, archive: Archive) {
    // Nothing can offer rows after this, so the writer of the call log can end. Nobody watches the readiness any more.
    drop((log, readiness));
    recording::stop(recorder, archive).await;
    operator.say(&Notice::DaemonStopped);
}

/// The ends through which the archive learns what the files of the agents say, and what it gets of them.
fn follows(
    config: &Config,
    tls: &ClientConfig,
) -> anyhow::Result<(watch::Sender<Option<OfAgents>>, watch::Sender<Addresses>, OfAgentFiles)> {
    let (retention, of_agents) = watch::channel(config.agents.retention());
    let (addresses, of_webhooks) = watch::channel(config.agents.addresses());
    let client = ToolClient::new(tls).context("the client of webhooks")?;
    let courier = Courier { client, addresses: of_webhooks };
    Ok((retention, addresses, OfAgentFiles { retention: of_agents, courier: Some(courier) }))
}

/// The client of tools, and the servers that list their tools themselves with the channel of their news.
fn tools(
    config: &Config,
    tls: &ClientConfig,
    operator: Operator,
) -> anyhow::Result<(ToolClient, Servers, NewsOfServers)> {
    let client = ToolClient::new(tls).context("the client of tools")?;
    let (servers, news) = Servers::new(&config.agents.all, client.clone(), operator);
    Ok((client, servers, news))
}

/// The first line of every run.
fn started(config: &Config) -> Notice {
    Notice::DaemonStarted {
        version: env!("CARGO_PKG_VERSION"),
        model: config.realtime.model.clone(),
        app: config.asterisk.app.clone(),
    }
}

/// The way to Asterisk's events; `again` tells it to connect again.
fn link(asterisk: &AsteriskConfig, tls: &Arc<ClientConfig>, again: &Arc<Notify>) -> anyhow::Result<AriLink> {
    Ok(AriLink {
        url: events_url(asterisk, &asterisk.app),
        headers: ari_headers(asterisk)?,
        tls: Arc::clone(tls),
        again: Arc::clone(again),
    })
}
