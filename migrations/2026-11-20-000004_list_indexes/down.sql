DROP INDEX book_main.transfers_custom_id_idx;
DROP INDEX book_main.transfers_list_idx;
