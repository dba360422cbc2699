//! What a database holds, counted by itself, and what of it is not for us.

use super::MlflowDatabase;
use super::database::Cell;
use crate::RegistryError;
use crate::import::{Counts, Noun, Survey};

/// What Karat keeps nothing of.
const NOT_OURS: [(&str, &str); 7] = [
    ("trace_info", "traces"),
    ("evaluation_datasets", "evaluation data sets"),
    ("webhooks", "webhooks"),
    ("scorers", "scorers"),
    ("issues", "issues"),
    ("endpoints", "gateway endpoints"),
    ("mcp_servers", "MCP servers"),
];

/// Every schema up to that of MLflow 3.17, by its `alembic_version`.
const KNOWN: &str = "\
    0584bdc529eb 0a8213491aaa 0c779009ac13 17e22815139b 181f10493468 1971f2d9a75b 1a0cddfcaa16 1b5f0d9ad7c1 1bd49d398cd23 \
    27a6a02d2cf1 2b4d017a5e9b 2c33131f4dae 2d6e25af4d3e 3500859a5d39 39d1c3be5f05 3da73c924c2f 400f98739977 4465047574b1 \
    451aebb31d03 534353b11cbc 5b0e9adcef9c 5d2d30f0abce 6953534de441 6f8d9c3b2a1e 71994744cf8e 728d730b5ebd 75868b020152 \
    76601a5f987d 770bee3ae1dd 7ac759974ad8 7d34483879f0 7f2a7d5fae7d 84291f40a231 867495a8f9d4 89d3d66ed43f 89d4b8295536 \
    90e64c465722 97727af70f4d a1b2c3d4e5f6 a5b4c3d2e1f0 a8b9c0d1e2f3 a8c4a736bde6 acf3f17fdcc7 ae8bbe7743c9 b7c8d9e0f1a2 \
    b7e2c1a4d9f3 b7e4c1a90f23 bd07f7e963c5 bda7b8c39065 bf29a5ff90ea c1d2e3f4a5b6 c3d6457b6d8a c3d9e7f1a2b4 c48cb773bb87 \
    c8d9e0f1a2b3 c9d4e5f6a7b8 cbc13b556ace cc1f77228345 cfd24bdc0731 d0e1f2a3b4c5 d3e4f5a6b7c8 da6fb0208061 dc11669786a5 \
    de4033877273 df50e92ffc5e e1f2a3b4c5d6 f5a4f2784254";

impl MlflowDatabase {
    pub(super) async fn take_survey(&self) -> Result<Survey, RegistryError> {
        let mut counts = Counts::default();
        let experiments = self.of_experiments();
        let runs = |id: &str| format!("{id} IN (SELECT run_uuid FROM runs WHERE {experiments})");
        let models = format!("model_id IN (SELECT model_id FROM logged_models WHERE {experiments})");
        let inputs = "inputs JOIN datasets ON dataset_uuid = source_id";
        let registry = |table: &str| self.scope(table).to_owned();
        let all = [
            (Noun::Experiments, "experiments", "experiments", self.scope("experiments").to_owned()),
            (Noun::ExperimentTags, "experiment_tags", "experiment_tags", experiments.clone()),
            (Noun::Runs, "runs", "runs", experiments.clone()),
            (Noun::Params, "params", "params", runs("run_uuid")),
            (Noun::Tags, "tags", "tags", runs("run_uuid")),
            (Noun::Metrics, "latest_metrics", "latest_metrics", runs("run_uuid")),
            (Noun::MetricPoints, "metrics", "metrics", runs("run_uuid")),
            (
                Noun::Inputs,
                "inputs",
                inputs,
                format!("source_type = 'DATASET' AND destination_type = 'RUN' AND {}", runs("destination_id")),
            ),
            (
                Noun::ModelLinks,
                "inputs",
                "inputs",
                format!("source_type IN ('RUN_INPUT', 'RUN_OUTPUT') AND {}", runs("source_id")),
            ),
            (Noun::LoggedModels, "logged_models", "logged_models", experiments.clone()),
            (Noun::LoggedModelParams, "logged_model_params", "logged_model_params", models.clone()),
            (Noun::LoggedModelTags, "logged_model_tags", "logged_model_tags", models.clone()),
            (Noun::LoggedModelMetrics, "logged_model_metrics", "logged_model_metrics", models.clone()),
            (Noun::RegisteredModels, "registered_models", "registered_models", registry("registered_models")),
            (
                Noun::RegisteredModelTags,
                "registered_model_tags",
                "registered_model_tags",
                registry("registered_model_tags"),
            ),
            (Noun::Versions, "model_versions", "model_versions", registry("model_versions")),
            (Noun::VersionTags, "model_version_tags", "model_version_tags", registry("model_version_tags")),
            (
                Noun::Aliases,
                "registered_model_aliases",
                "registered_model_aliases",
                registry("registered_model_aliases"),
            ),
        ];
        for (noun, table, from, scope) in all {
            if self.database.has(table) {
                let count = self.database.count(&format!("SELECT COUNT(*) FROM {from} WHERE {scope}")).await?;
                counts.add(noun, count);
            }
        }
        Ok(Survey { schema: self.revision.clone(), counts: Some(counts), remarks: self.remarks().await? })
    }

    async fn remarks(&self) -> Result<Vec<String>, RegistryError> {
        let mut remarks = Vec::new();
        if !KNOWN.split_whitespace().any(|known| known == self.revision) {
            remarks.push(format!(
                "the schema {} is none that this Karat knows (up to MLflow 3.17): what it has beyond those is not read",
                self.revision
            ));
        }
        for (table, words) in NOT_OURS {
            if !self.database.has(table) {
                continue;
            }
            let count = self.database.count(&format!("SELECT COUNT(*) FROM {table}")).await?;
            if count > 0 {
                remarks.push(format!("{count} {words}: Karat keeps none"));
            }
        }
        if self.database.has_column("experiments", "workspace") {
            let sql = "SELECT workspace, COUNT(*) FROM experiments WHERE workspace <> 'default' GROUP BY workspace \
                       ORDER BY workspace";
            for record in self.database.rows(sql, &[]).await? {
                let [workspace, count]: [Cell; 2] = record.cells();
                remarks.push(format!(
                    "workspace `{}` with {} experiments: only the workspace `default` is taken",
                    workspace.text(),
                    count.int()
                ));
            }
        }
        let orphans = "SELECT COUNT(*) FROM runs r WHERE NOT EXISTS \
                       (SELECT 1 FROM experiments e WHERE e.experiment_id = r.experiment_id)";
        let orphans = self.database.count(orphans).await?;
        if orphans > 0 {
            remarks.push(format!("{orphans} runs whose experiment is not in the database"));
        }
        Ok(remarks)
    }
}
