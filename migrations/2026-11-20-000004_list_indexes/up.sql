-- What each index serves is told in docs/DATABASE.md.

-- Every list that names a kind or a status, and the admin API's list of everything: each (kind,
-- state) is one range in the order of the lists, and ranges are merged.
CREATE INDEX transfers_list_idx
    ON book_main.transfers (kind, state, created_at DESC, id DESC);

-- How a client finds again what it sent: by the identifier it gave. Identifiers are long and in no
-- order, so a btree would cost three times as much to write; transfers without one are not in it.
CREATE INDEX transfers_custom_id_idx ON book_main.transfers USING hash (custom_id);
