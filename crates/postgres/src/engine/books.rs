//! From what was locked and read to what `settle` wants.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use bursar_domain::{
    AccountKey, Asset, AssetId, Balance, FieldValue, Fingerprint, IdempotencyClaim, ItemResult,
    Kind, Reason, TransferId, Usage, UsageKey, Version,
    ledger::{Books, StoredClaim},
};
use bursar_ports::StoreError;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    batch::{Batch, Claim},
    results,
    rules::KnownRules,
};
use crate::{
    error::inconsistent,
    row::{AccountRow, Uses, read_scale},
    statement::{ClaimKeys, DeleteKeys, ReadKeys, RewriteKeys, RowTypes},
    usage::{read_root_uses, read_uses, usage_key},
};

/// A key as its columns: principal, operation, key.
pub(super) type KeyName = (String, String, String);
/// A row of `idempotency_keys`.
pub(crate) type KeyRow = (
    String,
    String,
    String,
    Vec<u8>,
    Value,
    i64,
    Option<String>,
    Option<Value>,
);
pub(super) type AssetRow = (String, String, i16, bool, bool, bool);

/// What the first round trip brought.
pub(super) struct Read {
    /// The keys that were free and are now this transaction's.
    pub(super) claimed: Vec<KeyName>,
    pub(super) versions: Vec<(i64, i32)>,
    /// The references to their entries that locked transfers have.
    pub(super) entry_refs: Vec<(i64, Vec<i64>)>,
    pub(super) accounts: Vec<AccountRow>,
    pub(super) stored: Vec<KeyRow>,
    pub(super) assets: Vec<AssetRow>,
    /// What users have used in the root asset.
    pub(super) root_uses: Vec<(Uuid, String, Option<Vec<u8>>)>,
    /// Which version of the rules is in force.
    pub(super) revision: i64,
    /// Whether a replica holds the book.
    pub(super) is_held: bool,
    /// The epoch of whoever holds it.
    pub(super) epoch: i64,
}

/// What was locked, as it was, to tell what changed.
pub(super) struct Before {
    pub(super) balances: HashMap<AccountKey, Balance>,
    pub(super) usage: HashMap<UsageKey, Usage>,
    /// The uses that are to be counted anew.
    pub(super) uncounted: BTreeSet<UsageKey>,
}

impl Read {
    pub(super) fn into_books<B: Batch + ?Sized>(
        self,
        batch: &B,
        wanted: &BTreeSet<UsageKey>,
        known: &KnownRules,
    ) -> Result<(Books, Before), StoreError> {
        let mut books = Books {
            rules: Arc::clone(&known.rules),
            ..Books::default()
        };
        let mut stored: HashMap<UsageKey, Uses> = HashMap::new();
        for row in &self.accounts {
            let account = row.key()?;
            stored.extend(uses_of(row, &account, wanted)?);
            books.accounts.insert(account, row.balance()?);
        }
        for row in self.root_uses {
            stored.extend(read_root_uses(row)?);
        }
        let mut uncounted = BTreeSet::new();
        for key in wanted {
            let uses = stored.remove(key);
            let is_current = uses.as_ref().map(|uses| uses.epoch) == known.epoch_of(key);
            if is_current {
                books.usage.extend(uses.map(|uses| (*key, uses.usage)));
            } else if known.epoch_of(key).is_some() {
                uncounted.insert(*key);
            }
        }
        for (id, name, scale, can_deposit, can_withdraw, can_transfer) in self.assets {
            let bad = |column: &str| inconsistent("assets", format!("{id}: {column}"));
            let asset = Asset {
                id: AssetId::parse(&id).map_err(|_| bad("id"))?,
                name,
                scale: read_scale(scale).ok_or_else(|| bad("scale"))?,
                can_deposit,
                can_withdraw,
                can_transfer,
            };
            books.assets.insert(asset.id, asset);
        }
        for (id, version) in self.versions {
            let id = TransferId::try_new(id)
                .map_err(|error| inconsistent("transfers", error.to_string()))?;
            books.versions.insert(id, Version::new(version));
        }
        let mut lost: HashMap<KeyName, StoredClaim> = HashMap::new();
        for row in self.stored {
            let name = (row.0.clone(), row.1.clone(), row.2.clone());
            if !self.claimed.contains(&name) {
                lost.insert(name, read_claim(row)?);
            }
        }
        for Claim { claim, .. } in batch.claims() {
            if let Some(stored) = lost.get(&name_of(claim)) {
                books
                    .keys
                    .insert((claim.scope.clone(), claim.key.clone()), stored.clone());
            }
        }
        let before = Before {
            balances: books.accounts.clone(),
            usage: books.usage.clone(),
            uncounted,
        };
        Ok((books, before))
    }
}

/// What is stored with an account of the wanted uses.
fn uses_of(
    row: &AccountRow,
    account: &AccountKey,
    wanted: &BTreeSet<UsageKey>,
) -> Result<Vec<(UsageKey, Uses)>, StoreError> {
    let mut found = vec![];
    for kind in [Kind::Withdrawal, Kind::Internal] {
        let key = usage_key(account, kind).filter(|key| wanted.contains(key));
        if let Some((key, stored)) = key.zip(row.uses(kind)) {
            found.push((key, read_uses(&key, stored)?));
        }
    }
    Ok(found)
}

/// The columns that name a claim's key.
pub(super) fn name_of(claim: &IdempotencyClaim) -> KeyName {
    let scope = &claim.scope;
    (
        scope.principal.clone(),
        scope.operation.to_owned(),
        claim.key.as_str().to_owned(),
    )
}

/// A key's row as what it is bound to.
pub(crate) fn read_claim(row: KeyRow) -> Result<StoredClaim, StoreError> {
    let (_, _, key, fingerprint, fields, transfer, refusal, results) = row;
    let bad = |column: &str| inconsistent("idempotency_keys", format!("{key}: {column}"));
    let Value::Object(object) = fields else {
        return Err(bad("fields"));
    };
    let fields = object
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(value) => Ok(FieldValue { name, value }),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => Err(bad("fields")),
        })
        .collect::<Result<_, _>>()?;
    let refusal = match refusal {
        Some(code) => Some(Reason::from_code(&code).ok_or_else(|| bad("refusal"))?),
        None => None,
    };
    let results = match results {
        Some(stored) => Some(results::read(&stored).ok_or_else(|| bad("results"))?),
        None => None,
    };
    Ok(StoredClaim {
        fingerprint: Fingerprint(fingerprint.try_into().map_err(|_| bad("fingerprint"))?),
        fields,
        transfer: TransferId::try_new(transfer).map_err(|_| bad("transfer_id"))?,
        refusal,
        results,
    })
}

/// Keys and their claims as arrays.
#[derive(Default)]
pub(super) struct KeyColumns<'a> {
    principals: Vec<&'a str>,
    operations: Vec<&'a str>,
    keys: Vec<&'a str>,
    fingerprints: Vec<&'a [u8]>,
    fields: Vec<String>,
    transfers: Vec<i64>,
    refusals: Vec<Option<&'a str>>,
    results: Vec<Option<String>>,
}

impl<'a> KeyColumns<'a> {
    pub(super) fn of(claims: impl Iterator<Item = Claim<'a>>) -> Self {
        let mut columns = Self::default();
        for claim in claims {
            columns.push(claim, None, claim.results);
        }
        columns
    }

    pub(super) fn push(
        &mut self,
        claim: Claim<'a>,
        refusal: Option<Reason>,
        results: Option<&[ItemResult]>,
    ) {
        let Claim { claim, id, .. } = claim;
        let fields: Map<String, Value> = claim
            .fields
            .iter()
            .map(|field| (field.name.clone(), Value::String(field.value.clone())))
            .collect();
        self.principals.push(&claim.scope.principal);
        self.operations.push(claim.scope.operation);
        self.keys.push(claim.key.as_str());
        self.fingerprints.push(&claim.fingerprint.0);
        self.fields.push(Value::Object(fields).to_string());
        self.transfers.push(id.get());
        self.refusals.push(refusal.map(Reason::code));
        self.results.push(results.map(results::write));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn claim(&self, types: &RowTypes) -> ClaimKeys<'_> {
        ClaimKeys {
            row_type: types.claims,
            principals: &self.principals,
            operations: &self.operations,
            keys: &self.keys,
            fingerprints: &self.fingerprints,
            fields: &self.fields,
            transfers: &self.transfers,
            results: &self.results,
        }
    }

    pub(super) fn read(&self) -> ReadKeys<'_> {
        ReadKeys {
            principals: &self.principals,
            operations: &self.operations,
            keys: &self.keys,
        }
    }

    pub(super) fn rewrite(&self) -> RewriteKeys<'_> {
        RewriteKeys {
            principals: &self.principals,
            operations: &self.operations,
            keys: &self.keys,
            fingerprints: &self.fingerprints,
            fields: &self.fields,
            transfers: &self.transfers,
            refusals: &self.refusals,
            results: &self.results,
        }
    }

    pub(super) fn delete(&self) -> DeleteKeys<'_> {
        DeleteKeys {
            principals: &self.principals,
            operations: &self.operations,
            keys: &self.keys,
        }
    }
}
