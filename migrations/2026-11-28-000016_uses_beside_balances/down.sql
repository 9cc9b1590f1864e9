CREATE TABLE book_main.limit_usage (
    user_id  uuid NOT NULL,
    kind     text NOT NULL,
    asset    text NOT NULL,
    epoch    integer NOT NULL,
    times    bigint[] NOT NULL,
    amounts  numeric(39, 0)[] NOT NULL,
    CONSTRAINT limit_usage_user_id_kind_asset_pk PRIMARY KEY (user_id, kind, asset),
    CONSTRAINT limit_usage_amounts_ck CHECK (cardinality(times) = cardinality(amounts))
) WITH (fillfactor = 50);

DROP TABLE book_main.root_uses;

ALTER TABLE book_main.accounts
    DROP COLUMN internal_uses,
    DROP COLUMN withdrawal_uses;
