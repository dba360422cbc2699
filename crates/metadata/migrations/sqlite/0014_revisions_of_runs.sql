-- Counts what was changed of a run, or of what is logged to it: by it those who keep a run as they read it see that it is
-- still so.
ALTER TABLE runs ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;

-- Params and tags, each row kept once, in the order of its key.
CREATE TABLE new_params (
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, key)
) WITHOUT ROWID;

INSERT INTO new_params (run_id, key, value) SELECT run_id, key, value FROM params ORDER BY run_id, key;

DROP TABLE params;

ALTER TABLE new_params RENAME TO params;

CREATE INDEX params_value ON params (key, value);

CREATE TABLE new_run_tags (
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, key)
) WITHOUT ROWID;

INSERT INTO new_run_tags (run_id, key, value) SELECT run_id, key, value FROM run_tags ORDER BY run_id, key;

DROP TABLE run_tags;

ALTER TABLE new_run_tags RENAME TO run_tags;

CREATE INDEX run_tags_value ON run_tags (key, value);

-- What an order by a metric reads is all in its index.
DROP INDEX latest_metrics_value;

CREATE INDEX latest_metrics_value ON latest_metrics (key, is_nan, value);
