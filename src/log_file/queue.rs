//! The bounded queue in front of a thread that writes lines. Nobody waits for the thread: what does not fit is
//! counted as lost.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

/// The sending end of the queue. Clones share the queue and the count of lost items.
#[derive(Debug)]
pub struct Queue<T> {
    items: SyncSender<T>,
    lost: Arc<AtomicU64>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { items: self.items.clone(), lost: Arc::clone(&self.lost) }
    }
}

impl<T> Queue<T> {
    /// Creates a queue for `room` items.
    #[must_use]
    pub fn new(room: usize) -> (Self, Waiting<T>) {
        let (items, waiting) = mpsc::sync_channel(room);
        let lost = Arc::<AtomicU64>::default();
        (Self { items, lost: Arc::clone(&lost) }, Waiting { items: waiting, lost })
    }

    /// Queues an item, or counts it as lost.
    pub fn push(&self, item: T) {
        if !self.offer(item) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Queues an item. Returns false, and counts nothing, if the queue is full or the thread has ended.
    pub fn offer(&self, item: T) -> bool {
        self.items.try_send(item).is_ok()
    }
}

impl<T: Send + 'static> Queue<T> {
    /// Creates a queue for `room` items, and starts a thread with this name that does `work` with them. The work
    /// should end when [`Waiting::next`] returns None.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn start(
        name: &str,
        room: usize,
        work: impl FnOnce(Waiting<T>) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, waiting) = Self::new(room);
        thread::Builder::new().name(name.to_owned()).spawn(move || work(waiting)).map(|_| queue)
    }
}

/// The receiving end of the queue, for the thread.
#[derive(Debug)]
pub struct Waiting<T> {
    items: Receiver<T>,
    lost: Arc<AtomicU64>,
}

impl<T> Waiting<T> {
    /// Waits for the next item. Returns None when the last [`Queue`] has been dropped and no item is left.
    #[must_use]
    pub fn next(&self) -> Option<T> {
        self.items.recv().ok()
    }

    /// Waits at most this long for the next item.
    ///
    /// # Errors
    /// The time has passed, or the last [`Queue`] has been dropped and no item is left.
    pub fn next_within(&self, limit: Duration) -> Result<T, RecvTimeoutError> {
        self.items.recv_timeout(limit)
    }

    /// The number of items that were lost since this was asked last.
    #[must_use]
    pub fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_once() {
        let (queue, waiting) = Queue::new(2);
        (0..5).for_each(|item| queue.push(item));
        assert!(!queue.offer(5));
        drop(queue);
        assert_eq!((waiting.take_lost(), waiting.take_lost()), (3, 0));
        assert_eq!([waiting.next(), waiting.next(), waiting.next()], [Some(0), Some(1), None]);
    }
}
