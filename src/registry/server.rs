//! The server, MySQL or MariaDB: its address, and everything that is written there. Every write can be repeated
//! without harm.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor, MySql};

use super::local::{Due, Erasure};
use super::row::{self, COLUMNS, PERSONAL};
use super::{Column, RegistryError};
use crate::sqlite::{self, Migrations};

const MIGRATIONS: Migrations = &[
    (1, "calls", include_str!("0001_calls.mysql.sql")),
    (2, "a row for each stay", include_str!("0002_stays.mysql.sql")),
    (3, "the version of the agent", include_str!("0003_agent_version.mysql.sql")),
    (4, "the tools of a call", include_str!("0004_tools.mysql.sql")),
];
/// A view for people, which shows times as such and costs in dollars. Every start creates the view anew, because it
/// depends on the columns of the table.
const VIEW: &str = include_str!("calls_readable.mysql.sql");
/// The number of connections: one for the writer, the others for readers. A larger value takes more of the server's
/// connections; a smaller one makes readers wait for each other.
const CONNECTIONS: u32 = 4;
/// How long a connection attempt may take. A longer time delays the news that the server is away; a shorter one fails
/// on slow networks.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take, so that a server that hangs does not block its client for ever. The slowest query,
/// the sums of a million calls by agent, took 7 s in a file and 19 s on a MariaDB 10.11 with its default settings, on
/// two cores. A shorter time would fail such queries.
pub(super) const ANSWER: Duration = Duration::from_secs(40);
/// The parameters that the query part of an address may have. sqlx ignores unknown parameters, so without this list
/// nobody would notice a misspelt `ssl-mode`.
const PARAMETERS: [&str; 4] = ["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key"];

/// The address of a server: `mysql://USER:PASSWORD@HOST[:PORT]/DATABASE`, or `mariadb://…`. Its `Display` and `Debug`
/// omit the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Server(String);

/// The text is not the address of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not mysql://USER:PASSWORD@HOST:PORT/DATABASE")]
pub struct ServerError;

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        let (scheme, rest) = text.split_once("://").ok_or(ServerError)?;
        if !["mysql", "mariadb"].contains(&scheme) || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ServerError);
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let known = |pair: &str| {
            pair.split_once('=').is_some_and(|(name, value)| PARAMETERS.contains(&name) && !value.is_empty())
        };
        let (authority, database) = place.split_once('/').ok_or(ServerError)?;
        let (user, host) = authority.rsplit_once('@').ok_or(ServerError)?;
        let is_whole =
            !user.is_empty() && !user.starts_with(':') && !host.is_empty() && !host.starts_with(':');
        let names_one = !database.is_empty() && !database.contains('/');
        // An unescaped `/` or `?` in a password ends the address early. They must be written as %2F and %3F.
        if !is_whole || !names_one || !(query.is_empty() || query.split('&').all(known)) {
            return Err(ServerError);
        }
        let server = Self(text.to_owned());
        server.options().map(|_| server).map_err(|_| ServerError)
    }
}

impl Server {
    /// The password of the address, as written there. `None` if there is none.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        let (authority, _) = self.0.split_once("://")?.1.split_once('/')?;
        let (user, _) = authority.rsplit_once('@')?;
        user.split_once(':').map(|(_, password)| password)
    }

    /// Whether the address demands TLS. Without this, TLS is used only if the server offers it.
    #[must_use]
    pub fn demands_tls(&self) -> bool {
        let query = self.0.split_once('?').map_or("", |(_, query)| query);
        let mode = query.split('&').find_map(|pair| pair.strip_prefix("ssl-mode="));
        let strict = ["required", "verify_ca", "verify_identity"];
        mode.is_some_and(|mode| strict.contains(&mode.to_ascii_lowercase().as_str()))
    }

    fn options(&self) -> Result<MySqlConnectOptions, sqlx::Error> {
        self.0.parse()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.0.split_once('?').map_or(&*self.0, |(address, _)| address);
        f.write_str(address.rsplit_once('@').map_or("", |(_, place)| place))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

/// The server. A connection is made when it is first needed. Clones are cheap.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    name: Arc<str>,
    options: Arc<MySqlConnectOptions>,
    pool: MySqlPool,
    /// Whether the tables have the expected structure.
    ready: Arc<AtomicBool>,
}

impl Remote {
    /// Describes the server without connecting to it.
    pub(super) fn new(server: &Server) -> Self {
        // An invalid address was rejected when the configuration was read. sqlx would log slow statements with all of
        // their SQL, which is why that is disabled.
        let options = server.options().unwrap_or_default().disable_statement_logging();
        let pool = MySqlPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT)
            .acquire_slow_threshold(Duration::MAX)
            .connect_lazy_with(options.clone());
        Self { name: server.to_string().into(), options: Arc::new(options), pool, ready: Arc::default() }
    }

    /// The name of the server for log lines: `host:port/database`.
    pub(super) fn name(&self) -> String {
        self.name.to_string()
    }

    /// The pool of connections, once the tables have been prepared.
    pub(super) fn pool(&self) -> Result<MySqlPool, RegistryError> {
        if self.ready.load(Ordering::Relaxed) { Ok(self.pool.clone()) } else { Err(RegistryError::Closed) }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// Connects once without the pool. The pool retries until its time is up and then does not report the cause.
    async fn reach(&self) -> Result<(), RegistryError> {
        let connecting = tokio::time::timeout(CONNECT, self.options.connect());
        let connection = connecting.await.map_err(|_| RegistryError::Late)??;
        connection.close().await?;
        Ok(())
    }

    /// Replaces the pool's timeout by its cause, if the cause can be found.
    pub(super) async fn explained(&self, error: RegistryError) -> RegistryError {
        if matches!(error, RegistryError::Database(sqlx::Error::PoolTimedOut)) {
            return self.reach().await.err().unwrap_or(error);
        }
        error
    }

    /// Creates or updates the tables, once.
    pub(super) async fn prepare(&self) -> Result<(), RegistryError> {
        if self.ready.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.reach().await?;
        let migrator = sqlite::migrator(MIGRATIONS);
        let done = match migrator.run(&self.pool).await {
            // An earlier run was interrupted during a migration. MySQL cannot roll back changes of tables, so each
            // migration is written to be repeatable.
            Err(MigrateError::Dirty(_)) => {
                let forget = "DELETE FROM _sqlx_migrations WHERE success = FALSE";
                sqlx::query(forget).execute(&self.pool).await?;
                migrator.run(&self.pool).await
            }
            done => done,
        };
        done.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
            other => sqlx::Error::Migrate(Box::new(other)),
        })?;
        if let Err(error) = sqlx::query(VIEW).execute(&self.pool).await {
            // The user may create tables but no views. The program itself does not need the view.
            tracing::debug!(%error, "there is no view calls_readable");
        }
        self.ready.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Inserts or updates these rows and returns those that the server accepted. A row that the server rejects does
    /// not hold up the others; the error is that of the first rejected row.
    ///
    /// # Errors
    /// The server accepts none of the rows.
    pub(super) async fn put<'a>(
        &self,
        rows: &'a [Due],
    ) -> Result<(Vec<&'a Due>, Option<sqlx::Error>), RegistryError> {
        match self.put_all(rows).await {
            Ok(()) => return Ok((rows.iter().collect(), None)),
            Err(sqlx::Error::Database(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let (mut done, mut refused) = (Vec::new(), None);
        for due in rows {
            match put(&self.pool, due).await {
                Ok(()) => done.push(due),
                Err(error @ sqlx::Error::Database(_)) => refused = refused.or(Some(error)),
                Err(error) => return Err(error.into()),
            }
        }
        match refused {
            // If the server rejects every row, the cause is not a single row.
            Some(error) if done.is_empty() && rows.len() > 1 => Err(error.into()),
            refused => Ok((done, refused)),
        }
    }

    /// Writes all rows in one transaction, which waits for the server's disk only once.
    async fn put_all(&self, rows: &[Due]) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        for due in rows {
            put(&mut *transaction, due).await?;
        }
        transaction.commit().await
    }

    /// Erases phone numbers on the server.
    pub(super) async fn erase(&self, erasure: &Erasure) -> Result<(), RegistryError> {
        let sql = AssertSqlSafe(erase(erasure.column));
        sqlx::query(sql).bind(&erasure.value).execute(&self.pool).await?;
        Ok(())
    }
}

async fn put<'c>(executor: impl Executor<'c, Database = MySql>, due: &Due) -> sqlx::Result<()> {
    let query = sqlx::query(AssertSqlSafe(upsert()));
    row::bind(query, &due.row.values()).execute(executor).await.map(drop)
}

/// The SQL that inserts a row or updates it. Erased values stay erased. MySQL assigns from left to right, so `erased`
/// comes first. (MySQL 8 and MariaDB both support `VALUES()`.)
fn upsert() -> String {
    let others = COLUMNS[1..].iter().filter(|column| **column != "erased").map(|column| {
        if PERSONAL.contains(column) {
            format!("{column} = CASE WHEN erased = 1 THEN '' ELSE VALUES({column}) END")
        } else {
            format!("{column} = VALUES({column})")
        }
    });
    format!(
        "{} ON DUPLICATE KEY UPDATE erased = GREATEST(erased, VALUES(erased)), {}",
        row::insert(None),
        others.collect::<Vec<_>>().join(", ")
    )
}

/// The SQL that erases the numbers in all rows in which the column holds the bound value.
fn erase(column: Column) -> String {
    let column = column.name();
    format!(
        "UPDATE calls SET caller = '', caller_key = '', called = '', tools = '', erased = 1 WHERE {column} = ?"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_user_host_and_database_and_hides_the_password() {
        for (text, shown) in [
            ("mysql://calls:hunter2@db/phone", "db/phone"),
            ("mysql://calls:hunter2@db:3307/phone?ssl-mode=REQUIRED", "db:3307/phone"),
            ("mariadb://calls:p%40ss%2Fword@10.0.0.1:3306/phone", "10.0.0.1:3306/phone"),
            ("mysql://calls@[::1]:3306/phone", "[::1]:3306/phone"),
        ] {
            let server: Server = text.parse().unwrap();
            assert_eq!(server.to_string(), shown);
            assert_eq!(format!("{server:?}"), format!("Server({shown})"));
            assert_eq!(server.options().unwrap().get_username(), "calls");
        }
        let odd: Server = "mysql://u:p@ss@h/d".parse().unwrap();
        assert_eq!(odd.to_string(), "h/d");
        let odd: Server = "mysql://u:p%40ss%2Fword@h/d".parse().unwrap();
        assert_eq!(odd.options().unwrap().get_database(), Some("d"));
    }

    #[test]
    fn what_is_no_such_address_is_refused() {
        for text in [
            "postgres://u:p@h/d",
            "mysql://h/d",
            "mysql://u:p@h",
            "mysql://u:p@h/",
            "mysql://u:p@/d",
            "mysql://:p@h/d",
            "mysql://u:p@:3306/d",
            "mysql://u:p@h:none/d",
            "mysql://u:p@h/d/e",
            "mysql://u:p/q@h/d",
            "mysql://u:p q@h/d",
            "mysql://u:p@h/d?sslmode=REQUIRED",
            "mysql://u:p@h/d?ssl-mode=PLEASE",
            "mysql:u:p@h/d",
        ] {
            assert_eq!(text.parse::<Server>(), Err(ServerError), "{text}");
        }
    }
}
