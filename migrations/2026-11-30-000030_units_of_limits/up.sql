-- In which unit limits over all assets are set: the root asset and its scale at that time. A transfer
-- keeps what it was worth in a unit of its own, and only what is in the same one can be held against the
-- limits. Null where a release that did not know of it wrote the limits, and of limits of one asset.
ALTER TABLE book_main.limits
    ADD COLUMN root_asset text,
    ADD COLUMN root_scale smallint,
    ADD CONSTRAINT limits_root_asset_ck CHECK (
        (root_asset IS NULL) = (root_scale IS NULL) AND (root_asset IS NULL OR asset = '')),
    ADD CONSTRAINT limits_root_scale_ck CHECK (root_scale BETWEEN 0 AND 18);

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261130000030 for programs that know 20261128000021';
