-- Who did what. A row is written in the transaction of the change that it tells of, so there is one
-- table for each schema: no transaction writes both. `before` and `after` are JSON as it was
-- written; a secret, a token or its hash is never in them.

CREATE TABLE directory.audit_log (
    id          uuid NOT NULL,
    at          timestamptz NOT NULL,
    actor       text NOT NULL,
    credential  text NOT NULL,
    request_id  text NOT NULL,
    address     text NOT NULL,
    action      text NOT NULL,
    target      text NOT NULL,
    before      json,
    after       json,
    CONSTRAINT audit_log_at_id_pk PRIMARY KEY (at, id)
);

CREATE INDEX audit_log_actor_at_id_idx ON directory.audit_log (actor, at, id);
CREATE INDEX audit_log_action_at_id_idx ON directory.audit_log (action, at, id);
CREATE INDEX audit_log_target_at_id_idx ON directory.audit_log (target, at, id);

-- A second line behind the grants: what is in the log stays there.
CREATE FUNCTION directory.refuse_change_of_audit_log() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
END;
$$;

CREATE TRIGGER audit_log_append_only_trg
    BEFORE UPDATE OR DELETE OR TRUNCATE ON directory.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION directory.refuse_change_of_audit_log();

CREATE TABLE book_main.audit_log (
    id          uuid NOT NULL,
    at          timestamptz NOT NULL,
    actor       text NOT NULL,
    credential  text NOT NULL,
    request_id  text NOT NULL,
    address     text NOT NULL,
    action      text NOT NULL,
    target      text NOT NULL,
    before      json,
    after       json,
    CONSTRAINT audit_log_at_id_pk PRIMARY KEY (at, id)
);

CREATE INDEX audit_log_actor_at_id_idx ON book_main.audit_log (actor, at, id);
CREATE INDEX audit_log_action_at_id_idx ON book_main.audit_log (action, at, id);
CREATE INDEX audit_log_target_at_id_idx ON book_main.audit_log (target, at, id);

CREATE FUNCTION book_main.refuse_change_of_audit_log() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
END;
$$;

CREATE TRIGGER audit_log_append_only_trg
    BEFORE UPDATE OR DELETE OR TRUNCATE ON book_main.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION book_main.refuse_change_of_audit_log();
