-- What the values of a definition's features looked like at a materialization: one row for each commit it read.

CREATE TABLE feature_statistics (
    definition TEXT NOT NULL,
    source_commit BIGINT NOT NULL,
    at BIGINT NOT NULL,
    statistics TEXT NOT NULL,
    PRIMARY KEY (definition, source_commit)
);
