-- What tells this database from any other, so that files say whose they are. One row, made when it is first asked for.
CREATE TABLE identity (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    id TEXT COLLATE "C" NOT NULL
);
