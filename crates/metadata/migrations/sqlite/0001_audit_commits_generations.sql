-- Times named `at` are microseconds UTC. JSON is kept as text. Text ids, 64-bit numbers and no dialect's own types,
-- so that the same statements create the PostgreSQL schema.

CREATE TABLE audit_entries (
    id BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_name TEXT NOT NULL,
    subject_version TEXT,
    details TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE
);

CREATE INDEX audit_entries_subject ON audit_entries (subject_kind, subject_name);

CREATE TABLE history_commits (
    source TEXT NOT NULL,
    number BIGINT NOT NULL CHECK (number >= 1),
    at BIGINT NOT NULL,
    delivery TEXT NOT NULL,
    partitions BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    manifest TEXT NOT NULL,
    counts TEXT NOT NULL,
    PRIMARY KEY (source, number)
);

CREATE TABLE generations (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
