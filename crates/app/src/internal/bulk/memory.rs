//! What a bulk's key remembers of an item that made no transfer.

use bursar_domain::{ItemRefusal, Reason, RefusedField};

use super::ItemError;
use crate::{Error, FieldError, Missing};

/// Stands for wrong fields, which have codes of their own.
const INVALID: &str = "request.invalid";

const MISMATCH: &str = "address_book_code.mismatch";

impl ItemError {
    /// As the key remembers it.
    pub(super) fn remember(&self) -> ItemRefusal {
        let (code, errors) = match self {
            Self::Invalid(errors) => (INVALID, errors.iter().map(remember_field).collect()),
            Self::AddressBookMismatch => (MISMATCH, vec![]),
            Self::NotFound(missing) => (missing.code(), vec![]),
            Self::Refused(reason) => (reason.code(), vec![]),
            Self::NotExecuted => (ItemRefusal::NOT_EXECUTED, vec![]),
        };
        ItemRefusal {
            code: code.to_owned(),
            errors,
        }
    }

    /// From what the key remembers.
    pub(super) fn recall(refusal: ItemRefusal) -> Result<Self, Error> {
        let ItemRefusal { code, errors } = refusal;
        if code == INVALID {
            return Ok(Self::Invalid(
                errors.into_iter().map(recall_field).collect(),
            ));
        }
        if code == MISMATCH {
            return Ok(Self::AddressBookMismatch);
        }
        if code == ItemRefusal::NOT_EXECUTED {
            return Ok(Self::NotExecuted);
        }
        // No item asks for a rate, so one without is a refusal.
        let refused = Reason::from_code(&code).map(Self::Refused);
        refused
            .or_else(|| Missing::from_code(&code).map(Self::NotFound))
            .ok_or(Error::Internal("a key remembers a code that nobody knows"))
    }
}

fn remember_field(error: &FieldError) -> RefusedField {
    RefusedField {
        field: error.field.clone(),
        code: error.code.clone().into_owned(),
        detail: error.detail.clone(),
    }
}

fn recall_field(error: RefusedField) -> FieldError {
    FieldError::new(error.field, error.code, error.detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_recalled() {
        let field = FieldError::new("amount", "amount.zero", "must be positive");
        let missing = Missing::ALL.into_iter();
        let missing = missing.filter(|missing| Reason::from_code(missing.code()).is_none());
        let missing = missing.map(ItemError::NotFound);
        let refused = Reason::ALL.map(ItemError::Refused);
        let others = [
            ItemError::Invalid(vec![field.clone(), field]),
            ItemError::Invalid(vec![]),
            ItemError::AddressBookMismatch,
            ItemError::NotExecuted,
        ];
        for error in missing.chain(refused).chain(others) {
            let recalled = ItemError::recall(error.remember());
            assert_eq!(recalled.ok(), Some(error));
        }
        let unknown = ItemRefusal {
            code: "nobody.knows".to_owned(),
            errors: vec![],
        };
        assert!(matches!(
            ItemError::recall(unknown),
            Err(Error::Internal(_))
        ));
    }
}
