-- What MLflow's clients say of the versions they register. `source_run_id` is the run they name where there is none here;
-- `storage_location` is where the files are when `source` is another version.
ALTER TABLE model_versions ADD COLUMN source_run_id TEXT NOT NULL DEFAULT '';
ALTER TABLE model_versions ADD COLUMN run_link TEXT NOT NULL DEFAULT '';
ALTER TABLE model_versions ADD COLUMN storage_location TEXT NOT NULL DEFAULT '';
-- A deleted version keeps its number, and what decisions were made with stays known.
ALTER TABLE model_versions ADD COLUMN lifecycle_stage TEXT NOT NULL DEFAULT 'active'
    CHECK (lifecycle_stage IN ('active', 'deleted'));

CREATE INDEX model_versions_run ON model_versions (run_id);
CREATE INDEX model_versions_updated ON model_versions (last_update_time_ms);

-- Karat's own experiments and runs said where their files are in a way that clients took for a folder of theirs.
UPDATE experiments SET artifact_location = 'mlflow-artifacts:/' || id WHERE artifact_location LIKE 'artifacts/%';
UPDATE runs SET artifact_uri = 'mlflow-artifacts:/karat/runs/' || run_id WHERE artifact_uri LIKE 'artifacts/%';
