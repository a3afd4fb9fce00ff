//! What the writer of the call log is asked for. The rows of running calls, of which newer ones follow soon, are collected for a second
//! and written together.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::message::Message;
use super::{Row, Whose};
use crate::clock::now;

/// The number of rows in one transaction. A larger value keeps readers out for longer; a smaller one makes writing
/// slower.
pub(super) const BATCH: usize = 256;
/// How long the rows of running calls are collected before they are written. Longer: a crash loses what more answers have cost. Shorter:
/// many calls that are answered at different moments make the disk wait for each of them.
const COLLECT: Duration = Duration::from_secs(1);

/// What the writer is asked for.
pub(super) enum Order {
    /// A row, and the messages about its call.
    Row(Box<Row>, Vec<Message>),
    /// A row of which a newer version follows soon.
    Running(Box<Row>),
    /// What was decided about this call has been carried out.
    Decided(String),
    /// Whose numbers are to be erased, and whom to tell that they are.
    Erase(Whose, oneshot::Sender<()>),
}

/// The newest rows of running calls, until they are written together.
#[derive(Default)]
pub(super) struct Collected {
    /// By the key of the row.
    rows: HashMap<String, Box<Row>>,
    /// When the first of them came; None: there are none.
    since: Option<Instant>,
}

impl Collected {
    /// When they are to be written. None: there are none.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + COLLECT)
    }

    /// Takes the news, if all of them are rows of running calls and there is room. Returns false if the news must be written now.
    pub(super) fn take_from(&mut self, news: &mut Vec<Order>) -> bool {
        let is_running = |news: &Order| matches!(news, Order::Running(_));
        if self.rows.len() + news.len() > BATCH || !news.iter().all(is_running) {
            return false;
        }
        for news in news.drain(..) {
            if let Order::Running(row) = news {
                self.rows.insert(row.row_id.clone(), row);
            }
        }
        self.since.get_or_insert_with(|| Instant::from_std(now()));
        true
    }

    /// Puts the rows before the news, which came after them.
    pub(super) fn put_before(&mut self, news: &mut Vec<Order>) {
        self.since = None;
        news.splice(..0, self.rows.drain().map(|(_, row)| Order::Running(row)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, turns: u64) -> Box<Row> {
        Box::new(Row { row_id: id.into(), turns, ..Row::default() })
    }

    fn written(news: &[Order]) -> Vec<(String, u64)> {
        let of_row = |news: &Order| match news {
            Order::Row(row, _) | Order::Running(row) => Some((row.row_id.clone(), row.turns)),
            Order::Decided(_) | Order::Erase(..) => None,
        };
        news.iter().filter_map(of_row).collect()
    }

    #[test]
    fn the_newest_row_of_each_running_call_is_written_before_what_comes_behind_it() {
        let mut collected = Collected::default();
        let mut news = vec![Order::Running(row("a", 1)), Order::Running(row("a", 2))];
        assert!(collected.take_from(&mut news) && news.is_empty() && collected.due().is_some());
        let mut news = vec![Order::Running(row("a", 3)), Order::Row(row("a", 4), Vec::new())];
        assert!(!collected.take_from(&mut news), "the call is over");
        collected.put_before(&mut news);
        assert_eq!(written(&news), [("a".into(), 2), ("a".into(), 3), ("a".into(), 4)]);
        assert!(collected.due().is_none());
    }

    #[test]
    fn no_more_rows_are_collected_than_one_transaction_has() {
        let mut collected = Collected::default();
        for n in 0..BATCH {
            assert!(collected.take_from(&mut vec![Order::Running(row(&n.to_string(), 0))]));
        }
        let mut news = vec![Order::Running(row("one more", 0))];
        assert!(!collected.take_from(&mut news));
        collected.put_before(&mut news);
        assert_eq!(news.len(), BATCH + 1);
    }
}
