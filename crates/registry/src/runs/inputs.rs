use karat_core::RunId;
use karat_metadata::{WriteTx, query};

use super::{DatasetInput, log};
use crate::{Answer, Registry, RegistryError};

impl Registry {
    /// Records which data the run read. A data set of the same name and digest is kept once per experiment.
    pub fn log_inputs<'a>(&'a self, run_id: &'a RunId, inputs: &'a [DatasetInput]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            log::require(&mut tx, run_id).await?;
            for input in inputs {
                write_dataset(&mut tx, run_id.as_str(), input).await?;
                query(
                    "INSERT INTO run_inputs (run_id, dataset_id, context) \
                     SELECT r.run_id, d.id, $4 FROM runs r JOIN datasets d ON d.experiment_id = r.experiment_id \
                     WHERE r.run_id = $1 AND d.name = $2 AND d.digest = $3 \
                     ON CONFLICT (run_id, dataset_id, context) DO NOTHING",
                )
                .bind(run_id.as_str())
                .bind(&input.name)
                .bind(&input.digest)
                .bind(&input.context)
                .execute(&mut tx)
                .await?;
            }
            log::changed(&mut tx, run_id.as_str()).await?;
            Ok(tx.commit().await?)
        })
    }
}

/// Keeps what a data set is; one of the same name and digest is kept once per experiment.
pub(crate) async fn write_dataset(tx: &mut WriteTx, run_id: &str, input: &DatasetInput) -> Result<(), RegistryError> {
    query(
        "INSERT INTO datasets (id, experiment_id, name, digest, source_type, source, schema, profile) \
         SELECT (SELECT COALESCE(MAX(id), 0) + 1 FROM datasets), experiment_id, $2, $3, $4, $5, $6, $7 \
         FROM runs WHERE run_id = $1 ON CONFLICT (experiment_id, name, digest) DO NOTHING",
    )
    .bind(run_id)
    .bind(&input.name)
    .bind(&input.digest)
    .bind(&input.source_type)
    .bind(&input.source)
    .bind(&input.schema)
    .bind(&input.profile)
    .execute(tx)
    .await?;
    Ok(())
}
