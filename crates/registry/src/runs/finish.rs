use karat_core::{Instant, RunId};
use karat_metadata::query;

use super::{RunStatus, start::no_run};
use crate::{Answer, Registry, RegistryError, millis};

impl Registry {
    /// Ends the run: finished, failed or killed.
    pub fn finish_run<'a>(&'a self, run_id: &'a RunId, status: RunStatus, now: Instant) -> Answer<'a, ()> {
        Box::pin(async move {
            if !status.is_over() {
                return Err(RegistryError::Invalid(format!("a run cannot end as {status}")));
            }
            let mut tx = self.metadata.begin().await?;
            let updated =
                query("UPDATE runs SET status = $2, end_time_ms = $3, revision = revision + 1 WHERE run_id = $1")
                    .bind(run_id.as_str())
                    .bind(status.as_str())
                    .bind(millis(now))
                    .execute(&mut tx)
                    .await?;
            if updated == 0 {
                return Err(no_run(run_id));
            }
            Ok(tx.commit().await?)
        })
    }
}
