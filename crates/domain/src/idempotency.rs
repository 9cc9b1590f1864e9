//! Idempotency keys: one key, at most one effect, for ever (contract §0).

use std::{collections::HashMap, fmt};

/// Who uses a key, and for what: the same text is another key for another principal or operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyScope {
    /// The user for a user's credentials, else the subject of the token.
    pub principal: String,
    /// The operation, not the path: `deposit`, `withdraw`, `withdraw-confirm`, …
    pub operation: &'static str,
}

/// A caller's key: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads the header's value, bare or in double quotes.
    ///
    /// # Errors
    /// [`InvalidKey`] when it is empty, too long or has blanks or other invisible characters.
    pub fn parse(header: &str) -> Result<Self, InvalidKey> {
        let inner = header
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(header);
        let visible = inner.bytes().all(|b| b.is_ascii_graphic());
        if (1..=255).contains(&inner.len()) && visible && inner != "\"" {
            Ok(Self(inner.to_owned()))
        } else {
            Err(InvalidKey)
        }
    }

    /// The key without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A header that is not an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to 255 visible ASCII characters")]
pub struct InvalidKey;

/// SHA-256 over the parsed request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

/// One field of the request behind a fingerprint, in its normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldValue {
    /// The field's name on the wire.
    pub name: String,
    /// Its normalised value; empty when it was not given.
    pub value: String,
}

impl FieldValue {
    fn pair(&self) -> (&str, &str) {
        (&self.name, &self.value)
    }
}

/// A request's claim on a key, made in the transaction that moves the money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyClaim {
    /// Who uses it and for what.
    pub scope: KeyScope,
    /// The key.
    pub key: IdempotencyKey,
    /// Tells two requests apart.
    pub fingerprint: Fingerprint,
    /// The fields behind the fingerprint, so that a clash can be named.
    pub fields: Vec<FieldValue>,
}

impl IdempotencyClaim {
    /// The names of the fields in which another request differs from this one.
    pub fn differing_fields(&self, other: &[FieldValue]) -> Vec<String> {
        let there: HashMap<&str, &str> = other.iter().map(FieldValue::pair).collect();
        let here: HashMap<&str, &str> = self.fields.iter().map(FieldValue::pair).collect();
        let differ_there = self
            .fields
            .iter()
            .filter(|field| there.get(field.name.as_str()) != Some(&field.value.as_str()));
        let missing_here = other
            .iter()
            .filter(|field| !here.contains_key(field.name.as_str()));
        differ_there
            .chain(missing_here)
            .map(|field| field.name.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_bare_or_quoted() {
        let bare = IdempotencyKey::parse("abc-1").unwrap();
        assert_eq!(IdempotencyKey::parse("\"abc-1\""), Ok(bare));
        assert_eq!(IdempotencyKey::parse("a\"b").unwrap().as_str(), "a\"b");
        assert!(IdempotencyKey::parse(&"k".repeat(255)).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "\"", "\"\"", "a b", "a\tb", "é", &"k".repeat(256)] {
            assert_eq!(IdempotencyKey::parse(text), Err(InvalidKey), "{text:?}");
        }
    }

    /// A hash of what can be guessed tells it.
    #[test]
    fn a_fingerprint_is_shown_to_nobody() {
        assert_eq!(format!("{:?}", Fingerprint([7; 32])), "Fingerprint(..)");
    }

    #[test]
    fn differing_fields_are_named_once() {
        let field = |name: &str, value: &str| FieldValue {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let claim = IdempotencyClaim {
            scope: KeyScope {
                principal: "p".to_owned(),
                operation: "deposit",
            },
            key: IdempotencyKey::parse("k").unwrap(),
            fingerprint: Fingerprint([0; 32]),
            fields: vec![field("amount", "1"), field("asset", "btc")],
        };
        let other = [
            field("amount", "2"),
            field("asset", "btc"),
            field("comment", "x"),
        ];
        assert_eq!(claim.differing_fields(&other), ["amount", "comment"]);
    }
}
