-- What users call the recipients that they pay again and again. An entry is what its owner typed:
-- it refers to no user, so that nothing about it can tell whether there is one.
CREATE TABLE directory.address_book (
    user_id     uuid NOT NULL,
    code        text NOT NULL,
    recipient   text NOT NULL,
    label       text,
    created_at  timestamptz NOT NULL,
    CONSTRAINT address_book_user_id_code_pk PRIMARY KEY (user_id, code),
    CONSTRAINT address_book_code_ck CHECK (code <> '' AND length(code) <= 64),
    CONSTRAINT address_book_recipient_ck CHECK (recipient <> '')
);
