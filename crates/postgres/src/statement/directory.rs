//! Who answers to a name.
//!
//! What nobody answers to comes with nobody's row, which is read and put together like anybody's:
//! the time must not tell whether there was one (ADR 0009).

use diesel::sql_types::{Array, Bool, Text, Uuid as SqlUuid};
use uuid::Uuid;
statement! {
    /// Every name with who answers to it, the email before the username.
    FindAliases -> (Text, Bool, SqlUuid, Text, Text, Array<Text>, Text) {
        "/* find_aliases */ \
         SELECT n.alias, u.* FROM unnest(" aliases: String => Text,
    }
    ") AS n (alias) CROSS JOIN LATERAL ( \
       SELECT true, id, username, email, roles, status FROM directory.users \
       WHERE email_fold = n.alias AND email_fold <> '' \
       UNION ALL \
       SELECT true, id, username, email, roles, status FROM directory.users \
       WHERE username_fold = n.alias \
       UNION ALL \
       SELECT false, '00000000-0000-0000-0000-000000000000', n.alias, n.alias, '{}', 'Terminated' \
       LIMIT 1 \
     ) AS u"
}

statement! {
    /// Every id with whose it is.
    FindNamed -> (SqlUuid, Bool, SqlUuid, Text, Text, Array<Text>, Text) {
        "/* find_named */ \
         SELECT n.id, u.* FROM unnest(" ids: Uuid => SqlUuid,
    }
    ") AS n (id) CROSS JOIN LATERAL ( \
       SELECT true, id, username, email, roles, status FROM directory.users WHERE id = n.id \
       UNION ALL \
       SELECT false, n.id, 'nobody', 'nobody', '{}', 'Terminated' \
       LIMIT 1 \
     ) AS u"
}
