DROP TYPE book_main.new_audit_record;
DROP TYPE book_main.key_claim;
DROP TYPE book_main.account_change;
DROP TYPE book_main.new_entry;
DROP TYPE book_main.transfer_change;
DROP TYPE book_main.new_transfer;
