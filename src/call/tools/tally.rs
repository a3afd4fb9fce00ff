//! What became of each call of a tool: for the metrics while the phone call goes on, and for the call log at its end.

use std::sync::Arc;
use std::time::Duration;

use crate::call::record::ToolEntry;

/// The word for a call that was not carried out again because it was done already.
pub(super) const REPEATED: &str = "repeated";

/// What became of one call of a tool. It holds no words of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The name of the tool.
    pub tool: Arc<str>,
    /// A code of [`Outcome`](crate::tool::Outcome), or `repeated`.
    pub outcome: &'static str,
    /// How long it took. None: it was not carried out.
    pub took: Option<Duration>,
}

/// What became of all calls of tools. The number of function calls that are carried out bounds it.
#[derive(Debug, Default)]
pub(in crate::call) struct Tally {
    uses: Arc<Vec<Use>>,
    entries: Vec<ToolEntry>,
}

impl Tally {
    /// Counts a call of a tool.
    pub(super) fn count(&mut self, tool: &Arc<str>, outcome: &'static str, took: Option<Duration>) {
        Arc::make_mut(&mut self.uses).push(Use { tool: Arc::clone(tool), outcome, took });
    }

    /// Keeps a call of a tool that was carried out.
    pub(super) fn keep(&mut self, entry: ToolEntry) {
        self.entries.push(entry);
    }

    /// All calls of tools so far. If the pointer is the same as before, there was none since.
    pub(in crate::call) fn uses(&self) -> Arc<Vec<Use>> {
        Arc::clone(&self.uses)
    }

    /// The calls that were carried out.
    pub(in crate::call) fn entries(&self) -> &[ToolEntry] {
        &self.entries
    }
}
