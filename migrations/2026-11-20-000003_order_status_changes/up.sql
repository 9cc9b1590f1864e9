-- Numbers the changes of a user's status, so that the directory and the book agree on which came
-- last although no transaction writes both. The doctrine is told in the directory adapter.

ALTER TABLE directory.users ADD COLUMN status_revision bigint NOT NULL DEFAULT 0;

ALTER TABLE directory.users
    ADD CONSTRAINT users_status_revision_ck CHECK (status_revision >= 0);

ALTER TABLE book_main.owners ADD COLUMN revision bigint NOT NULL DEFAULT 0;

ALTER TABLE book_main.owners ADD CONSTRAINT owners_revision_ck CHECK (revision >= 0);
