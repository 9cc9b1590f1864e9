//! Idempotency keys.

use diesel::sql_types::{BigInt, Bytea, Json, Jsonb, Nullable, Text};

row_statement! {
    /// Claims keys, in one order everywhere. A key that another transaction is claiming makes this
    /// wait, while nothing else is locked yet. Returns the keys that were free.
    ClaimKeys -> (Text, Text, Text) {
        principals: &'a str,
        operations: &'a str,
        keys: &'a str,
        fingerprints: &'a [u8],
        fields: String,
        transfers: i64,
        results: Option<String>,
    }
    "/* claim_keys */ INSERT INTO idempotency_keys \
     (principal, operation, key, fingerprint, fields, transfer_id, results) \
     SELECT n.principal, n.operation, n.key, n.fingerprint, n.fields::jsonb, n.transfer_id, \
     n.results::json FROM unnest("
    "::key_claim[]) AS n ORDER BY n.principal, n.operation, n.key \
     ON CONFLICT (principal, operation, key) DO NOTHING \
     RETURNING principal, operation, key"
}

statement! {
    /// What keys are bound to.
    ReadKeys -> (Text, Text, Text, Bytea, Jsonb, BigInt, Nullable<Text>, Nullable<Json>) {
        "/* read_keys */ SELECT k.principal, k.operation, k.key, k.fingerprint, k.fields, \
         k.transfer_id, k.refusal, k.results \
         FROM unnest(" principals: &'a str => Text,
        ", " operations: &'a str => Text,
        ", " keys: &'a str => Text,
    }
    ") AS n (principal, operation, key) \
     JOIN idempotency_keys k USING (principal, operation, key)"
}

statement! {
    /// Binds claimed keys to what came of them: a refusal, or another item of the same batch.
    RewriteKeys -> (BigInt) {
        "/* rewrite_keys */ WITH written AS (UPDATE idempotency_keys k \
         SET fingerprint = n.fingerprint, fields = n.fields::jsonb, \
         transfer_id = n.transfer_id, refusal = n.refusal, results = n.results::json \
         FROM unnest(" principals: &'a str => Text,
        ", " operations: &'a str => Text,
        ", " keys: &'a str => Text,
        ", " fingerprints: &'a [u8] => Bytea,
        ", " fields: String => Text,
        ", " transfers: i64 => BigInt,
        ", " refusals: Option<&'a str> => Nullable<Text>,
        ", " results: Option<String> => Nullable<Text>,
    }
    ") AS n (principal, operation, key, fingerprint, fields, transfer_id, refusal, results) \
     WHERE k.principal = n.principal AND k.operation = n.operation AND k.key = n.key \
     RETURNING 1) \
     SELECT 1 / (count(*) = cardinality($1))::int::bigint FROM written"
}

statement! {
    /// Frees keys whose items came to nothing.
    DeleteKeys {
        "/* delete_keys */ DELETE FROM idempotency_keys k USING unnest("
            principals: &'a str => Text,
        ", " operations: &'a str => Text,
        ", " keys: &'a str => Text,
    }
    ") AS n (principal, operation, key) \
     WHERE k.principal = n.principal AND k.operation = n.operation AND k.key = n.key"
}
