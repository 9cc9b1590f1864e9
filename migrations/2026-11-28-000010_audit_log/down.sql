DROP TABLE book_main.audit_log;
DROP FUNCTION book_main.refuse_change_of_audit_log();
DROP TABLE directory.audit_log;
DROP FUNCTION directory.refuse_change_of_audit_log();
