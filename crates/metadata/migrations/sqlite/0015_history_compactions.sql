-- Parts that hold the rows of consecutive commits once more, in fewer files: readers open them instead. A commit's own row
-- stays what it was. The numbers are the first that the rows may have and the last; of two that overlap, one holds the other.
CREATE TABLE history_compactions (
    source TEXT NOT NULL,
    first_number BIGINT NOT NULL CHECK (first_number >= 1),
    last_number BIGINT NOT NULL CHECK (last_number >= first_number),
    at BIGINT NOT NULL,
    manifest TEXT NOT NULL,
    PRIMARY KEY (source, first_number, last_number),
    FOREIGN KEY (source, last_number) REFERENCES history_commits (source, number)
);
