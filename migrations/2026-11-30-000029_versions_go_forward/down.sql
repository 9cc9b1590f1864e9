DROP TRIGGER transfers_go_forward_trg ON book_main.transfers;
DROP FUNCTION book_main.refuse_to_go_back();

COMMENT ON TABLE __diesel_schema_migrations IS
    'up to 20261129000028 for programs that know 20261128000021';
