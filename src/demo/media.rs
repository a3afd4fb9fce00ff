//! The calls whose sound passes through the daemon: one after the other, each from the INVITE to the verdict.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Route;
use super::ground::KEY;
use super::hall::{BETWEEN_CALLS, CALL_AT_MOST, CLEANED_UP_WITHIN, HINDSIGHT, Hall, Samples};
use super::story::Story;
use super::verdict;
use super::words;
use crate::clock::{chance, now, wall};
use crate::output::print;
use crate::sim::asterisk::{CallState, IncomingCall};
use crate::sim::caller::Caller;
use crate::sim::live::RealtimeServer;

/// The fake Realtime server.
pub(super) struct Media {
    openai: RealtimeServer,
}

impl Media {
    pub(super) fn start() -> io::Result<Self> {
        let openai = RealtimeServer::start(|_| Arc::new(words::model(KEY, wall())))?;
        openai.watch();
        Ok(Self { openai })
    }

    /// The variables with which the daemon finds it.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("OPENAI_REALTIME_URL", self.openai.url())]
    }

    /// Runs calls until one has failed to be set up, or once. Returns whether all checks passed.
    pub(super) async fn perform(&self, hall: &mut Hall, once: bool) -> anyhow::Result<bool> {
        let introduction = hall.pen.language.choose(
            "Demostración: el servicio real entre un Asterisk y un OpenAI simulados, todo en este equipo.",
            "Demonstration: the real daemon between a simulated Asterisk and a simulated OpenAI, all on this machine.",
        );
        hall.open(introduction, &self.openai.url()).await?;
        let mut all_right = true;
        loop {
            all_right &= self.call(hall).await?;
            self.openai.forget_finished();
            if once {
                return Ok(all_right);
            }
            sleep(BETWEEN_CALLS).await;
        }
    }

    /// Runs one call, from the INVITE to the verdict.
    async fn call(&self, hall: &mut Hall) -> anyhow::Result<bool> {
        let sessions_before = self.openai.sessions().len();
        let begun = now();
        let mut born = begun;
        let id = hall.asterisk.call(IncomingCall::default(), |now| {
            born = now;
            Caller::new(now, words::caller(), chance())
        });
        print(&format!("\n{}", hall.pen.head()))?;
        let mut story = Story::new(hall.pen.language, Route::Media);
        let (mut seen, mut refresh) = (Samples::default(), Hall::refresh());
        let mut over_since = None;
        loop {
            refresh.tick().await;
            let now = now();
            for session in self.openai.sessions().iter().skip(sessions_before) {
                for said in session.said() {
                    story.openai(&said);
                }
            }
            hall.observe(&mut story, &mut seen, id, born);
            hall.show(&story.take(now, HINDSIGHT), born)?;
            if now - begun > CALL_AT_MOST {
                hall.asterisk.hang_up(id);
            }
            if hall.asterisk.outcome(id).state == CallState::Gone {
                let since: Instant = *over_since.get_or_insert(now);
                let clean = hall.left().is_empty() && self.sessions_over();
                if clean && now - since > HINDSIGHT || now - since > CLEANED_UP_WITHIN {
                    break;
                }
            }
        }
        story.pass(now());
        hall.show(&story.take(now(), Duration::ZERO), born)?;
        let mut evidence = hall.evidence(id, born);
        if let Some(session) = self.openai.sessions().get(sessions_before) {
            evidence.of_session(session);
        }
        let language = hall.pen.language;
        let (checks, delays) = (verdict::checks(&evidence, language), verdict::delays(&evidence, language));
        let right = hall.judge(&evidence, &checks, &delays);
        hall.asterisk.forget(id);
        hall.clinic.clear();
        right
    }

    fn sessions_over(&self) -> bool {
        self.openai.sessions().iter().all(|session| session.is_over())
    }
}
