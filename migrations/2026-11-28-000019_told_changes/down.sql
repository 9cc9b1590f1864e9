DROP TRIGGER access_keys_change_tg ON directory.access_keys;
DROP TRIGGER tokens_change_tg ON directory.tokens;
DROP TRIGGER users_change_tg ON directory.users;
DROP FUNCTION directory.tell_change();
