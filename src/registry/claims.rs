//! What the webhook of OpenAI has offered, so that a webhook that comes again is known: OpenAI repeats one for up to 72 hours, and this
//! daemon may have been started anew meanwhile. The ids are in the SQLite file. They say nothing about any person.

use std::time::Duration;

use super::RegistryError;
use super::local::Local;

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
const LIMIT: Duration = Duration::from_millis(500);

/// Whether an offer is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is, and is claimed now.
    New,
    /// The webhook, or one about this call, has come before.
    Repeated,
    /// The file does not tell, or not in time.
    Unknown,
}

/// The claims in the file of a call log. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Claims {
    local: Local,
}

impl Claims {
    pub(super) fn new(local: Local) -> Self {
        Self { local }
    }

    /// Claims a webhook and the call that it offers, at this time in UTC microseconds. From [`Claim::New`] on, no crash forgets it.
    /// Takes no longer than half a second.
    pub async fn claim(&self, webhook: &str, call: &str, now_us: i64) -> Claim {
        let claim = async {
            loop {
                match self.try_claim(webhook, call, now_us).await {
                    Err(RegistryError::Closed) => tokio::time::sleep(LOOK_EVERY).await,
                    claimed => return claimed,
                }
            }
        };
        match tokio::time::timeout(LIMIT, claim).await.unwrap_or(Err(RegistryError::Late)) {
            Ok(true) => Claim::New,
            Ok(false) => Claim::Repeated,
            Err(error) => {
                tracing::debug!(%error, "a webhook cannot be claimed");
                Claim::Unknown
            }
        }
    }

    /// Whether neither was there.
    async fn try_claim(&self, webhook: &str, call: &str, now_us: i64) -> Result<bool, RegistryError> {
        let mut transaction = self.local.pool()?.begin_with("BEGIN IMMEDIATE").await?;
        let mut new = 0;
        for (kind, id) in [("webhook", webhook), ("call", call)] {
            let sql = "INSERT INTO claims (kind, id, claimed_us) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
            let insert = sqlx::query(sql).bind(kind).bind(id).bind(now_us);
            new += insert.execute(&mut *transaction).await?.rows_affected();
        }
        let oldest = now_us.saturating_sub(KEPT.as_micros() as i64);
        sqlx::query("DELETE FROM claims WHERE claimed_us < ?")
            .bind(oldest)
            .execute(&mut *transaction)
            .await?;
        let sql = "DELETE FROM claims WHERE claimed_us <= \
                   (SELECT claimed_us FROM claims ORDER BY claimed_us DESC LIMIT 1 OFFSET ?)";
        sqlx::query(sql).bind(MOST).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(new == 2)
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
