CREATE TABLE releases (
    number BIGINT NOT NULL PRIMARY KEY CHECK (number >= 1),
    digest TEXT NOT NULL,
    content TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    summary TEXT NOT NULL
);
