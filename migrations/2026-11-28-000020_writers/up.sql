-- Who may write the book's balances: every replica when nobody holds it, else only its holder, which
-- keeps balances in memory. The holder counts its batches here, each in the transaction of the batch,
-- so that one that was overtaken cannot commit: it finds another epoch.
CREATE TABLE book_main.writers (
    name    text    NOT NULL,
    holder  uuid,
    epoch   bigint  NOT NULL,
    batch   bigint  NOT NULL,
    CONSTRAINT writers_name_pk PRIMARY KEY (name),
    CONSTRAINT writers_epoch_ck CHECK (epoch >= 0),
    CONSTRAINT writers_batch_ck CHECK (batch >= 0)
);

INSERT INTO book_main.writers (name, holder, epoch, batch) VALUES ('main', NULL, 0, 0);

-- What a batch writes of an account, with the number of the last line that it was decided by. Whoever
-- decided by another one must not write; replicas of an earlier release send `account_change`.
CREATE TYPE book_main.account_write AS (
    id               bigint,
    decided_by       bigint,
    available        numeric,
    held             numeric,
    seq              bigint,
    stamped_at       timestamptz,
    head             bytea,
    withdrawal_uses  bytea,
    internal_uses    bytea
);
