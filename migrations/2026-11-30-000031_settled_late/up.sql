-- What is settled within a day is found by when it was made. What settles later, because money stood
-- still, is so rare that this index stays all but empty, and is found by when it was settled.
CREATE INDEX transfers_settled_late_idx ON book_main.transfers (user_id, updated_at)
    WHERE kind = 'internal' AND state = 'Success' AND updated_at - created_at > interval '1 day';

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261130000031 for programs that know 20261128000021';
