-- Whom an identity provider means: what it calls somebody (`sub`), and which operator that is. A
-- change of it moves the operator's `revision` on, like any other change of how one signs in.
CREATE TABLE directory.operator_identities (
    issuer     text        NOT NULL,
    subject    text        NOT NULL,
    operator   text        NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT operator_identities_issuer_subject_pk PRIMARY KEY (issuer, subject),
    CONSTRAINT operator_identities_operator_uq UNIQUE (operator),
    -- A new operator's identity is written first: if it is somebody's, there is nothing to take back.
    CONSTRAINT operator_identities_operator_fk
        FOREIGN KEY (operator) REFERENCES directory.operators (name)
        DEFERRABLE INITIALLY DEFERRED
);

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261128000026 for programs that know 20261128000021';
