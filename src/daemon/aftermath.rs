//! Calls in their aftermath, as the daemon has them: a task each, which hangs up at OpenAI or fetches the sound from Asterisk, while the
//! caller may be in another call. See `call::closing`.

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError};

use super::Daemon;
use super::call_task::{self, Left, Rest};
use super::calls::Live;
use crate::ari::ChannelId;
use crate::call::Report;
use crate::exchange::{Input, Order};
use crate::operator::Detail;
use crate::registry::Row;

/// A call in its aftermath.
pub(super) struct Aftermath {
    number: u64,
    caller: ChannelId,
    /// Its row in the call log.
    row: Box<Row>,
    orders: mpsc::Sender<Order>,
}

impl Daemon {
    /// The call of this caller goes on in its aftermath.
    pub(super) fn let_go(&mut self, caller: ChannelId, live: Live, report: &Report, rest: Box<Rest>) {
        self.numbers += 1;
        let number = self.numbers;
        let abort = self.calls.spawn(call_task::tidy_up(rest));
        let aftermath = Aftermath { number, caller: caller.clone(), row: live.row, orders: live.orders };
        self.aftermaths.insert(abort.id(), aftermath);
        self.feed(Input::LetGo(caller, number, report));
    }

    /// An aftermath is over: in order, or by a panic.
    pub(super) fn aftermath_ended(&mut self, aftermath: Aftermath, ended: Result<(Id, Left), JoinError>) {
        let Aftermath { number, caller, row, .. } = aftermath;
        match ended {
            Ok((_, Left::Over(report, writing))) => {
                self.log_end(row, Some(&report));
                self.write_on(writing);
                tracing::debug!(call = caller.as_str(), ?report.reason, "aftermath over");
                self.feed(Input::Over(number));
            }
            // A call has one aftermath.
            Ok((_, Left::Aftermath(..))) => self.feed(Input::Over(number)),
            Err(error) => {
                self.log_end(row, None);
                self.feed(Input::AftermathPanicked(number, Detail::new(&error)));
            }
        }
    }

    /// The daemon stops: the aftermath with this number is cut short.
    pub(super) fn hurry(&self, number: u64) {
        let aftermath = self.aftermaths.values().find(|aftermath| aftermath.number == number);
        if let Some(aftermath) = aftermath {
            // It is told nothing else, so that there is room.
            drop(aftermath.orders.try_send(Order::Shutdown));
        }
    }
}
