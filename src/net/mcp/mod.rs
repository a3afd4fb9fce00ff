//! Servers of tools that speak the Model Context Protocol (MCP): over HTTP, or by a program that is started for it.
//!
//! ```text
//!   keeper (a task for each server) ── connects, lists, lists again ──► News ──► daemon
//!       │ the session of the moment
//!       ▼
//!   Server::call ◄── job of a call
//! ```
//! Both eras of the protocol are spoken: servers since 2026-07-28, which need no handshake, and those before it.
//!
//! - The border is that of the tools over HTTP: the same refused addresses, no redirects, no proxy; the size of every message is
//!   limited. A program sees only the variables that the file names.
//! - A call never connects and never lists: it uses the session that is there, or there is none. Every start, list, call and end
//!   has a time limit of ours, whatever the server or the library waits for.
//! - Only what reads is cancelled. What writes is left to the server, which may be in the middle of it.
//!
//! | file | what |
//! |---|---|
//! | `keeper` | keeps one server's session open and its list fresh |
//! | `session` | one session: connects, lists, calls, ends |
//! | `program` | the process of a server that is started here |
//! | `failure` | what the errors of the library mean |

mod failure;
mod keeper;
mod program;
mod session;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::sync::{AcquireError, Notify, Semaphore, mpsc, watch};
use tokio::time::timeout_at;

pub use keeper::{News, ServerId};
pub use program::Program;
pub use session::{Address, HttpAddress};

use super::tools::{Breaker, PLACES_OF_ORIGIN, ToolClient};
use crate::clock;
use crate::tool::{Effect, Failure, Reply};
use session::Session;

/// The largest message of a server, in bytes. A larger value would let servers fill the memory; a smaller one would refuse long
/// lists of tools.
const MESSAGE_BYTES: usize = 1024 * 1024;

/// A server, as those who call its tools see it.
#[derive(Debug)]
pub struct Server {
    /// The requests at once over all servers, those of tools over HTTP included.
    all_places: Arc<Semaphore>,
    places: Semaphore,
    breaker: Mutex<Breaker>,
    session: watch::Receiver<Option<Session>>,
    /// Tells the keeper that a call has failed.
    doubt: Arc<Notify>,
}

/// A call of a tool, and what may be done with it.
#[derive(Clone, Debug)]
pub struct Errand {
    /// The name that the server knows.
    pub tool: String,
    /// The arguments.
    pub arguments: Map<String, Value>,
    /// Whether it changes anything.
    pub effect: Effect,
    /// Whether a second call does nothing more.
    pub idempotent: bool,
    /// The time for all attempts together, waiting for a place included.
    pub timeout: Duration,
}

/// How an errand ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// What the server replied, or why it did not.
    pub result: Result<Reply, Failure>,
    /// How often the call was sent, or was tried to be sent.
    pub attempts: u32,
}

impl Server {
    /// A server at this address, and the future that keeps its session open and its list fresh for as long as the server exists.
    /// Its news go to `tell`, with its number.
    pub fn new(
        client: &ToolClient,
        address: Address,
        id: ServerId,
        tell: mpsc::Sender<(ServerId, News)>,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (opened, session) = watch::channel(None);
        let doubt = Arc::new(Notify::new());
        let server = Self {
            all_places: client.places(),
            places: Semaphore::new(PLACES_OF_ORIGIN),
            breaker: Mutex::default(),
            session,
            doubt: Arc::clone(&doubt),
        };
        let connector = session::Connector { address, client: client.mcp() };
        (server, keeper::keep(connector, opened, doubt, id, tell))
    }

    /// Calls a tool, again if that is safe and may help.
    pub async fn call(&self, errand: &Errand) -> Called {
        let deadline = clock::now() + errand.timeout;
        // In this order, because those who wait for a slow server must not take the places of the others.
        let places = async {
            let of_server = self.places.acquire().await?;
            Ok::<_, AcquireError>((of_server, self.all_places.acquire().await?))
        };
        let mut attempts = 0;
        let Ok(Ok(_places)) = timeout_at(deadline.into(), places).await else {
            return Called { result: Err(Failure::Closed), attempts };
        };
        let mut session = self.session.clone();
        loop {
            let may_call = self.breaker().is_open(clock::now());
            let open = session.borrow_and_update().clone().filter(|open| may_call && !open.is_closed());
            let Some(open) = open else { return Called { result: Err(Failure::Closed), attempts } };
            attempts += 1;
            let result = open.call(errand, deadline).await;
            self.note(&result, clock::now());
            if attempts > 1 || !may_be_repeated(errand, &result) {
                return Called { result, attempts };
            }
            // A program that has ended is started again.
            if open.is_closed() && !is_renewed(&mut session, deadline).await {
                return Called { result, attempts };
            }
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call for or against the server.
    fn note(&self, result: &Result<Reply, Failure>, now: Instant) {
        match result {
            Ok(_) => self.breaker().succeeded(),
            Err(Failure::Forbidden | Failure::Closed) => {}
            Err(_) => {
                self.breaker().failed(now);
                self.doubt.notify_one();
            }
        }
    }
}

/// Waits for another session. Returns whether there is one in time.
async fn is_renewed(session: &mut watch::Receiver<Option<Session>>, deadline: Instant) -> bool {
    let is_open = |session: &Option<Session>| session.as_ref().is_some_and(|session| !session.is_closed());
    matches!(timeout_at(deadline.into(), session.wait_for(is_open)).await, Ok(Ok(_)))
}

/// Whether another attempt may help, and cannot do something twice.
fn may_be_repeated(errand: &Errand, result: &Result<Reply, Failure>) -> bool {
    match result {
        Err(Failure::NotSent(_)) => true,
        Err(Failure::Unanswered(_)) => errand.effect == Effect::Read || errand.idempotent,
        _ => false,
    }
}
