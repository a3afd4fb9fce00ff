//! What is known of the webhook by which OpenAI offers the calls that it answers by SIP.
//!
//! ```text
//!   Off ──Listens──► Listening ──Missed──► Missing      any state ──Closed──► Closed
//!    │                ▲    ▲───── an offer ──┘
//!    │                └──────────Listens──────────┐
//!    └──CannotListen────────────────────────────► Closed
//! ```

use std::time::{Duration, Instant};

use super::Exchange;
use crate::operator::Notice;
use crate::webhook::inbound::Refused;

/// The pause before the operator is told again that webhooks are refused. A shorter pause would let strangers fill the log; with a
/// longer one a wrong secret could be forgotten.
const SAY_AGAIN: Duration = Duration::from_mins(10);

/// For how long the readiness warns that genuine webhooks may have been refused, and how long no line repeats it. A longer time keeps
/// a warning about a flood that is over; a shorter one lets monitors miss it.
const CROWDED: Duration = Duration::from_mins(10);
/// How long the calls of strangers are only counted after a line about one, in minutes. A longer time tells later how many they are;
/// with a shorter one strangers fill the log.
const STRANGERS_MINUTES: u64 = 10;
const STRANGERS: Duration = Duration::from_mins(STRANGERS_MINUTES);

/// The calls of strangers that are rejected: a line for the first, and one every ten minutes that counts the others, because
/// strangers choose how many there are.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// Until when they are only counted. None: the next one has a line.
    until: Option<Instant>,
    more: u64,
}

impl Strangers {
    /// A call is rejected. Whether it has a line of its own.
    pub(super) fn came(&mut self, now: Instant) -> bool {
        let has_line = self.until.is_none();
        if has_line {
            self.until = Some(now + STRANGERS);
        } else {
            self.more += 1;
        }
        has_line
    }

    /// When a line may be due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// The line about those that were only counted, if their time is over and there are any.
    pub(super) fn due(&mut self, now: Instant) -> Option<Notice> {
        if self.until.is_none_or(|until| now < until) {
            return None;
        }
        let calls = std::mem::take(&mut self.more);
        self.until = (calls > 0).then_some(now + STRANGERS);
        (calls > 0).then_some(Notice::SipStrangers { calls, minutes: STRANGERS_MINUTES })
    }
}

/// How the webhook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Webhook {
    /// Calls that OpenAI answers by SIP are not taken (`OPENAI_WEBHOOK_SECRET`).
    #[default]
    Off,
    /// It listens.
    Listening,
    /// It listens, but a call was dialled to OpenAI for which no webhook came, and none has come since.
    Missing,
    /// It does not listen: its address is taken, or its listener has ended, which only a defect of ours can do.
    Closed,
}

impl Webhook {
    /// All states, in the order of the enum.
    pub const ALL: [Self; 4] = [Self::Off, Self::Listening, Self::Missing, Self::Closed];

    /// The stable word for machines.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Listening => "listening",
            Self::Missing => "missing",
            Self::Closed => "closed",
        }
    }
}

/// What happens to the webhook, beside the offers that it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookNews {
    /// Its listener stands.
    Listens,
    /// Its address cannot be listened on now; this is tried again.
    CannotListen,
    /// A call was dialled to OpenAI, and the time in which its webhook should have come is over.
    Missed,
    /// Webhooks were refused, because their signature or their time is not right.
    Refused {
        /// Why the last of them was.
        cause: Refused,
        /// How many.
        count: u32,
    },
    /// Its listener has ended.
    Closed,
    /// It refuses requests that could be OpenAI's, because there are too many of one client.
    Crowded,
}

/// The webhooks that were refused since one was right.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    count: u32,
    /// When the operator was last told.
    said_at: Option<Instant>,
}

impl Refusals {
    /// Counts more. Returns whether the operator is to be told now.
    fn count(&mut self, now: Instant, more: u32) -> bool {
        self.count = self.count.saturating_add(more);
        let is_news = self.said_at.is_none_or(|at| now.saturating_duration_since(at) >= SAY_AGAIN);
        if is_news {
            self.said_at = Some(now);
        }
        is_news
    }
}

impl Exchange {
    pub(super) fn webhook_news(&mut self, news: WebhookNews) {
        if news == WebhookNews::Crowded {
            return self.crowded();
        }
        if let WebhookNews::Refused { cause, count } = news {
            if self.refusals.count(self.at.now, count) {
                let count = self.refusals.count;
                self.say(None, Notice::WebhookRefused { cause, count });
            }
            return;
        }
        if news == WebhookNews::Missed && self.refusals.count > 0 {
            self.say(None, Notice::WebhooksRefusedMeanwhile { count: self.refusals.count });
        }
        let (after, line) = match (news, self.webhook) {
            (WebhookNews::Listens, Webhook::Off | Webhook::Closed) => (Webhook::Listening, None),
            // Whoever has tried to listen has said so.
            (WebhookNews::CannotListen, Webhook::Off) => (Webhook::Closed, None),
            // The call itself has said so.
            (WebhookNews::Missed, Webhook::Listening) => (Webhook::Missing, None),
            (WebhookNews::Closed, Webhook::Listening | Webhook::Missing) => {
                (Webhook::Closed, Some(Notice::WebhookClosed))
            }
            (_, known) => (known, None),
        };
        self.webhook = after;
        self.say_all(line);
    }

    /// Whether webhooks have been refused since one was right.
    pub(super) fn refuses_webhooks(&self) -> bool {
        self.refusals.count > 0
    }

    fn crowded(&mut self) {
        let is_news = !self.is_crowded();
        self.crowded_until = Some(self.at.now + CROWDED);
        self.say_all(is_news.then_some(Notice::WebhookCrowded));
    }

    /// Whether genuine webhooks may have been refused a short while ago.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowded_until.is_some_and(|until| self.at.now < until)
    }

    /// What is due about the webhook.
    pub(super) fn advance_webhook(&mut self) {
        if !self.is_crowded() {
            self.crowded_until = None;
        }
        let counted = self.strangers.due(self.at.now);
        self.say_all(counted);
    }

    /// The webhook has brought an offer.
    pub(super) fn webhook_came(&mut self) {
        // When the operator was last told stays known: with strangers between genuine calls each of these would be followed by a line.
        self.refusals.count = 0;
        if self.webhook == Webhook::Missing {
            self.webhook = Webhook::Listening;
        }
    }
}
