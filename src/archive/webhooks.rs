//! Sends the messages of the outbox: signed, to the addresses of the configuration in force, again and again for three days.
//!
//! The addresses are reached through the border of tools (`net::tools`): no redirects, no addresses of the link or of metadata, bounded
//! time and size. The client is another one than that of tools, so that a receiver that fails keeps no tool from its server.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use crate::clock::{self, chance};
use crate::logging::Operator;
use crate::net::tools::{Errand, ToolClient};
use crate::operator::{Detail, Notice};
use crate::registry::RegistryError;
use crate::registry::outbox::{Outbox, Waiting};
use crate::tool::{Effect, Failure, HttpRequest};
use crate::webhook::{Addresses, Answer, Verdict, judge, message_id};

/// How long an answer may take. Standard Webhooks recommends 15 to 30 s. More would let a receiver that hangs hold up the others.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most messages that are sent at once. More would burden the machine while calls run; fewer would let a slow receiver hold up
/// the others for longer.
const AT_ONCE: u32 = 16;
/// How long a message waits that was not sent because its receiver fails too often, or because too many messages are under way.
const LATER: Duration = Duration::from_secs(30);
/// How long a file is waited for that its writer has not opened yet, or is opening again. A longer time delays what is due at a start.
const OPENS: Duration = Duration::from_secs(1);
/// How often the outbox is looked at although nothing is due, because `agents webhooks --again` makes messages due from outside.
const LOOK: Duration = Duration::from_secs(5);
/// How often messages are deleted that were given up long ago.
const TIDY: Duration = Duration::from_secs(3_600);
/// What is noted if the files of agents no longer have the address.
const NO_ADDRESS: &str = "no such address in the files of agents";
/// What is noted if the address is gone for good.
const GONE: &str = "HTTP 410";

/// How messages are sent, and where.
#[derive(Debug)]
pub struct Courier {
    /// The client.
    pub client: ToolClient,
    /// The addresses of the configuration in force. A change says that the configuration was read again.
    pub addresses: watch::Receiver<Addresses>,
}

/// Sends messages.
pub(super) struct Sender {
    outbox: Outbox,
    courier: Courier,
    operator: Operator,
    /// The addresses, as agent and name, that answered 410.
    gone: HashSet<(String, String)>,
    /// The addresses that failed at the last attempt, which the operator has been told.
    failing: HashSet<(String, String)>,
    tidied_at: Option<Instant>,
}

/// What came of sending a message.
struct Attempt {
    waiting: Waiting,
    /// The origin of the address, or its name if it is not known.
    address: String,
    tried: Tried,
}

enum Tried {
    /// The message is gone: its caller was erased.
    Erased,
    /// Nothing was sent, for a reason that will pass.
    Postponed,
    /// It was sent, or could not be.
    Ended { answer: Answer, text: String },
}

impl Sender {
    pub(super) fn new(outbox: Outbox, courier: Courier, operator: Operator) -> Self {
        let (gone, failing) = (HashSet::new(), HashSet::new());
        Self { outbox, courier, operator, gone, failing, tidied_at: None }
    }

    /// Sends for ever.
    pub(super) async fn run(mut self) {
        loop {
            let wait = match self.round().await {
                Ok(wait) => wait,
                Err(RegistryError::Closed) => OPENS,
                Err(error) => {
                    // The writer of the call log tells the operator of a disk that fails.
                    tracing::debug!(%error, "the outbox cannot be used now");
                    LATER
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.outbox.more() => {}
                Ok(()) = self.courier.addresses.changed() => self.gone.clear(),
            }
        }
    }

    /// Sends everything that is due. Returns how long nothing else will be.
    async fn round(&mut self) -> Result<Duration, RegistryError> {
        let mut has_deleted = false;
        loop {
            let due = self.outbox.due(clock::wall().timestamp_micros(), AT_ONCE).await?;
            if due.is_empty() {
                break;
            }
            let addresses = self.courier.addresses.borrow().clone();
            let mut sending: FuturesUnordered<_> =
                due.into_iter().map(|waiting| self.send(waiting, &addresses)).collect();
            let mut attempts = Vec::new();
            while let Some(attempt) = sending.next().await {
                attempts.push(attempt?);
            }
            drop(sending);
            for attempt in attempts {
                has_deleted |= self.note(attempt).await?;
            }
        }
        if has_deleted || self.tidied_at.is_none_or(|at| clock::now() - at >= TIDY) {
            self.tidied_at = Some(clock::now());
            self.outbox.tidy(clock::wall().timestamp_micros()).await?;
        }
        let next = self.outbox.next_us().await?;
        let until = next.map(|next| next.saturating_sub(clock::wall().timestamp_micros()).max(0) as u64);
        Ok(until.map_or(LOOK, |micros| Duration::from_micros(micros).min(LOOK)))
    }

    /// Sends a message.
    async fn send(&self, waiting: Waiting, addresses: &Addresses) -> Result<Attempt, RegistryError> {
        let Some(address) = addresses.find(&waiting.agent, &waiting.address) else {
            let address = waiting.address.clone();
            let tried = Tried::Ended { answer: Answer::Nothing, text: NO_ADDRESS.to_owned() };
            return Ok(Attempt { waiting, address, tried });
        };
        let origin = address.origin.clone();
        if self.gone.contains(&key(&waiting)) {
            let answer = Answer::Status { status: 410, retry_after: None };
            return Ok(Attempt {
                waiting,
                address: origin,
                tried: Tried::Ended { answer, text: GONE.to_owned() },
            });
        }
        let Some(body) = self.outbox.body(waiting.id).await? else {
            return Ok(Attempt { waiting, address: origin, tried: Tried::Erased });
        };
        let (id, now) = (message_id(&waiting.row_id), clock::wall().timestamp());
        let request = HttpRequest {
            method: "POST",
            url: address.url.0.clone(),
            headers: vec![
                ("content-type".to_owned(), "application/json".to_owned()),
                ("webhook-signature".to_owned(), address.key.sign(&id, now, &body)),
                ("webhook-id".to_owned(), id),
                ("webhook-timestamp".to_owned(), now.to_string()),
            ],
            body,
        };
        let errand =
            Errand { request: &request, effect: Effect::Write, idempotent: false, timeout: PATIENCE };
        let carried = self.courier.client.carry_out(&errand).await;
        let status = |status| Answer::Status { status, retry_after: carried.pause };
        let tried = match carried.result {
            Ok(response) => {
                Tried::Ended { answer: status(response.status), text: format!("HTTP {}", response.status) }
            }
            // The answer is not read beyond its status anyway.
            Err(Failure::TooLarge { status: code }) => {
                Tried::Ended { answer: status(code), text: format!("HTTP {code}") }
            }
            Err(Failure::Closed) => Tried::Postponed,
            Err(failure) => Tried::Ended { answer: Answer::Nothing, text: failure.to_string() },
        };
        Ok(Attempt { waiting, address: origin, tried })
    }

    /// Notes what came of an attempt. Returns whether the message was deleted.
    async fn note(&mut self, attempt: Attempt) -> Result<bool, RegistryError> {
        let Attempt { waiting, address, tried } = attempt;
        let Waiting { id, ref agent, attempts, ref answer, .. } = waiting;
        let now = clock::wall();
        let (said, text) = match tried {
            Tried::Erased => return Ok(false),
            Tried::Postponed => {
                self.outbox.failed(id, attempts, answer, Some(after(now, LATER))).await?;
                return Ok(false);
            }
            Tried::Ended { answer, text } => (answer, text),
        };
        let attempts = attempts.saturating_add(1);
        let verdict = judge(attempts, said, chance());
        if verdict == Verdict::Done {
            self.outbox.delivered(id).await?;
            self.outbox.tally().sent.fetch_add(1, Ordering::Relaxed);
            if self.failing.remove(&key(&waiting)) {
                self.operator.say(&Notice::WebhooksResumed { agent: agent.clone(), address });
            }
            return Ok(true);
        }
        let due = if let Verdict::Again(pause) = verdict { Some(after(now, pause)) } else { None };
        self.outbox.failed(id, attempts, &text, due).await?;
        self.outbox.tally().failed.fetch_add(1, Ordering::Relaxed);
        if due.is_none() {
            self.outbox.tally().dead.fetch_add(1, Ordering::Relaxed);
        }
        let agent = agent.clone();
        match verdict {
            Verdict::AddressGone => {
                if self.gone.insert(key(&waiting)) {
                    self.operator.say(&Notice::WebhookAddressGone { agent, address });
                }
            }
            Verdict::GiveUp => self.operator.say(&Notice::WebhookGivenUp { id, agent, address, attempts }),
            Verdict::Again(_) | Verdict::Done => {
                if self.failing.insert(key(&waiting)) {
                    self.operator.say(&Notice::WebhooksFailing { agent, address, cause: Detail::new(text) });
                }
            }
        }
        Ok(false)
    }
}

/// Which address a message is for.
fn key(waiting: &Waiting) -> (String, String) {
    (waiting.agent.clone(), waiting.address.clone())
}

/// The time after this pause, in UTC microseconds.
fn after(now: DateTime<FixedOffset>, pause: Duration) -> i64 {
    now.timestamp_micros().saturating_add(pause.as_micros() as i64)
}
