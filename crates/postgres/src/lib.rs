//! The PostgreSQL adapter: batch engine, directory, outbox and lists.
