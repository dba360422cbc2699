-- When what can be restored was deleted: what nobody restored for long is removed for good.
ALTER TABLE runs ADD COLUMN deleted_time_ms BIGINT;
ALTER TABLE experiments ADD COLUMN deleted_time_ms BIGINT;
ALTER TABLE logged_models ADD COLUMN deleted_time_ms BIGINT;
UPDATE runs SET deleted_time_ms = 0 WHERE lifecycle_stage = 'deleted';
UPDATE experiments SET deleted_time_ms = last_update_time_ms WHERE lifecycle_stage = 'deleted';
UPDATE logged_models SET deleted_time_ms = last_update_time_ms WHERE lifecycle_stage = 'deleted';
