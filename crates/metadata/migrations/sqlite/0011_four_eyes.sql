-- Whether somebody else than the one who trained a version approves it; only where approval is required.
ALTER TABLE registered_models ADD COLUMN four_eyes BOOLEAN NOT NULL DEFAULT FALSE;
