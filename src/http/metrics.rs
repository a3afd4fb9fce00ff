//! `/metrics`: what the daemon has done since its start and its present state, for Prometheus. The values are
//! computed when they are requested.
//!
//! Labels hold only words of the program and of the configuration. Callers and servers therefore cannot create new
//! series, and the metrics contain nothing about any person.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::exposition::{CONTENT_TYPE, Exposition};
use super::health::RecorderHealth;
use super::query::{NoQuery, Params};
use super::{Api, Problem};
use crate::call::ledger::Tokens;
use crate::end_reason::EndReason;
use crate::exchange::Webhook;
use crate::exchange::obstacles::Obstacle;
use crate::exchange::readiness::AsteriskLink;
use crate::live::{Arrival, Decision, OfSip, Route, Totals};
use crate::machine::process::Process;
use crate::registry::Backlog;
use crate::registry::outbox::{Counts, Tally};
use crate::units::ByteCount;

/// Returns the daemon's metrics for Prometheus.
///
/// The metrics are totals since the start, running calls included, and the present state.
#[utoipa::path(
    get, path = "/metrics", operation_id = "get_metrics", tag = "daemon",
    responses((status = 200, description = "The metrics in the text format of Prometheus", content((String = "text/plain"))))
)]
pub(super) async fn metrics(
    State(api): State<Api>,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Response, Problem> {
    // These figures come from the kernel and not from the disk, so they are available even if the disk hangs.
    let process = tokio::task::spawn_blocking(Process::now).await.map_err(Problem::internal)?;
    let mut ours = Exposition::new("openai_inbound_calls_");
    ours.head("build_info", "gauge", "The program, as a label.");
    ours.sample("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    if let Some(daemon) = api.daemon() {
        let totals = daemon.board.totals();
        calls(&mut ours, &totals);
        sound(&mut ours, &totals);
        waits(&mut ours, &totals);
        sip(&mut ours, &totals.sip, daemon.readiness.borrow().webhook);
        model(&mut ours, &totals);
        agents(&mut ours, &totals);
        tools(&mut ours, &totals);
        let link = daemon.readiness.borrow().asterisk;
        standing(&mut ours, link, &super::ready::reasons(&api));
    }
    if let Some(health) = api.recorder() {
        recorder(&mut ours, health);
    }
    call_log(&mut ours, api.log().backlog(), api.calls().undelivered().await);
    let outbox = api.log().outbox();
    webhooks(&mut ours, outbox.tally(), outbox.counted_at_once().await);
    let started = api.0.started.timestamp_millis() as f64 / 1_000.0;
    let text = ours.into_text() + &of_process(process, started);
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

fn calls(to: &mut Exposition, totals: &Totals) {
    to.gauge("calls_live", "Calls that run.", totals.live);
    to.counter("calls_started_total", "Callers who came, taken or not.", totals.started);
    let ended = EndReason::ALL.map(|reason| (reason.code(), totals.ended.get(&reason).unwrap_or(&0)));
    to.counters("calls_ended_total", "Calls that are over, by reason; those not taken too.", "reason", ended);
    let routes = Route::ALL.map(|route| (route.code(), totals.routes[route as usize]));
    to.counters("route_calls_total", "Calls that were taken, by how they reach the model.", "route", routes);
    to.counter("turns_total", "Answers of the assistant that were heard.", totals.turns);
    to.counter("barge_ins_total", "Interruptions by callers.", totals.counters.barge_ins);
    to.counter("keys_total", "Keys pressed by callers.", totals.counters.keys);
}

fn sound(to: &mut Exposition, totals: &Totals) {
    let Totals { counters, uplink, .. } = totals;
    let help = "What has come to calls: packets, events, answers and ticks of their clocks.";
    to.counter("call_inputs_total", help, counters.inputs);
    to.counter("frames_sent_total", "Frames (20 ms) sent to callers.", totals.frames);
    to.counter("late_frames_total", "Frames skipped because the clock was late.", totals.late_frames);
    let help = "Pauses inside the assistant's speech because its audio had not arrived.";
    to.counter("underruns_total", help, totals.underruns);
    for (name, help, value) in [
        ("packets_received", "Audio packets of callers in their place.", uplink.received),
        ("packets_reordered", "Packets that came before an earlier one.", uplink.reordered),
        ("packets_duplicate", "Packets seen before.", uplink.duplicate),
        ("packets_late", "Packets too late for their place.", uplink.late),
        ("packets_foreign", "Datagrams from somebody else.", counters.foreign_packets),
        ("packets_malformed", "Datagrams that were not RTP.", counters.malformed_packets),
        ("packets_other", "Packets of another payload: keys, comfort noise.", counters.other_payloads),
        ("frames_lost", "Frames (20 ms) of silence in the place of lost packets.", uplink.lost_frames),
        ("frames_filled", "Frames (20 ms) of silence while nothing came.", uplink.filled_frames),
        ("jumps", "New timelines of callers' phones.", uplink.jumps),
        ("frames_excess", "Frames (20 ms) beyond real time, which were dropped.", uplink.excess_frames),
    ] {
        to.counter(&format!("rtp_{name}_total"), help, value);
    }
}

fn waits(to: &mut Exposition, totals: &Totals) {
    for (name, help, histogram) in [
        ("greeting", "From a caller's arrival to the first word.", &totals.greeting),
        ("answer", "From a caller's last voice to the first frame of the answer.", &totals.answer),
        ("answer_speech_stopped", "Of it, until the server said so.", &totals.speech_stopped),
        ("answer_first_delta", "Of it, until the answer's first audio came.", &totals.first_delta),
        ("own_share", "Of it, from that audio to the first frame: what the daemon adds.", &totals.own),
        ("barge_in", "From the voice of a caller who interrupts to silence.", &totals.barge_in),
    ] {
        to.histogram(&format!("{name}_seconds"), help, histogram);
    }
}

/// The calls that OpenAI answers by SIP.
fn sip(to: &mut Exposition, sip: &OfSip, webhook: Webhook) {
    let help = "Requests at the webhook of OpenAI, by what became of them.";
    let arrivals = Arrival::ALL.map(|arrival| (arrival.code(), sip.arrivals[arrival as usize]));
    to.counters("sip_webhooks_total", help, "outcome", arrivals);
    let help = "Calls that the webhook has offered, by what the daemon did with them.";
    let decisions = Decision::ALL.map(|decision| (decision.code(), sip.decisions[decision as usize]));
    to.counters("sip_offers_total", help, "outcome", decisions);
    for (name, help, histogram) in [
        ("accepted", "From a caller's arrival until OpenAI has let us take the call.", &sip.accepted),
        ("session", "From it until our settings are in force.", &sip.session),
        ("first_sound", "From it until the caller hears something.", &sip.first_sound),
    ] {
        to.histogram(&format!("sip_{name}_seconds"), help, histogram);
    }
    to.head("sip_webhook", "gauge", "How the webhook of OpenAI stands.");
    for state in Webhook::ALL {
        to.sample("sip_webhook", &[("state", state.code())], u8::from(state == webhook));
    }
}

fn model(to: &mut Exposition, totals: &Totals) {
    let counters = &totals.counters;
    to.counter("sessions_opened_total", "Sessions whose WebSocket stood.", counters.sessions_opened);
    let failed = counters.session_faults.by_code();
    to.counters("sessions_failed_total", "Sessions that failed; each try counts.", "code", failed);
    let help = "Error events of the server that needed nothing done.";
    to.counter("session_errors_total", help, counters.session_errors);
    let help = "Texts of the server that could not be read as an event.";
    to.counter("events_unreadable_total", help, counters.unreadable_events);
    let help = "Times an answer was owed and no sign of it came.";
    to.counter("answers_overdue_total", help, counters.overdue_answers);
    to.counter("answers_unheard_total", "Answers in which nothing was said.", counters.unheard_answers);
    let help = "Answers that the model ended in the middle of what it said.";
    to.counter("answers_cut_total", help, counters.cut_answers);
    let help = "Audio deltas of answers nobody wanted any more.";
    to.counter("deltas_dropped_total", help, counters.dropped_deltas);
    let help = "Audio deltas that could not be decoded or found no room.";
    to.counter("deltas_refused_total", help, counters.refused_deltas);
    rate_limits(to, totals);
    let help = "Tokens used. The cached ones are among those read.";
    to.head("tokens_total", "counter", help);
    for ((by, model), tokens) in &totals.tokens {
        let Tokens { text_in, audio_in, cached_text_in, cached_audio_in, text_out, audio_out } = tokens;
        for (kind, count) in [
            ("text_in", text_in),
            ("audio_in", audio_in),
            ("cached_text_in", cached_text_in),
            ("cached_audio_in", cached_audio_in),
            ("text_out", text_out),
            ("audio_out", audio_out),
        ] {
            to.sample("tokens_total", &[("model", model), ("use", by.code()), ("kind", kind)], count);
        }
    }
    let seconds = totals.transcribed.seconds();
    to.counter("transcribed_seconds_total", "Sound that was transcribed.", seconds);
    let help = "What the models cost, as far as that is known.";
    to.counter("cost_usd_total", help, totals.cost.usd());
    let help = "Calls that are over of which the cost is not known, or not all of it.";
    to.counter("cost_unknown_calls_total", help, totals.unpriced);
}

/// The calls of each agent. A series appears with the first call of its agent.
fn agents(to: &mut Exposition, totals: &Totals) {
    let ended = totals.agents.iter().map(|(name, of_agent)| (name.as_str(), of_agent.ended));
    to.counters(
        "agent_calls_ended_total",
        "Calls that are over, by the agent that took them.",
        "agent",
        ended,
    );
    let cost = totals.agents.iter().map(|(name, of_agent)| (name.as_str(), of_agent.cost.usd()));
    let help = "What the models cost, as far as that is known, by agent.";
    to.counters("agent_cost_usd_total", help, "agent", cost);
}

/// The tools of agents. A series appears with the first call of its tool.
fn tools(to: &mut Exposition, totals: &Totals) {
    to.head("tool_calls_total", "counter", "Calls of tools by models, by what became of them.");
    for ((agent, tool), of_tool) in &totals.tools {
        for (outcome, calls) in &of_tool.outcomes {
            let labels = [("agent", agent.as_str()), ("tool", &**tool), ("outcome", outcome)];
            to.sample("tool_calls_total", &labels, calls);
        }
    }
    to.head("tool_seconds", "histogram", "How long the tools took that were carried out.");
    for ((agent, tool), of_tool) in &totals.tools {
        to.buckets("tool_seconds", &[("agent", agent), ("tool", tool)], &of_tool.took);
    }
}

/// The remaining rate limits of the OpenAI account, as OpenAI last reported them. A series appears when OpenAI first
/// reports its limit.
fn rate_limits(to: &mut Exposition, totals: &Totals) {
    let told = || {
        totals.rate_limits.iter().flat_map(|(model, (_, limits))| {
            let each = [("requests", limits.requests), ("tokens", limits.tokens)];
            each.into_iter().filter_map(move |(of, limit)| Some((model, of, limit?)))
        })
    };
    to.head("rate_limit", "gauge", "What the account may use of a model, in the server's period.");
    for (model, of, limit) in told() {
        if let Some(limit) = limit.limit {
            to.sample("rate_limit", &[("model", model), ("of", of)], limit);
        }
    }
    to.head("rate_limit_remaining", "gauge", "What was left of it when the server last told.");
    for (model, of, limit) in told() {
        to.sample("rate_limit_remaining", &[("model", model), ("of", of)], limit.remaining);
    }
}

fn standing(to: &mut Exposition, link: AsteriskLink, reasons: &[Obstacle]) {
    let connected = u8::from(link != AsteriskLink::Away);
    to.gauge("ari_connected", "Whether the connection with Asterisk stands.", connected);
    let help = "Whether another program has taken the ARI application.";
    to.gauge("ari_replaced", help, u8::from(link == AsteriskLink::ApplicationReplaced));
    let ready = u8::from(reasons.is_empty());
    to.gauge("ready", "Whether a caller who came now would be served.", ready);
    to.head("obstacle", "gauge", "What is in the way of a caller who came now.");
    for obstacle in Obstacle::ALL {
        let is_there = u8::from(reasons.contains(&obstacle));
        to.sample("obstacle", &[("reason", obstacle.code())], is_there);
    }
}

fn recorder(to: &mut Exposition, health: RecorderHealth) {
    let RecorderHealth { writing, live, unfinished, missed } = health;
    let help = "Whether what is recorded reaches the disk.";
    to.gauge("recorder_writing", help, u8::from(writing));
    to.gauge("recorder_live", "Recordings of running calls.", live);
    let help = "Recordings that wait to be finished or completed.";
    to.gauge("recorder_unfinished", help, unfinished);
    let help = "Pieces (sound of 200 ms, deltas, words) that found no room.";
    to.counter("recorder_missed_pieces_total", help, missed);
}

fn call_log(to: &mut Exposition, Backlog { waiting, lost }: Backlog, undelivered: Option<u64>) {
    to.gauge("call_log_queue_rows", "Rows of the call log that wait for the disk.", waiting);
    to.counter("call_log_lost_rows_total", "Rows that found no room, or no disk at the end.", lost);
    if let Some(rows) = undelivered {
        let help = "Rows in the file that the database server has not confirmed.";
        to.gauge("call_log_undelivered_rows", help, rows);
    }
}

/// The messages about ended calls. The counts are missing if the file does not answer at once.
fn webhooks(to: &mut Exposition, tally: &Tally, counts: Option<Counts>) {
    if let Some(Counts { waiting, .. }) = counts {
        let help = "Messages about ended calls that wait for their next attempt.";
        to.gauge("webhooks_pending", help, waiting);
    }
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let help = "Messages about ended calls that their receivers have.";
    to.counter("webhooks_sent_total", help, of(&tally.sent));
    let help = "Attempts to deliver such messages that failed.";
    to.counter("webhooks_failed_total", help, of(&tally.failed));
    let help = "Such messages that were given up, or found no room.";
    to.counter("webhooks_dead_total", help, of(&tally.dead));
}

/// The standard metrics of a process, under the names that all Prometheus clients use.
fn of_process(process: Process, started: f64) -> String {
    let mut to = Exposition::new("process_");
    let Process { cpu_seconds, resident, open_fds, max_fds } = process;
    if let Some(seconds) = cpu_seconds {
        to.counter("cpu_seconds_total", "Processor time, user and system.", seconds);
    }
    for (name, help, value) in [
        ("resident_memory_bytes", "Resident memory.", resident.map(ByteCount::get)),
        ("open_fds", "Open file descriptors.", open_fds),
        ("max_fds", "Most open file descriptors.", max_fds),
    ] {
        if let Some(value) = value {
            to.gauge(name, help, value);
        }
    }
    to.gauge("start_time_seconds", "When the daemon began, Unix time.", started);
    to.into_text()
}
