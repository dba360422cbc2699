-- Batches of metrics as clients logged them, in one row each: they are moved to where they are read when somebody reads, or
-- when enough have come. `points` is a JSON list of [key, the bits of the value, timestamp_ms, step].
CREATE TABLE metric_batches (
    id INTEGER NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    points TEXT NOT NULL
);

CREATE INDEX metric_batches_run ON metric_batches (run_id);

-- The two great tables again, each row kept once, in the order of its key.
CREATE TABLE new_metrics (
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    key TEXT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BOOLEAN NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (run_id, key, timestamp_ms, step, value, is_nan)
) WITHOUT ROWID;

INSERT INTO new_metrics (run_id, key, value, is_nan, timestamp_ms, step)
SELECT run_id, key, value, is_nan, timestamp_ms, step FROM metrics
ORDER BY run_id, key, timestamp_ms, step, value, is_nan;

DROP TABLE metrics;

ALTER TABLE new_metrics RENAME TO metrics;

CREATE TABLE new_latest_metrics (
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    key TEXT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BOOLEAN NOT NULL,
    timestamp_ms BIGINT NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (run_id, key)
) WITHOUT ROWID;

INSERT INTO new_latest_metrics (run_id, key, value, is_nan, timestamp_ms, step)
SELECT run_id, key, value, is_nan, timestamp_ms, step FROM latest_metrics ORDER BY run_id, key;

DROP TABLE latest_metrics;

ALTER TABLE new_latest_metrics RENAME TO latest_metrics;

CREATE INDEX latest_metrics_value ON latest_metrics (key, value);
