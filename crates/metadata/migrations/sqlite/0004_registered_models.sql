CREATE TABLE registered_models (
    name TEXT NOT NULL PRIMARY KEY,
    description TEXT NOT NULL,
    approval TEXT NOT NULL CHECK (approval IN ('required', 'not_required')),
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL
);

CREATE TABLE registered_model_tags (
    model TEXT NOT NULL REFERENCES registered_models (name),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, key)
);

-- `digest` is of Karat's own scoring files; a version that came from elsewhere may have none.
CREATE TABLE model_versions (
    model TEXT NOT NULL REFERENCES registered_models (name),
    version BIGINT NOT NULL CHECK (version >= 1),
    run_id TEXT REFERENCES runs (run_id),
    digest TEXT,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    stage TEXT NOT NULL,
    description TEXT NOT NULL,
    definitions TEXT NOT NULL,
    gates TEXT NOT NULL,
    creation_time_ms BIGINT NOT NULL,
    last_update_time_ms BIGINT NOT NULL,
    PRIMARY KEY (model, version),
    UNIQUE (model, digest, definitions)
);

CREATE TABLE model_version_tags (
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, version, key),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
);

CREATE TABLE model_aliases (
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (model, alias),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
);

-- Every move of every alias; `version` is null where the alias was deleted.
CREATE TABLE alias_moves (
    id BIGINT NOT NULL PRIMARY KEY,
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('set', 'rollback', 'delete')),
    version BIGINT,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    why TEXT NOT NULL,
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
);

CREATE INDEX alias_moves_alias ON alias_moves (model, alias);

CREATE TABLE approvals (
    id BIGINT NOT NULL PRIMARY KEY,
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('approve', 'reject')),
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    why TEXT NOT NULL,
    gates TEXT NOT NULL,
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
);

CREATE INDEX approvals_version ON approvals (model, version);
