-- Counts what was changed of a run, or of what is logged to it: by it those who keep a run as they read it see that it is
-- still so.
ALTER TABLE runs ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;

-- What an order by a metric reads is all in its index.
DROP INDEX latest_metrics_value;

CREATE INDEX latest_metrics_value ON latest_metrics (key, is_nan, value) INCLUDE (run_id);
