-- What a user has used of the limits of an asset stands with the balance in that asset: it only
-- changes when that does, under the same lock, and costs no row of its own. Limits in the root asset
-- look at all of a user's accounts and keep rows of their own.
--
-- limit_usage goes at once: no release had it. What it told is counted anew from the transfers.
--
-- The epoch of the limit that they belong to, and the uses, oldest first, as
-- crates/postgres/src/row/uses.rs writes them. None: not counted yet.
ALTER TABLE book_main.accounts
    ADD COLUMN withdrawal_uses bytea,
    ADD COLUMN internal_uses bytea;

-- Uses of a busy month take some kilobytes that hardly compress.
ALTER TABLE book_main.accounts
    ALTER COLUMN withdrawal_uses SET STORAGE EXTERNAL,
    ALTER COLUMN internal_uses SET STORAGE EXTERNAL;

CREATE TABLE book_main.root_uses (
    user_id  uuid NOT NULL,
    kind     text NOT NULL,
    uses     bytea,
    CONSTRAINT root_uses_user_id_kind_pk PRIMARY KEY (user_id, kind)
) WITH (fillfactor = 50);

ALTER TABLE book_main.root_uses ALTER COLUMN uses SET STORAGE EXTERNAL;

DROP TABLE book_main.limit_usage;
