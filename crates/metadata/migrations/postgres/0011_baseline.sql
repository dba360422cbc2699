-- no-transaction: it runs inside Karat's own.
-- The schema as SQLite's first eleven migrations leave it. Text is compared byte by byte, as there (COLLATE "C"); an index
-- holds values of some 2,700 bytes at most, so that long ones are indexed by a hash of theirs.

CREATE TABLE audit_entries (
    id BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    subject_kind TEXT COLLATE "C" NOT NULL,
    subject_name TEXT COLLATE "C" NOT NULL,
    subject_version TEXT COLLATE "C",
    details TEXT COLLATE "C" NOT NULL,
    previous TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C" NOT NULL UNIQUE
);

CREATE INDEX audit_entries_subject ON audit_entries (subject_kind, subject_name);

CREATE TABLE history_commits (
    source TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL CHECK (number >= 1),
    at BIGINT NOT NULL,
    delivery TEXT COLLATE "C" NOT NULL,
    partitions BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    manifest TEXT COLLATE "C" NOT NULL,
    counts TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (source, number)
);

CREATE TABLE generations (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE releases (
    number BIGINT NOT NULL PRIMARY KEY CHECK (number >= 1),
    digest TEXT COLLATE "C" NOT NULL,
    content TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    summary TEXT COLLATE "C" NOT NULL
);

CREATE TABLE source_tags (
    source TEXT COLLATE "C" NOT NULL,
    tag TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    why TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (source, tag)
);

CREATE TABLE feature_statistics (
    definition TEXT COLLATE "C" NOT NULL,
    source_commit BIGINT NOT NULL,
    at BIGINT NOT NULL,
    statistics TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (definition, source_commit)
);

CREATE TABLE experiments (
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    artifact_location TEXT COLLATE "C" NOT NULL,
    lifecycle_stage TEXT COLLATE "C" NOT NULL CHECK (lifecycle_stage IN ('active', 'deleted')),
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL,
    -- When it was deleted: what nobody restored for long is removed for good.
    deleted_time_ms BIGINT
);

CREATE TABLE experiment_tags (
    experiment_id BIGINT NOT NULL REFERENCES experiments (id),
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (experiment_id, key)
);

CREATE TABLE runs (
    run_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    experiment_id BIGINT NOT NULL REFERENCES experiments (id),
    name TEXT COLLATE "C" NOT NULL,
    user_name TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED')),
    start_time_ms BIGINT NOT NULL,
    end_time_ms BIGINT,
    lifecycle_stage TEXT COLLATE "C" NOT NULL CHECK (lifecycle_stage IN ('active', 'deleted')),
    artifact_uri TEXT COLLATE "C" NOT NULL,
    -- When it was deleted: what nobody restored for long is removed for good.
    deleted_time_ms BIGINT
);

CREATE INDEX runs_experiment ON runs (experiment_id, start_time_ms);

-- The newest first, without a sort.
CREATE INDEX runs_newest ON runs (experiment_id, lifecycle_stage, start_time_ms DESC, run_id);

-- Every value ever logged. NaN is `is_nan`, and `value` is 0 then, as in SQLite.
CREATE TABLE metrics (
    run_id TEXT COLLATE "C" NOT NULL REFERENCES runs (run_id),
    key TEXT COLLATE "C" NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BOOLEAN NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (run_id, key, timestamp_ms, step, value, is_nan)
);

-- Per key the value with the greatest (step, timestamp, value).
CREATE TABLE latest_metrics (
    run_id TEXT COLLATE "C" NOT NULL REFERENCES runs (run_id),
    key TEXT COLLATE "C" NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BOOLEAN NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (run_id, key)
);

CREATE INDEX latest_metrics_value ON latest_metrics (key, value);

CREATE TABLE params (
    run_id TEXT COLLATE "C" NOT NULL REFERENCES runs (run_id),
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, key)
);

CREATE INDEX params_key ON params (key);
CREATE INDEX params_value ON params USING hash (value);

CREATE TABLE run_tags (
    run_id TEXT COLLATE "C" NOT NULL REFERENCES runs (run_id),
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, key)
);

CREATE INDEX run_tags_key ON run_tags (key);
CREATE INDEX run_tags_value ON run_tags USING hash (value);

CREATE TABLE datasets (
    id BIGINT NOT NULL PRIMARY KEY,
    experiment_id BIGINT NOT NULL REFERENCES experiments (id),
    name TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    source_type TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    schema TEXT COLLATE "C" NOT NULL,
    profile TEXT COLLATE "C" NOT NULL,
    UNIQUE (experiment_id, name, digest)
);

CREATE TABLE run_inputs (
    run_id TEXT COLLATE "C" NOT NULL REFERENCES runs (run_id),
    dataset_id BIGINT NOT NULL REFERENCES datasets (id),
    context TEXT COLLATE "C" NOT NULL,
    -- Of the input besides its context, as a JSON object.
    tags TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    PRIMARY KEY (run_id, dataset_id, context)
);

CREATE INDEX run_inputs_dataset ON run_inputs (dataset_id);

CREATE TABLE run_models (
    run_id TEXT COLLATE "C" NOT NULL REFERENCES runs (run_id),
    direction TEXT COLLATE "C" NOT NULL CHECK (direction IN ('input', 'output')),
    model_id TEXT COLLATE "C" NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (run_id, direction, model_id)
);

CREATE TABLE logged_models (
    model_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    experiment_id BIGINT NOT NULL REFERENCES experiments (id),
    name TEXT COLLATE "C" NOT NULL,
    artifact_location TEXT COLLATE "C" NOT NULL,
    model_type TEXT COLLATE "C" NOT NULL,
    source_run_id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('PENDING', 'READY', 'UPLOAD_FAILED')),
    lifecycle_stage TEXT COLLATE "C" NOT NULL CHECK (lifecycle_stage IN ('active', 'deleted')),
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL,
    -- When it was deleted: what nobody restored for long is removed for good.
    deleted_time_ms BIGINT
);

CREATE INDEX logged_models_newest ON logged_models (experiment_id, creation_time_ms DESC, model_id);

CREATE TABLE logged_model_params (
    model_id TEXT COLLATE "C" NOT NULL REFERENCES logged_models (model_id),
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model_id, key)
);

CREATE TABLE logged_model_tags (
    model_id TEXT COLLATE "C" NOT NULL REFERENCES logged_models (model_id),
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model_id, key)
);

-- What runs measured of a model; `dataset_name` and `dataset_digest` are empty where nothing is said.
CREATE TABLE logged_model_metrics (
    model_id TEXT COLLATE "C" NOT NULL REFERENCES logged_models (model_id),
    run_id TEXT COLLATE "C" NOT NULL REFERENCES runs (run_id),
    key TEXT COLLATE "C" NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    step BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BOOLEAN NOT NULL,
    dataset_name TEXT COLLATE "C" NOT NULL,
    dataset_digest TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model_id, key, timestamp_ms, step, run_id)
);

CREATE VIEW logged_model_latest_metrics AS
SELECT model_id, key, value, is_nan FROM (
    SELECT model_id, key, value, is_nan,
        ROW_NUMBER() OVER (PARTITION BY model_id, key ORDER BY timestamp_ms DESC, step DESC, run_id) AS place
    FROM logged_model_metrics
) ranked WHERE place = 1;

CREATE TABLE registered_models (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    description TEXT COLLATE "C" NOT NULL,
    approval TEXT COLLATE "C" NOT NULL CHECK (approval IN ('required', 'not_required')),
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL,
    -- Whether somebody else than the one who trained a version approves it; only where approval is required.
    four_eyes BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE registered_model_tags (
    model TEXT COLLATE "C" NOT NULL REFERENCES registered_models (name),
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model, key)
);

-- `digest` is of Karat's own scoring files; a version that came from elsewhere may have none. `source_run_id` is the run a
-- client names where there is none here; `storage_location` is where the files are when `source` is another version.
CREATE TABLE model_versions (
    model TEXT COLLATE "C" NOT NULL REFERENCES registered_models (name),
    version BIGINT NOT NULL CHECK (version >= 1),
    run_id TEXT COLLATE "C" REFERENCES runs (run_id),
    digest TEXT COLLATE "C",
    source TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    definitions TEXT COLLATE "C" NOT NULL,
    gates TEXT COLLATE "C" NOT NULL,
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL,
    source_run_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    run_link TEXT COLLATE "C" NOT NULL DEFAULT '',
    storage_location TEXT COLLATE "C" NOT NULL DEFAULT '',
    -- A deleted version keeps its number, and what decisions were made with stays known.
    lifecycle_stage TEXT COLLATE "C" NOT NULL DEFAULT 'active' CHECK (lifecycle_stage IN ('active', 'deleted')),
    PRIMARY KEY (model, version)
);

CREATE UNIQUE INDEX model_versions_content ON model_versions (model, digest, hashtextextended(definitions, 0));
CREATE INDEX model_versions_run ON model_versions (run_id);
CREATE INDEX model_versions_updated ON model_versions (last_update_time_ms);

CREATE TABLE model_version_tags (
    model TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model, version, key),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
);

CREATE TABLE model_aliases (
    model TEXT COLLATE "C" NOT NULL,
    alias TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (model, alias),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
);

-- Every move of every alias; `version` is null where the alias was deleted.
CREATE TABLE alias_moves (
    id BIGINT NOT NULL PRIMARY KEY,
    model TEXT COLLATE "C" NOT NULL,
    alias TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL CHECK (action IN ('set', 'rollback', 'delete')),
    version BIGINT,
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    why TEXT COLLATE "C" NOT NULL,
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
);

CREATE INDEX alias_moves_alias ON alias_moves (model, alias);

CREATE TABLE approvals (
    id BIGINT NOT NULL PRIMARY KEY,
    model TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    decision TEXT COLLATE "C" NOT NULL CHECK (decision IN ('approve', 'reject')),
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    why TEXT COLLATE "C" NOT NULL,
    gates TEXT COLLATE "C" NOT NULL,
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
);

CREATE INDEX approvals_version ON approvals (model, version);
