//! The audit log, one table in each schema. A row goes where the change is that it tells of.

use diesel::sql_types::{Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::value::At;

row_statement! {
    /// Appends to the book's audit log.
    InsertBookAudit {
        ids: Uuid,
        at: At,
        actors: &'a str,
        credentials: &'a str,
        request_ids: &'a str,
        addresses: &'a str,
        actions: &'a str,
        targets: &'a str,
        before: Option<String>,
        after: Option<String>,
    }
    "/* insert_book_audit */ INSERT INTO audit_log \
     (id, at, actor, credential, request_id, address, action, target, before, after) \
     SELECT n.id, n.at, n.actor, n.credential, n.request_id, n.address, n.action, n.target, \
     n.before::json, n.after::json FROM unnest("
    "::new_audit_record[]) AS n"
}

statement! {
    /// Appends to the directory's audit log.
    InsertDirectoryAudit {
        "/* insert_directory_audit */ INSERT INTO directory.audit_log \
         (id, at, actor, credential, request_id, address, action, target, before, after) \
         SELECT n.id, n.at, n.actor, n.credential, n.request_id, n.address, n.action, n.target, \
         n.before::json, n.after::json \
         FROM unnest(" ids: Uuid => SqlUuid,
        ", " at: At => Timestamptz,
        ", " actors: &'a str => Text,
        ", " credentials: &'a str => Text,
        ", " request_ids: &'a str => Text,
        ", " addresses: &'a str => Text,
        ", " actions: &'a str => Text,
        ", " targets: &'a str => Text,
        ", " before: Option<String> => Nullable<Text>,
        ", " after: Option<String> => Nullable<Text>,
    }
    ") AS n (id, at, actor, credential, request_id, address, action, target, before, after)"
}
