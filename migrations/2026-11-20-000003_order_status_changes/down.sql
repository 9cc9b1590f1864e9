ALTER TABLE book_main.owners DROP COLUMN revision;

ALTER TABLE directory.users DROP COLUMN status_revision;
