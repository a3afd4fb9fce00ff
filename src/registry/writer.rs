//! The way in, and the task behind it: into the file first, then to the server.
//!
//! ```text
//!  Log::offer ──► queue ──► write: the file, durable ──► deliver: the server, in the order of change
//!    full: counted,          fails: said once, tried        away: said once, tried again ever
//!    and said                again; the queue holds         more rarely; the file holds
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Notify, oneshot};

use super::local::{Change, Local};
use super::server::{ANSWER, Remote};
use super::{Opener, RegistryError, Row, Whose};
use crate::net::backoff::Backoff;
use crate::operator::{Detail, Notice};

/// Rows that may wait for the disk. A call makes two: this is a disk that hangs for as long as 512 calls take.
const QUEUE: usize = 1_024;
/// Rows in one transaction: enough to be fast, few enough to let a reader in between.
const BATCH: usize = 256;
/// How long a disk that failed is left alone.
const DISK_AGAIN: Duration = Duration::from_secs(1);
/// How long no row comes until what was written is brought into the file itself, which alone people copy. Shorter would
/// wait for the disk twice for a row; longer leaves a copy without the last calls.
const IDLE: Duration = Duration::from_secs(2);
/// How often it is looked for what another process – `recordings purge` – has left in the file.
const LOOK: Duration = Duration::from_secs(30);
/// How long whoever erases waits for the disk. The erasure is done all the same when the disk is there again.
const ERASE: Duration = Duration::from_secs(10);
/// What the end leaves for the last rows to reach the server; the next start delivers the rest.
const LAST: Duration = Duration::from_secs(2);

enum News {
    Row(Box<Row>),
    Erase(Whose, oneshot::Sender<()>),
}

/// How the way into the file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Rows that wait for the disk, but those it is being given.
    pub waiting: usize,
    /// Rows that found no room, or no disk at the end, since the start.
    pub lost: u64,
}

/// Takes rows; never waits for a row. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Log {
    queue: Sender<News>,
    lost: Arc<AtomicU64>,
}

impl Log {
    /// A call has arrived, or what is new of it; its id says which. What does not fit into the queue is counted, and
    /// the operator hears of it.
    pub fn offer(&self, row: Row) {
        if self.queue.try_send(News::Row(Box::new(row))).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How the way into the file stands.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let waiting = self.queue.max_capacity() - self.queue.capacity();
        Backlog { waiting, lost: self.lost.load(Ordering::Relaxed) }
    }

    /// Forgets who called whom, durably: the server hears of it when it can. A call that is running is forgotten too.
    ///
    /// # Errors
    /// The file cannot be written now; the erasure waits like a row.
    pub async fn erase(&self, whose: Whose) -> Result<(), RegistryError> {
        let (reply, done) = oneshot::channel();
        let erase = async {
            self.queue.send(News::Erase(whose, reply)).await.map_err(|_| RegistryError::Closed)?;
            done.await.map_err(|_| RegistryError::Closed)
        };
        tokio::time::timeout(ERASE, erase).await.map_err(|_| RegistryError::Late)?
    }
}

/// Where the lines for the operator go.
pub type Tell = Box<dyn Fn(Notice) + Send + Sync>;

/// The one writer of a call log.
pub struct Writer {
    local: Local,
    server: Option<Remote>,
    opener: Opener,
    inbox: Receiver<News>,
    lost: Arc<AtomicU64>,
    tell: Tell,
}

impl Writer {
    pub(super) fn new(local: Local, server: Option<Remote>, opener: Opener, tell: Tell) -> (Log, Self) {
        let (queue, inbox) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let log = Log { queue, lost: Arc::clone(&lost) };
        (log, Self { local, server, opener, inbox, lost, tell })
    }

    /// Writes and delivers until the last [`Log`] is dropped and what it offered is in the file.
    pub async fn run(self) {
        let Self { local, server, opener, inbox, lost, tell } = self;
        let ends_cut_off = opener == Opener::Daemon;
        let written = Notify::new();
        let mut disk = Disk {
            local: &local,
            inbox,
            lost: &lost,
            said: 0,
            tell: &tell,
            failing: false,
            settled: false,
            ends_cut_off,
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
        let _in_time_or_at_the_next_start = tokio::time::timeout(LAST, async {
            let _delivered_or_not = delivery.round().await;
            server.close().await;
        })
        .await;
        local.close().await;
    }
}

/// Queue to file.
struct Disk<'a> {
    local: &'a Local,
    inbox: Receiver<News>,
    lost: &'a AtomicU64,
    /// Of those, how many the operator has been told of.
    said: u64,
    tell: &'a Tell,
    /// The same trouble is said once.
    failing: bool,
    /// What was written is in the file itself.
    settled: bool,
    /// The file has not been opened yet by us who take the calls: what runs in it ran before us.
    ends_cut_off: bool,
}

impl Disk<'_> {
    async fn run(&mut self, written: &Notify) {
        let mut news = Vec::with_capacity(BATCH);
        loop {
            if let Err(error) = self.write(&mut news).await {
                self.failed(&error);
                if self.inbox.is_closed() {
                    return self.give_up(&news);
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

    /// Waits for news, and settles the file when none comes for a while. Returns how many came; 0: none will any more.
    async fn next(&mut self, news: &mut Vec<News>) -> usize {
        while !self.settled {
            match tokio::time::timeout(IDLE, self.inbox.recv_many(news, BATCH)).await {
                Ok(came) => return came,
                Err(_) => self.settle().await,
            }
        }
        self.inbox.recv_many(news, BATCH).await
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

    /// Opens the file unless it stands, and writes the news in their order.
    async fn write(&mut self, news: &mut Vec<News>) -> Result<(), RegistryError> {
        if !self.local.stands() {
            self.open().await?;
        }
        let changes: Vec<_> = news
            .iter()
            .map(|news| match news {
                News::Row(row) => Change::Put(row),
                News::Erase(whose, _) => Change::Erase(whose),
            })
            .collect();
        if let Err(error) = self.local.write(&changes).await {
            // The next try finds out what is wrong with the file.
            self.local.close().await;
            return Err(error);
        }
        self.settled = false;
        if news.iter().any(|news| matches!(news, News::Erase(..))) {
            self.settle().await;
        }
        for news in news.drain(..) {
            if let News::Erase(_, reply) = news {
                let _waits_or_not = reply.send(());
            }
        }
        if std::mem::take(&mut self.failing) {
            (self.tell)(Notice::CallLogResumed { path: self.path() });
        }
        Ok(())
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
            (self.tell)(Notice::CallLogFailing { path: self.path(), cause: Detail::new(error) });
        }
    }

    /// The end, and a disk that does not take them.
    fn give_up(&mut self, news: &[News]) {
        let mut rows = news.iter().filter(|news| matches!(news, News::Row(_))).count() as u64;
        while let Ok(news) = self.inbox.try_recv() {
            rows += u64::from(matches!(news, News::Row(_)));
        }
        self.lost.fetch_add(rows, Ordering::Relaxed);
        self.say_lost();
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

/// File to server.
struct Delivery<'a> {
    local: &'a Local,
    server: &'a Remote,
    tell: &'a Tell,
    /// The same trouble is said once.
    away: bool,
    refused: bool,
}

impl Delivery<'_> {
    async fn run(&mut self, written: &Notify) {
        let mut backoff = Backoff::default();
        loop {
            if self.round().await {
                backoff.reset();
                // Nobody may have told of it: then it is looked for.
                let _told_or_not = tokio::time::timeout(LOOK, written.notified()).await;
            } else if self.away {
                // A few daemons that come back in step are nothing to a database.
                tokio::time::sleep(backoff.next(u32::MAX)).await;
            } else {
                written.notified().await;
            }
        }
    }

    /// Delivers all there is; says whether it went well.
    async fn round(&mut self) -> bool {
        let mut rows = 0;
        match self.deliver(&mut rows).await {
            Ok(()) => {
                if std::mem::take(&mut self.away) {
                    (self.tell)(Notice::CallLogServerBack { server: self.server.name(), rows });
                }
                true
            }
            // The file is not open (yet), which the disk's part has said.
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
            // What has left the file leaves the log beside it. Who reads just now is gone by the next row.
            self.local.settle().await?;
        }
        Ok(())
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, RegistryError>>) -> Result<T, RegistryError> {
    tokio::time::timeout(ANSWER, work).await.map_err(|_| RegistryError::Late)?
}
