//! The calls whose sound goes from Asterisk to OpenAI. In the first one an appointment is booked; in the second one the caller presses
//! a key and is transferred to a person, while another caller comes for whom there is no room.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::time::sleep;

use super::Route;
use super::ground::{KEY, free_port};
use super::hall::{BETWEEN_CALLS, CALL_AT_MOST, CLEANED_UP_WITHIN, ENDPOINT, HINDSIGHT, Hall, Samples};
use super::story::Story;
use super::verdict::sip::{self, AtOpenAi};
use super::verdict::{Evidence, delays};
use super::words::{self, Scene};
use crate::clock::{chance, now, wall};
use crate::media::wav::HEADER_BYTES;
use crate::output::print;
use crate::sim::asterisk::{CallState, CallerId, IncomingCall};
use crate::sim::caller::Caller;
use crate::sim::live::openai_calls::{Seen, What};
use crate::sim::live::{AsteriskServer, OpenAiCallsServer, Trunk};
use crate::sim::openai_calls::Script;

/// The bytes of the webhook's secret.
const SECRET: [u8; 32] = *b"the secret of the demonstration.";
/// The port on which people expect the webhook.
const WEBHOOK_PORT: u16 = 5_002;
/// How long after the answer to the first caller the second one comes.
const SECOND_COMES: Duration = Duration::from_secs(1);
/// How many of the newest recordings may be that of the call.
const NEWEST: usize = 4;

/// The fake of OpenAI's calls, and the trunk to it.
pub(super) struct Sip {
    openai: OpenAiCallsServer,
    _trunk: Trunk,
    webhook: SocketAddr,
}

/// A call that is shown.
struct Call {
    id: CallerId,
    born: Instant,
    /// The caller for whom there is no room.
    second: Option<CallerId>,
    at_openai: AtOpenAi,
}

impl Sip {
    pub(super) fn start(asterisk: &AsteriskServer) -> io::Result<Self> {
        let openai = OpenAiCallsServer::start(Script::new(&SECRET, KEY))?;
        openai.watch();
        let trunk = Trunk::between(asterisk, &openai);
        let webhook = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port([WEBHOOK_PORT, 0])));
        trunk.webhook_at(webhook);
        Ok(Self { openai, _trunk: trunk, webhook })
    }

    /// The variables with which the daemon finds it.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("CALL_ROUTE", "sip".to_owned()),
            ("OPENAI_PROJECT", "proj_demo".to_owned()),
            ("OPENAI_SIP_ENDPOINT", ENDPOINT.to_owned()),
            ("OPENAI_WEBHOOK_SECRET", format!("whsec_{}", STANDARD.encode(SECRET))),
            ("WEBHOOK_LISTEN", self.webhook.to_string()),
            ("OPENAI_REALTIME_URL", self.openai.realtime_url()),
            ("OPENAI_CALLS_URL", self.openai.calls_url()),
            ("TRANSFER_DESTINATIONS", format!("{}:{}", words::PERSON, words::PERSONS_PLACE)),
            ("MAX_CALLS", "1".to_owned()),
        ]
    }

    /// Runs both calls again and again, or once. Returns whether all checks passed.
    pub(super) async fn perform(&self, hall: &mut Hall, once: bool) -> anyhow::Result<bool> {
        let introduction = hall.pen.language.choose(
            "Demostración de la ruta SIP: el servicio real entre un Asterisk y un OpenAI simulados, todo en este equipo.\n\
             Asterisk llama a OpenAI, y el sonido no pasa por el servicio: este decide por webhook y REST, y sigue la conversación por WebSocket.",
            "Demonstration of the SIP route: the real daemon between a simulated Asterisk and a simulated OpenAI, all on this machine.\n\
             Asterisk calls OpenAI, and no sound passes through the daemon: it decides by webhook and REST, and follows the talk by WebSocket.",
        );
        hall.open(introduction, &self.openai.calls_url()).await?;
        let (language, mut all_right) = (hall.pen.language, true);
        loop {
            let title = language.choose(
                "Primera llamada: saludo, interrupción y una cita",
                "First call: a greeting, an interruption and an appointment",
            );
            let (call, evidence) = self.call(hall, title, words::booking(&SECRET, KEY, wall())).await?;
            let checks = sip::booking(&evidence, &call.at_openai, language);
            all_right &= hall.judge(&evidence, &checks, &delays(&evidence, language))?;
            hall.clinic.clear();
            let title = language.choose(
                "Segunda llamada: una tecla y la transferencia a una persona; mientras, llega alguien para quien no hay lugar",
                "Second call: a key, and the transfer to a person; meanwhile somebody comes for whom there is no room",
            );
            sleep(BETWEEN_CALLS).await;
            let (call, evidence) = self.call(hall, title, words::transfer(&SECRET, KEY)).await?;
            let checks = sip::transfer(&evidence, &call.at_openai, language);
            // In this call nobody asks and nobody interrupts.
            all_right &= hall.judge(&evidence, &checks, &delays(&evidence, language)[..1])?;
            if once {
                return Ok(all_right);
            }
            sleep(BETWEEN_CALLS).await;
        }
    }

    /// Runs one call, from the INVITE until nothing of it is left.
    async fn call(&self, hall: &mut Hall, title: &str, scene: Scene) -> anyhow::Result<(Call, Evidence)> {
        let Scene { script, caller, is_second_refused } = scene;
        self.openai.look(|calls| calls.set_script(script));
        let begun = now();
        let mut born = begun;
        let id = hall.asterisk.call(rings(), |now| {
            born = now;
            Caller::new(now, caller, chance())
        });
        let mut call = Call { id, born, second: None, at_openai: AtOpenAi::default() };
        print(&format!("\n{}\n{}", hall.pen.paint("1", title), hall.pen.head()))?;
        let mut story = Story::new(hall.pen.language, Route::Sip);
        let (mut seen, mut refresh) = (Samples::default(), Hall::refresh());
        let mut over_since = None;
        loop {
            refresh.tick().await;
            let now = now();
            for event in self.openai.seen() {
                call.note(&event);
                story.at_openai(&event);
            }
            if is_second_refused && call.second.is_none() && hall.has_talked_for(id, now, SECOND_COMES) {
                let second = hall.asterisk.call(rings(), |now| Caller::new(now, Vec::new(), chance()));
                story.second(second, hall.asterisk.outcome(second).channel);
                call.second = Some(second);
            }
            hall.observe(&mut story, &mut seen, id, born);
            hall.show(&story.take(now, HINDSIGHT), born)?;
            if now - begun > CALL_AT_MOST {
                call.callers().for_each(|caller| hall.asterisk.hang_up(caller));
            }
            let is_gone = |caller| hall.asterisk.outcome(caller).state == CallState::Gone;
            if call.callers().all(is_gone) {
                let since: Instant = *over_since.get_or_insert(now);
                let clean = self.is_clean(hall, &mut call);
                if clean && now - since > HINDSIGHT || now - since > CLEANED_UP_WITHIN {
                    break;
                }
            }
        }
        story.pass(now());
        hall.show(&story.take(now(), Duration::ZERO), born)?;
        let evidence = self.evidence(hall, &mut call);
        call.callers().for_each(|caller| hall.asterisk.forget(caller));
        Ok((call, evidence))
    }

    /// Whether nothing of the call is left anywhere but in the daemon's folder.
    fn is_clean(&self, hall: &Hall, call: &mut Call) -> bool {
        if call.at_openai.recorded.is_none() {
            call.at_openai.recorded = recorded(&hall.folder, &call.at_openai.id);
        }
        hall.left().is_empty()
            && hall.asterisk.recordings().is_empty()
            && self.openai.look(|calls| calls.left().is_empty())
            && call.at_openai.recorded.is_some()
    }

    fn evidence(&self, hall: &Hall, call: &mut Call) -> Evidence {
        let mut evidence = hall.evidence(call.id, call.born);
        evidence.left.extend(hall.asterisk.recordings());
        let at_openai = &mut call.at_openai;
        evidence.truncated_ms.clone_from(&at_openai.truncated_ms);
        self.openai.look(|calls| {
            evidence.appended = calls.received(&at_openai.id);
            evidence.violations = calls.violations().to_vec();
            at_openai.unowned = calls.left().into_iter().map(str::to_owned).collect();
            at_openai.told = calls.added(&at_openai.id);
        });
        at_openai.went = hall.asterisk.outcome(call.id).ended;
        at_openai.second = call.second.map(|second| hall.asterisk.outcome(second));
        evidence
    }
}

impl Call {
    /// Both callers.
    fn callers(&self) -> impl Iterator<Item = CallerId> {
        [Some(self.id), self.second].into_iter().flatten()
    }

    fn note(&mut self, event: &Seen) {
        match &event.what {
            What::Rings => {
                self.at_openai.dialled += 1;
                self.at_openai.id.clone_from(&event.call);
            }
            What::ToClient(text) => {
                let event: Value = serde_json::from_str(text).unwrap_or_default();
                if event["type"] == "conversation.item.truncated" {
                    self.at_openai.truncated_ms.extend(event["audio_end_ms"].as_u64());
                }
            }
            _ => {}
        }
    }
}

impl Hall {
    /// Whether this caller's call was answered so long ago, and goes on.
    fn has_talked_for(&self, caller: CallerId, now: Instant, length: Duration) -> bool {
        let outcome = self.asterisk.outcome(caller);
        outcome.state == CallState::Up && outcome.answered_at.is_some_and(|at| now - at >= length)
    }
}

/// A call that the dialplan does not answer.
fn rings() -> IncomingCall {
    IncomingCall { answered: false, ..IncomingCall::default() }
}

/// The sides of the daemon's recording of this call at OpenAI, left and right. None: it is not complete.
fn recorded(folder: &Path, call: &str) -> Option<[Vec<u8>; 2]> {
    const CONVERSATION: &str = "_conversation.json";
    let names =
        std::fs::read_dir(folder).ok()?.flatten().filter_map(|file| file.file_name().into_string().ok());
    let mut ids: Vec<_> =
        names.filter_map(|name| name.strip_suffix(CONVERSATION).map(str::to_owned)).collect();
    // The names begin with the time.
    ids.sort_unstable();
    let is_it = |id: &&String| {
        let text = std::fs::read(folder.join(format!("{id}{CONVERSATION}"))).unwrap_or_default();
        let conversation: Value = serde_json::from_slice(&text).unwrap_or_default();
        conversation["openai_call_id"] == call
    };
    let id = ids.iter().rev().take(NEWEST).find(is_it)?;
    let sound = std::fs::read(folder.join(format!("{id}_audio.wav"))).ok()?;
    let side = |side: usize| sound.iter().skip(HEADER_BYTES + side).step_by(2).copied().collect();
    Some([side(0), side(1)])
}
