//! A second session for the same call: the first was lost, or its hour is nearly over.
//!
//! ```text
//!   lost, or a quiet moment before `expires_at`
//!     │   what has arrived of the answer is played on; the caller's sound is kept (to_model)
//!     ▼
//!   opening … configured (session) ──► told what was said, as heard ──► goes on; greets nobody twice
//! ```
//! The new session does not know the items of the old one. It gets copies of them under other ids. The daemon truncates
//! and deletes only items that the session knows.

use std::time::{Duration, Instant};

use super::record::EventKind;
use super::report::SessionFault;
use super::responses::Purpose;
use super::transcript::{Flaw, Speaker};
use super::{Call, Output};
use crate::end_reason::EndReason;
use crate::operator::{LinkFault, Notice};
use crate::realtime::ItemId;
use crate::realtime::client::{NewItem, Role};
use crate::realtime::rate_limits::RateLimits;

/// From this long before it expires a session is replaced at the first quiet moment. Longer replaces sessions that would have
/// outlived the call; shorter finds no quiet moment in a lively talk.
const RENEW_BEFORE: Duration = Duration::from_secs(120);
/// From this long before it expires a session is replaced even in the middle of a word. Longer interrupts for nothing; shorter
/// may lose the session before the new one stands.
const RENEW_LATEST: Duration = Duration::from_secs(15);
/// How many sessions may be lost within [`LOSSES_WITHIN`] before the server is taken to be unreachable.
const LOSSES: usize = 3;
/// The same for the way to a session at OpenAI, which goes on without us, so that nobody hears anything of a loss.
const LOSSES_AT_OPENAI: usize = 10;
/// See [`LOSSES`].
const LOSSES_WITHIN: Duration = Duration::from_mins(1);
/// The ids of the items with which a new session is told of the talk begin with this.
const RETOLD: &str = "retold_";
/// Most that a new session is told of what was said, bytes. All of it leaves at once, and what the socket does not take
/// waits in a buffer of 32 kB in which the caller's sound needs room too; less forgets more of a long talk.
const RETOLD_BYTES: usize = 12 * 1024;
/// Bytes of an item beside its words.
const RETOLD_OVERHEAD: usize = 160;
/// What the model is told in a new session.
const SAME_CALL: &str = "This is the same telephone call: the connection was interrupted for a moment, and the caller's \
    last words may be missing above. Go on as if nothing had happened. Do not greet again. If you do not know what \
    the caller said last, ask them to repeat it.";

/// Why a session is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It was lost, or gave no answer.
    Lost,
    /// It expires soon.
    Expires,
}

/// What is known of the sessions of a call.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Whether one has ever been configured.
    stood: bool,
    /// How many there were before the current one.
    count: usize,
    /// When the current one expires.
    expires_at: Option<Instant>,
    lost_at: Vec<Instant>,
    /// When the last one was left and why, while there is no other.
    without: Option<(Instant, Why)>,
    /// The caller waits for an answer the last one did not give.
    owes_answer: bool,
    /// Items of earlier sessions of which something is still to be heard.
    earlier: Vec<ItemId>,
    /// What is left of the account's rate limits, and when that was told last.
    rate_limits: Option<(Instant, RateLimits)>,
}

impl Sessions {
    /// A session has been configured.
    pub(super) fn stands(&mut self) {
        self.stood = true;
    }

    /// Whether one has ever been configured.
    pub(super) fn has_stood(&self) -> bool {
        self.stood
    }

    /// Which session this is, from 0.
    pub(super) fn number(&self) -> usize {
        self.count
    }

    /// What is left of the account's rate limits, and when that was told last.
    pub(super) fn rate_limits(&self) -> Option<(Instant, RateLimits)> {
        self.rate_limits
    }

    /// Whether the session being opened is not the first.
    pub(super) fn is_resuming(&self) -> bool {
        self.without.is_some()
    }

    /// The server tells what is left of the account's rate limits.
    pub(super) fn limited(&mut self, now: Instant, told: RateLimits) {
        let mut known = self.rate_limits.map(|(_, known)| known).unwrap_or_default();
        known.update(told);
        self.rate_limits = Some((now, known));
    }

    /// Whether the current session knows this item.
    pub(super) fn knows(&self, item: &ItemId) -> bool {
        !self.earlier.contains(item)
    }
}

/// Whether an item is one we have told a new session of.
pub(super) fn is_retold(item: &ItemId) -> bool {
    item.as_str().starts_with(RETOLD)
}

impl Call {
    /// The session is gone in the middle of the call.
    pub(super) fn session_lost(&mut self, cause: LinkFault) {
        // At OpenAI this is also how a caller hangs up: it is a loss once the session has been reached again.
        if self.leg.openai().is_none() {
            self.session_failed(SessionFault::Lost);
        }
        self.replace_session(cause);
    }

    /// The session stands, and does not give the answer that it owes.
    pub(super) fn session_silent(&mut self) {
        self.session_failed(SessionFault::Silent);
        if self.leg.openai().is_some() {
            return self.give_session_up(LinkFault::Unanswered);
        }
        self.sessions.owes_answer = true;
        self.replace_session(LinkFault::Unanswered);
    }

    fn replace_session(&mut self, cause: LinkFault) {
        let now = self.now;
        self.sessions.lost_at.retain(|lost| now - *lost < LOSSES_WITHIN);
        // At OpenAI the caller goes on hearing the goodbye.
        let is_last_word = self.leaving.is_some() && self.leg.openai().is_none();
        let most = if self.leg.openai().is_some() { LOSSES_AT_OPENAI } else { LOSSES };
        if is_last_word || self.sessions.lost_at.len() >= most {
            return self.give_session_up(cause);
        }
        self.sessions.lost_at.push(now);
        if self.leg.openai().is_none() {
            self.outputs.push(Output::Notice(Notice::SessionLost { cause }));
        }
        self.renew(Why::Lost);
    }

    /// There will be no other session: the caller is told so, or goes if they were about to.
    pub(super) fn give_session_up(&mut self, cause: LinkFault) {
        self.outputs.push(Output::Notice(Notice::SessionGivenUp { cause }));
        if self.depart_now() {
            return;
        }
        self.settle();
        self.transcript.await_no_words();
        self.apologise(EndReason::SessionLost);
    }

    /// Notes when the session expires, once its settings are in force.
    pub(super) fn session_expires(&mut self, expires_at: Option<i64>) {
        let lives =
            expires_at.and_then(|at| u64::try_from(at.checked_sub(self.wall)?).ok()).map(Duration::from_secs);
        // An end that is past or very near shows that the server's clock differs from ours. Such an end is ignored.
        let expires_at = lives.map(|lives| self.born + lives).filter(|at| *at > self.now + RENEW_BEFORE);
        self.sessions.expires_at = expires_at;
    }

    /// Replaces a session that expires soon.
    pub(super) fn advance_sessions(&mut self) {
        // A session that holds the call itself cannot be replaced.
        let may_renew = self.session.is_ready() && self.leg.openai().is_none();
        let Some(expires_at) = self.sessions.expires_at.filter(|_| may_renew) else { return };
        let speaks = self.floor.caller_speaks() || self.to_model.ear().speech_since().is_some();
        let waits = self.tools.is_pending() || self.tools.is_running();
        let busy = self.is_speaking() || self.responses.is_pending() || waits || speaks;
        let due = self.now + RENEW_BEFORE >= expires_at && !busy;
        if (due || self.now + RENEW_LATEST >= expires_at) && self.leaving.is_none() {
            self.renew(Why::Expires);
        }
    }

    /// Opens another session. Whatever the old one has said so far is heard to its end.
    fn renew(&mut self, why: Why) {
        self.settle();
        if let Some(leg) = self.leg.openai_mut() {
            leg.speeches.complete_all(self.now);
        }
        let sessions = &mut self.sessions;
        sessions.owes_answer |= self.responses.is_pending() || self.floor.caller_speaks();
        // At OpenAI the session goes on without us, and we come back to it.
        sessions.count += usize::from(self.leg.openai().is_none());
        sessions.expires_at = None;
        sessions.without = Some((self.now, why));
        sessions.earlier = self.playout.cut_short();
        self.responses.forget_session();
        self.floor.forget_session();
        self.transcript.await_no_words();
        self.to_model.close();
        self.outputs.push(Output::CloseSession);
        self.outputs.push(Output::OpenSession);
        self.session.replace(self.now);
    }

    /// What was said and heard; if it is too much, the last part of it.
    fn retold(&self) -> Vec<NewItem> {
        let mut items = Vec::new();
        let mut bytes = 0;
        for (n, utterance) in self.transcript.utterances().iter().enumerate().rev() {
            let keys = self.keys.told(&utterance.item).map(str::to_owned);
            let text = keys.unwrap_or_else(|| utterance.heard_text());
            let is_unheard = utterance.speaker == Speaker::Assistant
                && utterance.began.is_none()
                && self.sessions.knows(&utterance.item)
                || utterance.flaw == Some(Flaw::Unheard);
            if text.is_empty() || is_unheard {
                continue;
            }
            bytes += text.len() + RETOLD_OVERHEAD;
            if bytes > RETOLD_BYTES {
                break;
            }
            let role = match utterance.speaker {
                Speaker::Caller => Role::Caller,
                Speaker::Assistant => Role::Assistant,
            };
            items.push(NewItem::Message { id: Some(format!("{RETOLD}{n}").as_str().into()), role, text });
        }
        items.reverse();
        items
    }

    /// The new session is configured: tells it what was said, and lets it go on.
    pub(super) fn resume(&mut self) {
        let Some((since, why)) = self.sessions.without.take() else { return };
        if self.leg.openai().is_some() {
            return self.attached_again(since);
        }
        let mut items: Vec<_> = self.facts_again().into_iter().chain(self.retold()).collect();
        items.extend(self.tools.told_again());
        items.push(NewItem::Message { id: None, role: Role::System, text: SAME_CALL.to_owned() });
        for item in items {
            self.tell_model(item);
        }
        self.resumed(since, why);
    }

    /// The socket to a session at OpenAI stands again: the session knows all but what we could not tell it meanwhile.
    fn attached_again(&mut self, since: Instant) {
        self.session_failed(SessionFault::Lost);
        for item in self.tools.untold() {
            self.tell_model(item);
        }
        self.resumed(since, Why::Lost);
    }

    fn resumed(&mut self, since: Instant, why: Why) {
        if std::mem::take(&mut self.sessions.owes_answer) {
            self.responses.want(Purpose::Answer);
        }
        let ms = (self.now - since).as_millis() as u64;
        if why == Why::Lost {
            self.outputs.push(Output::Notice(Notice::SessionResumed { ms }));
        }
        self.note(EventKind::Reconnected, format!("after_ms={ms}"));
    }
}
