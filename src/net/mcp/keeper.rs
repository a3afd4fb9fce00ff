//! Keeps the session with one server open and its list of tools fresh, so that calls find both.
//!
//! ```text
//!        ┌──────────── pause, longer each time ◄─── Away ◄──┬─────────┬──────────┐
//!        ▼                                                  │         │          │
//!   connect ──────────────────────────────────────────► list ─► open ─┤ closed   │
//!                                                           ▲         │          │
//!                                                           └─────────┤ old, or a call has failed
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::clock::{chance, now};
use crate::net::backoff::Backoff;
use crate::tool::Listed;

/// How long a start may take. The library waits 10 s for a server that does not answer its first question, and then asks in the
/// language of older servers. A larger value would hold up the news that a server is mute.
const START: Duration = Duration::from_secs(20);
/// How long a list may take. Nobody waits for it.
const LIST: Duration = Duration::from_secs(20);
/// How long an end may take before a program is killed, a half of it after a request to end.
const END: Duration = Duration::from_secs(5);
/// How old a list may become: at least, whatever the server says, so that a server does not keep the daemon busy; at most, so that
/// a change is noticed; and if the server says nothing.
const AGES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));
const USUAL_AGE: Duration = Duration::from_secs(600);
/// A session that has lived so long was a good one: the next pause is the first one again.
const GOOD: Duration = Duration::from_secs(60);
/// The least time between two lists because of failed calls.
const DOUBT: Duration = Duration::from_secs(5);

/// Names a server in its news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerId(pub u32);

/// What becomes known of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// It is there, and lists these tools.
    Listed(Vec<Listed>),
    /// It cannot be used. The cause holds no secret, no address and no words of a caller.
    Away(String),
}

/// A list, and for how long it holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List {
    pub(super) tools: Vec<Listed>,
    /// What the server says about its age (`ttlMs`).
    pub(super) age: Option<Duration>,
}

/// How sessions come about. Tests have their own.
pub(super) trait Connect: Send {
    type Session: Keep;
    /// Opens a session.
    fn connect(&self) -> impl Future<Output = Result<Self::Session, String>> + Send;
}

/// A session that is kept open.
pub(super) trait Keep: Send {
    /// What those who call tools get.
    type Shared: Send + Sync;
    fn shared(&self) -> Self::Shared;
    fn list(&mut self) -> impl Future<Output = Result<List, String>> + Send;
    /// Waits until the session is closed.
    fn closed(&mut self) -> impl Future<Output = ()> + Send;
    /// Closes the session.
    fn end(self) -> impl Future<Output = ()> + Send;
}

/// Keeps a session open for as long as this future is polled and somebody may call tools, which is while `opened` has receivers.
/// Then the future closes the session and ends.
pub(super) async fn keep<C: Connect>(
    connector: C,
    opened: watch::Sender<Option<<C::Session as Keep>::Shared>>,
    doubt: Arc<Notify>,
    id: ServerId,
    tell: mpsc::Sender<(ServerId, News)>,
) {
    let mut pauses = Backoff::default();
    loop {
        let before = now();
        let connected = tokio::select! {
            connected = timeout(START, connector.connect()) => connected,
            () = opened.closed() => return,
        };
        let cause = match connected {
            Ok(Ok(mut session)) => {
                let cause = serve(&mut session, &opened, &doubt, (id, &tell)).await;
                opened.send_replace(None);
                timeout(END, session.end()).await.ok();
                cause
            }
            Ok(Err(cause)) => cause,
            Err(_) => "no answer in time".to_owned(),
        };
        if opened.is_closed() {
            return;
        }
        tell.send((id, News::Away(cause))).await.ok();
        if now() - before >= GOOD {
            pauses.reset();
        }
        tokio::select! {
            () = sleep(pauses.next(chance() as u32)) => {}
            () = opened.closed() => return,
        }
    }
}

/// Lists the tools of a session again and again. Returns why the session cannot be used any longer.
async fn serve<S: Keep>(
    session: &mut S,
    opened: &watch::Sender<Option<S::Shared>>,
    doubt: &Notify,
    (id, tell): (ServerId, &mpsc::Sender<(ServerId, News)>),
) -> String {
    loop {
        let List { tools, age } = match timeout(LIST, session.list()).await {
            Ok(Ok(list)) => list,
            Ok(Err(cause)) => return cause,
            Err(_) => return "no list in time".to_owned(),
        };
        opened.send_if_modified(|known| {
            let is_new = known.is_none();
            if is_new {
                *known = Some(session.shared());
            }
            is_new
        });
        tell.send((id, News::Listed(tools))).await.ok();
        let age = age.unwrap_or(USUAL_AGE).clamp(AGES.0, AGES.1);
        tokio::select! {
            () = session.closed() => return "the connection was closed".to_owned(),
            () = opened.closed() => return "nobody uses the server".to_owned(),
            () = sleep(age) => {}
            // A call has failed: is the server there?
            () = async { sleep(DOUBT).await; doubt.notified().await } => {}
        }
    }
}
