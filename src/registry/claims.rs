//! What the webhook of OpenAI has offered, so that a webhook that comes again is known: OpenAI repeats one for up to 72 hours, and this
//! daemon may have been started anew meanwhile. The ids are in the SQLite file. They say nothing about any person.
//!
//! ```text
//!   claim ──► held by this start ──what was decided has been carried out──► decided
//!                  │ killed              (the row of the call, or Log::decided)
//!                  ▼
//!             held by an earlier start ──the webhook comes again, or take_over──► held by this start
//! ```

use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::RegistryError;
use super::local::Local;
use crate::clock::chance;

/// How long ids are kept: as long as OpenAI repeats a webhook. A shorter time would let an old webhook be taken for a new one; a longer
/// one keeps ids that do not come again.
pub const KEPT: Duration = Duration::from_hours(72);
/// Most ids that are kept, two for each call: then the oldest are deleted. They come from the holder of the webhook's secret, so that
/// this bound is for a faulty sender. A larger value lets it take more of the disk (about 100 bytes each); with a smaller one, webhooks
/// of busy days could be taken twice.
pub const MOST: u32 = 200_000;
/// How often it is looked whether the file is open, which it is some moments after the start.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a claim may take. OpenAI's caller rings meanwhile; with a shorter time a slow disk would forget.
const LIMIT: Duration = Duration::from_secs(2);

/// How long a call may ring at OpenAI, at most: as long as a call lasts there. Nothing is asked about older ones.
const RINGS: Duration = Duration::from_hours(1);
/// The calls that are taken over at a start, at most. An earlier start held few when it was cut off.
const MOST_TAKEN_OVER: u32 = 500;
/// The pause before the file is asked again which calls an earlier start holds, if it could not answer.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Whether an offer is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is, or was cut off before it was decided; it is held now until [`Log::decided`](super::Log::decided).
    New,
    /// The webhook, or one about this call, has come before, and was decided or is being decided.
    Repeated,
    /// The file does not tell, or not in time.
    Unknown,
}

/// The claims in the file of a call log. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Claims {
    local: Local,
    /// The number of this start, which no other has.
    holder: i64,
    /// How long a claim may take.
    patience: Duration,
}

impl Claims {
    pub(super) fn new(local: Local) -> Self {
        Self { local, holder: chance() as i64, patience: LIMIT }
    }

    /// The same claims, which may take this long instead of two seconds: for callers of this function who keep nobody waiting on the line.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Claims a webhook and the call that it offers, at this time in UTC microseconds. From [`Claim::New`] on, no crash forgets it.
    /// Takes no longer than two seconds.
    pub async fn claim(&self, webhook: &str, call: &str, now_us: i64) -> Claim {
        let claim = async {
            loop {
                match self.try_claim(webhook, call, now_us).await {
                    Err(RegistryError::Closed) => tokio::time::sleep(LOOK_EVERY).await,
                    claimed => return claimed,
                }
            }
        };
        match tokio::time::timeout(self.patience, claim).await.unwrap_or(Err(RegistryError::Late)) {
            Ok(true) => Claim::New,
            Ok(false) => Claim::Repeated,
            Err(error) => {
                tracing::debug!(%error, "a webhook cannot be claimed");
                Claim::Unknown
            }
        }
    }

    /// Takes over the calls that an earlier start held when it was cut off, at this time in UTC microseconds, and returns their ids, the
    /// newest first. Waits until the file answers.
    pub async fn take_over(&self, now_us: i64) -> Vec<String> {
        loop {
            let pause = match self.try_take_over(now_us).await {
                Ok(calls) => return calls,
                Err(RegistryError::Closed) => LOOK_EVERY,
                Err(error) => {
                    tracing::debug!(%error, "it is not known yet which calls are undecided");
                    ASK_AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_take_over(&self, now_us: i64) -> Result<Vec<String>, RegistryError> {
        let sql = "UPDATE claims SET holder = ? WHERE kind = 'call' AND id IN \
                   (SELECT id FROM claims WHERE kind = 'call' AND holder IS NOT NULL AND holder <> ? AND claimed_us >= ? \
                    ORDER BY claimed_us DESC LIMIT ?) RETURNING id";
        let oldest = now_us.saturating_sub(RINGS.as_micros() as i64);
        let held = sqlx::query_scalar(sql).bind(self.holder).bind(self.holder).bind(oldest);
        Ok(held.bind(MOST_TAKEN_OVER).fetch_all(&self.local.pool()?).await?)
    }

    /// Whether neither was there, or the call was held by an earlier start. It is held by this one then.
    async fn try_claim(&self, webhook: &str, call: &str, now_us: i64) -> Result<bool, RegistryError> {
        let mut transaction = self.local.pool()?.begin_with("BEGIN IMMEDIATE").await?;
        let mut new = 0;
        for (kind, id) in [("webhook", webhook), ("call", call)] {
            let sql = "INSERT INTO claims (kind, id, claimed_us) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
            let insert = sqlx::query(sql).bind(kind).bind(id).bind(now_us);
            new += insert.execute(&mut *transaction).await?.rows_affected();
        }
        let earlier = " AND holder IS NOT NULL AND holder <> ?1";
        let hold = format!(
            "UPDATE claims SET holder = ?1 WHERE kind = 'call' AND id = ?2{}",
            if new == 2 { "" } else { earlier }
        );
        let hold = sqlx::query(AssertSqlSafe(hold)).bind(self.holder).bind(call);
        let is_held = hold.execute(&mut *transaction).await?.rows_affected() == 1;
        let oldest = now_us.saturating_sub(KEPT.as_micros() as i64);
        sqlx::query("DELETE FROM claims WHERE claimed_us < ?")
            .bind(oldest)
            .execute(&mut *transaction)
            .await?;
        let sql = "DELETE FROM claims WHERE claimed_us <= \
                   (SELECT claimed_us FROM claims ORDER BY claimed_us DESC LIMIT 1 OFFSET ?)";
        sqlx::query(sql).bind(MOST).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(is_held)
    }

    /// How many ids are kept.
    ///
    /// # Errors
    /// The file is not open, or fails.
    pub async fn count(&self) -> Result<u64, RegistryError> {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM claims").fetch_one(&self.local.pool()?).await?;
        Ok(count as u64)
    }
}
