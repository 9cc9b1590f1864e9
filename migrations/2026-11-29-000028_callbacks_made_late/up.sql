-- A callback bears the time of the state that it tells of, which may be long ago when it is made: that a
-- deposit of last week is taken back, or that its withdrawal can no longer be canceled. It is due from
-- when it was made on, and its time to be tried begins there.
ALTER TABLE book_main.callbacks ADD COLUMN made_at timestamptz;

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261129000028 for programs that know 20261128000021';
