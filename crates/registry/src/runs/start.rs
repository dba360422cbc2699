use karat_core::RunId;
use karat_metadata::{query, query_scalar};

use super::{Run, RunDraft, RunStatus, get};
use crate::{Answer, Registry, RegistryError, millis};

impl Registry {
    pub fn start_run<'a>(&'a self, draft: &'a RunDraft) -> Answer<'a, Run> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let experiment: Option<String> =
                query_scalar("SELECT name FROM experiments WHERE id = $1 AND lifecycle_stage = 'active'")
                    .bind(draft.experiment_id)
                    .fetch_optional(&mut tx)
                    .await?;
            if experiment.is_none() {
                return Err(RegistryError::NotFound(format!("there is no active experiment {}", draft.experiment_id)));
            }
            let inserted = query(
                "INSERT INTO runs (run_id, experiment_id, name, user_name, status, start_time_ms, lifecycle_stage, \
                 artifact_uri) VALUES ($1, $2, $3, $4, $5, $6, 'active', $7) ON CONFLICT (run_id) DO NOTHING",
            )
            .bind(draft.run_id.as_str())
            .bind(draft.experiment_id)
            .bind(&draft.name)
            .bind(&draft.user)
            .bind(RunStatus::Running.as_str())
            .bind(millis(draft.start))
            .bind(&draft.artifact_uri)
            .execute(&mut tx)
            .await?;
            if inserted == 0 {
                return Err(RegistryError::Conflict(format!("run {} was started already", draft.run_id)));
            }
            super::log::write_tags(&mut tx, draft.run_id.as_str(), &draft.tags).await?;
            let run = get::by_id(&mut tx, draft.run_id.as_str()).await?;
            tx.commit().await?;
            run.ok_or_else(|| no_run(&draft.run_id))
        })
    }
}

pub(super) fn no_run(run_id: &RunId) -> RegistryError {
    RegistryError::NotFound(format!("there is no run `{run_id}`"))
}
