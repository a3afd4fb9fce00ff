//! What is known of the webhook by which OpenAI offers the calls that it answers by SIP.
//!
//! ```text
//!   Off ──Listens──► Listening ──Missed──► Missing      any state ──Closed──► Closed
//!    │                ▲    ▲───── an offer ──┘
//!    │                └──────────Listens──────────┐
//!    └──CannotListen────────────────────────────► Closed
//! ```

use super::Exchange;
use crate::operator::Notice;

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
    /// Its listener has ended.
    Closed,
}

impl Exchange {
    pub(super) fn webhook_news(&mut self, news: WebhookNews) {
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

    /// The webhook has brought an offer.
    pub(super) fn webhook_came(&mut self) {
        if self.webhook == Webhook::Missing {
            self.webhook = Webhook::Listening;
        }
    }
}
