-- What MLflow's clients keep beyond what Karat's own trainings do, and the orders they search in.

-- Tags of an input besides its context, as a JSON object.
ALTER TABLE run_inputs ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';

CREATE TABLE run_models (
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    direction TEXT NOT NULL CHECK (direction IN ('input', 'output')),
    model_id TEXT NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (run_id, direction, model_id)
);

-- The newest first, without a sort.
CREATE INDEX runs_newest ON runs (experiment_id, lifecycle_stage, start_time_ms DESC, run_id);

CREATE INDEX params_value ON params (key, value);

CREATE INDEX run_tags_value ON run_tags (key, value);

CREATE INDEX latest_metrics_value ON latest_metrics (key, value);

CREATE INDEX run_inputs_dataset ON run_inputs (dataset_id);

-- Models as MLflow 3 logs them: of a run or of none, registered or not.
CREATE TABLE logged_models (
    model_id TEXT NOT NULL PRIMARY KEY,
    experiment_id BIGINT NOT NULL REFERENCES experiments (id),
    name TEXT NOT NULL,
    artifact_location TEXT NOT NULL,
    model_type TEXT NOT NULL,
    source_run_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('PENDING', 'READY', 'UPLOAD_FAILED')),
    lifecycle_stage TEXT NOT NULL CHECK (lifecycle_stage IN ('active', 'deleted')),
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL
);

CREATE INDEX logged_models_newest ON logged_models (experiment_id, creation_time_ms DESC, model_id);

CREATE TABLE logged_model_params (
    model_id TEXT NOT NULL REFERENCES logged_models (model_id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model_id, key)
);

CREATE TABLE logged_model_tags (
    model_id TEXT NOT NULL REFERENCES logged_models (model_id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model_id, key)
);

-- What runs measured of a model; `dataset_name` and `dataset_digest` are empty where nothing is said.
CREATE TABLE logged_model_metrics (
    model_id TEXT NOT NULL REFERENCES logged_models (model_id),
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    key TEXT NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    step BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BOOLEAN NOT NULL,
    dataset_name TEXT NOT NULL,
    dataset_digest TEXT NOT NULL,
    PRIMARY KEY (model_id, key, timestamp_ms, step, run_id)
);

CREATE VIEW logged_model_latest_metrics AS
SELECT model_id, key, value, is_nan FROM (
    SELECT model_id, key, value, is_nan,
        ROW_NUMBER() OVER (PARTITION BY model_id, key ORDER BY timestamp_ms DESC, step DESC, run_id) AS place
    FROM logged_model_metrics
) ranked WHERE place = 1;
