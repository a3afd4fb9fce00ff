//! Reads the call log: lists, single calls and sums. With a server, only the server is asked, because the rows that
//! wait in the file are a fragment that nobody should mistake for the whole log. Without a server, the file is asked.

use std::sync::Arc;

use sqlx::mysql::{MySqlPool, MySqlRow};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, FromRow};

use super::local::{AT_ONCE, Local};
use super::row::{self, COLUMNS, Row, Value};
use super::server::{ANSWER, Remote};
use super::stats::{self, Sums};
use super::{Column, RegistryError, Whose, stats::Asked};
use crate::number::Sought;
use crate::paging::{self, Cursor, CursorForm, Page};
use crate::units::MicroUsd;

/// The number of values in one query. SQLite permits 32 766. A smaller value only causes more queries.
const AT_A_TIME: usize = 500;

/// Reads the call log. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Reader {
    local: Local,
    server: Option<Remote>,
}

/// The database that is asked.
enum Pool {
    File(SqlitePool),
    Server(MySqlPool),
}

/// The calls that a list selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Only calls offered at this time or later, in UTC microseconds.
    pub from_us: i64,
    /// Only calls offered at this time or earlier, in UTC microseconds.
    pub to_us: i64,
    /// Only calls of this caller.
    pub caller: Option<Sought>,
    /// Only the stays of the call with this id.
    pub call_id: Option<String>,
    /// Only calls that ended for this reason, given as its code.
    pub end_reason: Option<String>,
    /// Only calls that this agent served.
    pub agent: Option<String>,
    /// Only calls that follow this position in the list.
    pub after: Option<Cursor>,
    /// The maximum number of calls.
    pub limit: u32,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            from_us: i64::MIN,
            to_us: i64::MAX,
            caller: None,
            call_id: None,
            end_reason: None,
            agent: None,
            after: None,
            limit: 50,
        }
    }
}

/// The form of a cursor of the call log.
pub const CURSOR: CursorForm =
    CursorForm { time_digits: 18, id_bytes: 255, is_id_byte: u8::is_ascii_graphic };

impl Reader {
    pub(super) const fn new(local: Local, server: Option<Remote>) -> Self {
        Self { local, server }
    }

    /// Returns the calls that `filter` selects, newest first.
    ///
    /// # Errors
    /// The database is not available, or fails.
    pub async fn page(&self, filter: &Filter) -> Result<Page<Row>, RegistryError> {
        let mut sql = format!(
            "SELECT {} FROM calls WHERE offered_us >= ? AND offered_us <= ? AND (offered_us < ? OR row_id < ?)",
            COLUMNS.join(", ")
        );
        let after = Cursor::begin(filter.after.as_ref());
        let mut values: Vec<Value> = vec![
            filter.from_us.into(),
            filter.to_us.min(after.0).into(),
            after.0.into(),
            after.1.to_owned().into(),
        ];
        let (caller_column, callers): (_, &[String]) = match &filter.caller {
            None => ("caller_key", &[]),
            Some(Sought::Keys(keys)) => ("caller_key", keys),
            Some(Sought::Tail(tail)) => ("caller_tail", std::slice::from_ref(tail)),
        };
        let wanted = [
            (caller_column, callers),
            ("call_id", filter.call_id.as_slice()),
            ("end_reason", filter.end_reason.as_slice()),
            ("agent", filter.agent.as_slice()),
        ];
        for (column, any_of) in wanted.into_iter().filter(|(_, any_of)| !any_of.is_empty()) {
            sql.extend([" AND ", column, " IN (", &vec!["?"; any_of.len()].join(", "), ")"]);
            values.extend(any_of.iter().map(|value| value.clone().into()));
        }
        sql.push_str(" ORDER BY offered_us DESC, row_id DESC LIMIT ?");
        values.push(paging::rows_of(filter.limit).into());
        let mut entries = self.fetch(sql, values).await?;
        let cursor = |row: &Row| Cursor { time: row.offered_us, id: row.row_id.clone() };
        let next = paging::cut(&mut entries, filter.limit).map(cursor);
        Ok(Page { entries, next })
    }

    /// Finds the row with this key, or the newest row with this call id.
    ///
    /// # Errors
    /// The database is not available, or fails.
    pub async fn find(&self, id: &str) -> Result<Option<Row>, RegistryError> {
        for column in ["row_id", "call_id"] {
            let columns = COLUMNS.join(", ");
            let sql = format!(
                "SELECT {columns} FROM calls WHERE {column} = ? ORDER BY offered_us DESC, row_id DESC LIMIT 1"
            );
            let found = self.fetch(sql, vec![id.to_owned().into()]).await?.pop();
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Returns the known cost, in millionths of a US dollar, of the calls on `host` that were offered before
    /// `before_us` and ended at `from_us` or later: the sum for each agent. Of a call that a crash cut off nobody knows when it
    /// ended, so that it counts from the time at which it was offered.
    ///
    /// # Errors
    /// The database is not available, or fails.
    pub async fn spent(
        &self,
        host: &str,
        from_us: i64,
        before_us: i64,
    ) -> Result<Vec<(Arc<str>, MicroUsd)>, RegistryError> {
        // No call lasts longer than a day, so calls that were offered earlier need not be examined.
        let earliest = from_us.saturating_sub(stats::DAY_US);
        let sql = "SELECT agent, CAST(SUM(cost_micro_usd) AS SIGNED) FROM calls \
             WHERE offered_us >= ? AND offered_us < ? \
             AND COALESCE(ended_us, offered_us) >= ? AND host = ? AND cost_micro_usd > 0 \
             GROUP BY agent";
        let values = vec![earliest.into(), before_us.into(), from_us.into(), host.to_owned().into()];
        let sums = self.fetch::<(String, Option<i64>)>(sql.to_owned(), values).await?;
        Ok(sums
            .into_iter()
            .map(|(agent, sum)| (agent.into(), MicroUsd::new(sum.unwrap_or_default().max(0) as u64)))
            .collect())
    }

    /// Returns the rows to erase that are not erased yet, oldest first.
    ///
    /// # Errors
    /// The database is not available, or fails.
    pub async fn of(&self, whose: &[Whose]) -> Result<Vec<Row>, RegistryError> {
        let mut rows = Vec::new();
        for column in Column::ALL {
            let values = whose.iter().flat_map(Whose::sought);
            let values: Vec<Value> =
                values.filter(|(of, _)| *of == column).map(|(_, value)| value.to_owned().into()).collect();
            for values in values.chunks(AT_A_TIME) {
                let sql = format!(
                    "SELECT {} FROM calls WHERE {} IN ({}) AND erased = 0",
                    COLUMNS.join(", "),
                    column.name(),
                    vec!["?"; values.len()].join(", ")
                );
                rows.extend(self.fetch(sql, values.to_vec()).await?);
            }
        }
        rows.sort_by(|one: &Row, other| {
            (one.offered_us, &one.row_id).cmp(&(other.offered_us, &other.row_id))
        });
        rows.dedup_by(|one, other| one.row_id == other.row_id);
        Ok(rows)
    }

    /// Returns the sums of calls, grouped as requested and ordered by group.
    ///
    /// # Errors
    /// The database is not available, or fails.
    pub async fn stats(&self, asked: &Asked) -> Result<Vec<Sums>, RegistryError> {
        let (sql, values) = stats::query(asked);
        self.fetch(sql, values).await
    }

    /// Returns the number of rows that the server has not confirmed. `None` if there is no server or the file does
    /// not answer in time.
    pub async fn undelivered(&self) -> Option<u64> {
        self.server.as_ref()?;
        tokio::time::timeout(AT_ONCE, self.local.count_due()).await.ok()?.ok()
    }

    async fn fetch<T: FromEither>(&self, sql: String, values: Vec<Value>) -> Result<Vec<T>, RegistryError> {
        let pool = match &self.server {
            Some(server) => Pool::Server(server.pool()?),
            None => Pool::File(self.local.pool()?),
        };
        let fetched = tokio::time::timeout(ANSWER, pool.fetch(sql, &values)).await;
        Ok(fetched.map_err(|_| RegistryError::Late)??)
    }
}

/// What the rows of both databases can be read into.
trait FromEither: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, MySqlRow> {}

impl<T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, MySqlRow>> FromEither for T {}

impl Pool {
    async fn fetch<T: FromEither>(&self, sql: String, values: &[Value]) -> sqlx::Result<Vec<T>> {
        // The SQL consists of constants of this program. Everything that a user enters is a bound value.
        let sql = AssertSqlSafe(sql);
        match self {
            Self::File(pool) => {
                let rows = row::bind(sqlx::query(sql), values).fetch_all(pool).await?;
                rows.iter().map(T::from_row).collect()
            }
            Self::Server(pool) => {
                let rows = row::bind(sqlx::query(sql), values).fetch_all(pool).await?;
                rows.iter().map(T::from_row).collect()
            }
        }
    }
}
