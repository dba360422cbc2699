-- Names that people give to commits of histories. Who moved one, and from where, stands in the audit chain.
CREATE TABLE source_tags (
    source TEXT NOT NULL,
    tag TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (source, tag),
    FOREIGN KEY (source, number) REFERENCES history_commits (source, number)
);
