-- A tag may name a number whose rows were pushed and are not sealed into a commit yet, and that of a history without rows.
CREATE TABLE tags_of_sources (
    source TEXT NOT NULL,
    tag TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (source, tag)
);
INSERT INTO tags_of_sources (source, tag, number, at, actor, why)
    SELECT source, tag, number, at, actor, why FROM source_tags;
DROP TABLE source_tags;
ALTER TABLE tags_of_sources RENAME TO source_tags;
