//! Writes the call log: first into the file, then to the server.
//!
//! ```text
//!  Log::offer ──► queue ──► write: the file, durable ──► deliver: the server, in the order of change
//!    full: the row is        fails: reported once,         away: reported once,
//!    counted and reported    retried; rows stay queued     retried more and more rarely; rows stay in the file
//! ```

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Notify, oneshot};
use tokio::time::{timeout, timeout_at};

use super::claims::Claims;
use super::local::{Change, Local};
use super::orders::{BATCH, Collected, Order};
use super::outbox::{self, Message, Outbox};
use super::server::{ANSWER, Remote};
use super::{Opener, RegistryError, Row, Whose};
use crate::net::backoff::Backoff;
use crate::operator::{Detail, Notice};

/// The number of rows that may wait for the disk. A call offers two, and one for each answer while there is room; so the queue
/// holds the rows of at least 256 calls while a disk hangs. A larger value costs memory; a smaller one loses rows earlier.
const QUEUE: usize = 1_024;
/// The pause after a failed write. A longer pause delays the recovery; a shorter one burdens a failing disk.
const DISK_AGAIN: Duration = Duration::from_secs(1);
/// How long no row must arrive before the write-ahead log is merged into the file. People copy only the file itself.
/// A shorter time waits for the disk twice for each row; a longer one leaves copies without the last calls.
const IDLE: Duration = Duration::from_secs(2);
/// How often the writer looks for rows that another process, such as `recordings purge`, has left in the file. A
/// longer interval delays their delivery.
const LOOK: Duration = Duration::from_secs(30);
/// How long an erasure waits for the disk before it reports an error. The erasure is still carried out when the disk
/// works again.
const ERASE: Duration = Duration::from_secs(10);
/// How long the last rows may take to reach the server when the daemon stops. The next start delivers the rest. A
/// longer time delays the stop.
const LAST: Duration = Duration::from_secs(2);

/// The state of the queue before the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// The number of rows that wait for the disk, without those that are being written.
    pub waiting: usize,
    /// The number of rows lost since the start, because the queue was full or because the disk failed at the end.
    pub lost: u64,
}

/// Accepts rows without making the caller wait. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Log {
    queue: Sender<Order>,
    lost: Arc<AtomicU64>,
    outbox: Outbox,
    claims: Claims,
}

impl Log {
    /// Offers the row of a call that has arrived, or a newer version of this row with the same key. If the queue is
    /// full, the row is counted as lost and the operator is told.
    pub fn offer(&self, row: Row) {
        self.offer_ended(row, Vec::new());
    }

    /// The same for a row of which a newer version follows soon. It is written within a second, together with others. While the disk is
    /// slow it is left out, so that the queue has room for the rows of calls that begin and end.
    pub fn offer_running(&self, row: Row) {
        if self.queue.capacity() > QUEUE / 2 && self.queue.try_send(Order::Running(Box::new(row))).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The same for the row of a call that has ended, together with the messages about it: both are written, or neither.
    pub fn offer_ended(&self, row: Row, messages: Vec<Message>) {
        if self.queue.try_send(Order::Row(Box::new(row), messages)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was decided about a call that a webhook has offered has been carried out. If the queue is full, that is forgotten, and the
    /// next start decides again about a call that is over.
    pub fn decided(&self, call: &str) {
        self.queue.try_send(Order::Decided(call.to_owned())).ok();
    }

    /// The messages that wait for their receivers.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// The webhooks of OpenAI that have come.
    #[must_use]
    pub fn claims(&self) -> Claims {
        self.claims.clone()
    }

    /// The state of the queue before the file.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let waiting = self.queue.max_capacity() - self.queue.capacity();
        Backlog { waiting, lost: self.lost.load(Ordering::Relaxed) }
    }

    /// Erases phone numbers durably, also those of running calls. The server is told when it can be reached.
    ///
    /// # Errors
    /// The file cannot be written now. The erasure stays in the queue like a row.
    pub async fn erase(&self, whose: Whose) -> Result<(), RegistryError> {
        let (reply, done) = oneshot::channel();
        let erase = async {
            self.queue.send(Order::Erase(whose, reply)).await.map_err(|_| RegistryError::Closed)?;
            done.await.map_err(|_| RegistryError::Closed)
        };
        timeout(ERASE, erase).await.map_err(|_| RegistryError::Late)?
    }
}

/// Receives the notices for the operator.
pub type Tell = Box<dyn Fn(Notice) + Send + Sync>;

/// The only writer of a call log.
pub struct Writer {
    local: Local,
    server: Option<Remote>,
    opener: Opener,
    inbox: Receiver<Order>,
    lost: Arc<AtomicU64>,
    outbox: Outbox,
    tell: Tell,
}

impl Writer {
    pub(super) fn new(local: Local, server: Option<Remote>, opener: Opener, tell: Tell) -> (Log, Self) {
        let (queue, inbox) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let outbox = Outbox::new(local.clone());
        let claims = Claims::new(local.clone());
        let log = Log { queue, lost: Arc::clone(&lost), outbox: outbox.clone(), claims };
        (log, Self { local, server, opener, inbox, lost, outbox, tell })
    }

    /// Writes and delivers rows until the last [`Log`] has been dropped and everything that it offered is in the
    /// file.
    pub async fn run(self) {
        let Self { local, server, opener, inbox, lost, outbox, tell } = self;
        let ends_cut_off = opener == Opener::Daemon;
        let written = Notify::new();
        let mut disk = Disk {
            local: &local,
            inbox,
            lost: &lost,
            outbox: &outbox,
            said: 0,
            tell: &tell,
            failing: false,
            settled: false,
            ends_cut_off,
            collected: Collected::default(),
        };
        let Some(server) = server else {
            disk.run(&written).await;
            return local.close().await;
        };
        let mut delivery =
            Delivery { local: &local, server: &server, tell: &tell, away: false, refused: false };
        tokio::select! {
            () = disk.run(&written) => {}
            () = delivery.run(&written) => {}
        }
        // What is not delivered in this time is delivered by the next start.
        timeout(LAST, async {
            delivery.round().await;
            server.close().await;
        })
        .await
        .ok();
        local.close().await;
    }
}

/// The part of the writer that moves rows from the queue to the file.
struct Disk<'a> {
    local: &'a Local,
    inbox: Receiver<Order>,
    lost: &'a AtomicU64,
    outbox: &'a Outbox,
    /// The number of lost rows that the operator has been told of.
    said: u64,
    tell: &'a Tell,
    /// Whether the disk is failing. The operator is told once.
    failing: bool,
    /// Whether the write-ahead log has been merged into the file.
    settled: bool,
    /// Whether calls that the file shows as running must be ended. They were cut off before this daemon opened the
    /// file.
    ends_cut_off: bool,
    collected: Collected,
}

impl Disk<'_> {
    async fn run(&mut self, written: &Notify) {
        let mut news = Vec::with_capacity(BATCH);
        loop {
            if let Err(error) = self.write(&mut news).await {
                self.failed(&error);
                if self.inbox.is_closed() {
                    return self.give_up(&news, &error);
                }
                tokio::time::sleep(DISK_AGAIN).await;
                continue;
            }
            self.say_lost();
            written.notify_one();
            if self.next(&mut news).await == 0 {
                return self.say_lost();
            }
        }
    }

    /// Waits for news, and merges the write-ahead log when none comes for a while. Rows of running calls alone are collected
    /// first. Returns the number of news; 0 means that the queue is closed.
    async fn next(&mut self, news: &mut Vec<Order>) -> usize {
        loop {
            let due = self.collected.due();
            let came = match due {
                Some(due) => timeout_at(due, self.inbox.recv_many(news, BATCH)).await.ok(),
                None if self.settled => Some(self.inbox.recv_many(news, BATCH).await),
                None => timeout(IDLE, self.inbox.recv_many(news, BATCH)).await.ok(),
            };
            if came.is_none() && due.is_none() {
                self.settle().await;
            } else if came.is_none_or(|came| came == 0) || !self.collected.take_from(news) {
                self.collected.put_before(news);
                return news.len();
            }
        }
    }

    async fn settle(&mut self) {
        match self.local.settle().await {
            Ok(settled) => self.settled = settled,
            Err(error) => {
                tracing::debug!(%error, "the call log cannot be settled now");
                self.settled = true;
            }
        }
    }

    /// Opens the file if it is not open, and writes the news in their order.
    async fn write(&mut self, news: &mut Vec<Order>) -> Result<(), RegistryError> {
        if !self.local.stands() {
            self.open().await?;
        }
        let mut changes = Vec::with_capacity(news.len());
        for news in &*news {
            match news {
                Order::Row(row, messages) => {
                    changes.push(Change::Put(row));
                    changes.extend(messages.iter().map(Change::Send));
                }
                Order::Running(row) => changes.push(Change::Put(row)),
                Order::Decided(call) => changes.push(Change::Decided(call)),
                Order::Erase(whose, _) => changes.push(Change::Erase(whose)),
            }
        }
        let has_messages = changes.iter().any(|change| matches!(change, Change::Send(_)));
        match self.local.write(&changes).await {
            Ok(refused) if has_messages => self.outbox_grew(refused),
            Ok(_) => {}
            Err(error) => {
                // The next attempt opens the file again and finds out what is wrong with it.
                self.local.close().await;
                return Err(error);
            }
        }
        self.settled = false;
        if news.iter().any(|news| matches!(news, Order::Erase(..))) {
            self.settle().await;
        }
        for news in news.drain(..) {
            if let Order::Erase(_, reply) = news {
                // Whoever asked may have given up waiting.
                reply.send(()).ok();
            }
        }
        if std::mem::take(&mut self.failing) {
            (self.tell)(Notice::CallLogResumed { path: self.path() });
        }
        Ok(())
    }

    /// Messages have come into the outbox. For so many there was no room.
    fn outbox_grew(&self, refused: u64) {
        self.outbox.grew(refused);
        if refused > 0 {
            (self.tell)(Notice::WebhooksFull { messages: refused, most: outbox::MOST });
        }
    }

    async fn open(&mut self) -> Result<(), RegistryError> {
        if let Some(moved) = self.local.open().await? {
            (self.tell)(Notice::CallLogMoved { path: moved.display().to_string() });
        }
        if self.ends_cut_off {
            let calls = self.local.end_cut_off().await?;
            tracing::debug!(calls, "calls of an earlier daemon that was cut off");
            self.ends_cut_off = false;
        }
        Ok(())
    }

    fn failed(&mut self, error: &RegistryError) {
        if !std::mem::replace(&mut self.failing, true) {
            let (path, cause) = (self.path(), Detail::new(error));
            (self.tell)(if error.is_full_disk() {
                Notice::CallLogDiskFull { path, cause }
            } else {
                Notice::CallLogFailing { path, cause }
            });
        }
    }

    /// Counts all waiting rows as lost: the daemon ends and the disk does not accept them. The operator is told the
    /// number of calls, of which each may have two rows.
    fn give_up(&mut self, news: &[Order], error: &RegistryError) {
        self.say_lost();
        let (mut rows, mut calls) = (0, HashSet::new());
        let mut count = |news: &Order| {
            if let Order::Row(row, _) | Order::Running(row) = news {
                rows += 1;
                calls.insert(row.row_id.clone());
            }
        };
        news.iter().for_each(&mut count);
        while let Ok(news) = self.inbox.try_recv() {
            count(&news);
        }
        if rows > 0 {
            self.lost.fetch_add(rows, Ordering::Relaxed);
            let (path, cause) = (self.path(), Detail::new(error));
            (self.tell)(Notice::CallLogUnsaved { path, calls: calls.len(), cause });
        }
    }

    fn say_lost(&mut self) {
        let lost = self.lost.load(Ordering::Relaxed);
        let rows = lost - std::mem::replace(&mut self.said, lost);
        if rows > 0 {
            (self.tell)(Notice::CallLogOverflowed { rows });
        }
    }

    fn path(&self) -> String {
        self.local.path().display().to_string()
    }
}

/// The part of the writer that delivers rows from the file to the server.
struct Delivery<'a> {
    local: &'a Local,
    server: &'a Remote,
    tell: &'a Tell,
    /// Whether the server is away. The operator is told once.
    away: bool,
    refused: bool,
}

impl Delivery<'_> {
    async fn run(&mut self, written: &Notify) {
        let mut backoff = Backoff::default();
        loop {
            if self.round().await {
                backoff.reset();
                // Another process may have written rows without a notification, so the wait ends after a while.
                timeout(LOOK, written.notified()).await.ok();
            } else if self.away {
                // A few daemons that reconnect at the same moment do not burden a database, so the delay needs no
                // jitter.
                tokio::time::sleep(backoff.next(u32::MAX)).await;
            } else {
                written.notified().await;
            }
        }
    }

    /// Delivers everything that waits. Returns whether the delivery succeeded.
    async fn round(&mut self) -> bool {
        let mut rows = 0;
        match self.deliver(&mut rows).await {
            Ok(()) => {
                if std::mem::take(&mut self.away) {
                    (self.tell)(Notice::CallLogServerBack { server: self.server.name(), rows });
                }
                true
            }
            // The file is not open, which the operator has been told already.
            Err(RegistryError::Closed) => false,
            Err(error) => {
                let error = self.server.explained(error).await;
                if !std::mem::replace(&mut self.away, true) {
                    let (server, cause) = (self.server.name(), Detail::new(error));
                    (self.tell)(Notice::CallLogServerAway { server, cause });
                }
                false
            }
        }
    }

    async fn deliver(&mut self, rows: &mut usize) -> Result<(), RegistryError> {
        in_time(self.server.prepare()).await?;
        let erasures = self.local.erasures().await?;
        for erasure in &erasures {
            in_time(self.server.erase(erasure)).await?;
            self.local.erased_there(erasure).await?;
        }
        let mut after = 0;
        loop {
            let due = self.local.due(after, BATCH).await?;
            let Some(last) = due.last() else { break };
            after = last.place;
            let (done, refused) = in_time(self.server.put(&due)).await?;
            self.local.delivered(&done).await?;
            *rows += done.len();
            if let Some(error) = refused
                && !std::mem::replace(&mut self.refused, true)
            {
                let (rows, cause) = (due.len() - done.len(), Detail::new(error));
                (self.tell)(Notice::CallLogRowsRefused { server: self.server.name(), rows, cause });
            }
        }
        if *rows > 0 || !erasures.is_empty() {
            // Delivered rows must leave the write-ahead log as well. If a reader prevents it, the next row tries
            // again.
            self.local.settle().await?;
        }
        Ok(())
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, RegistryError>>) -> Result<T, RegistryError> {
    timeout(ANSWER, work).await.map_err(|_| RegistryError::Late)?
}
