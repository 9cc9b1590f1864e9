//! Operators' accounts. A secret for codes is shown once, when it is made.

use bursar_ports::{
    Identity, Operator, OperatorChange, Password, Permission, SealedSecret, SecretOwner,
};

use super::{OPERATORS_PERMISSIONS, TotpSecret, operator_target};
use crate::{App, Error, FieldError, Grant};

/// The longest name, in bytes.
const NAME_MAX: usize = 64;
/// How many characters a password has at least. It is one of two factors, and tries are few.
const PASSWORD_CHARS_MIN: usize = 12;
/// How many bytes of a password are hashed at most.
pub(super) const PASSWORD_BYTES_MAX: usize = 1_024;

/// What a new operator is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOperator {
    /// The name.
    pub name: String,
    /// What sessions allow.
    pub permissions: Vec<Permission>,
    /// The password.
    pub password: Password,
}

/// An operator that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedOperator {
    /// What is kept.
    pub operator: Operator,
    /// What codes are made from: shown now and never again.
    pub totp: TotpSecret,
}

impl App {
    /// Makes an operator.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the name is malformed or taken, when the password is too short, and
    /// when a permission is none of an operator's.
    pub async fn create_operator(
        &self,
        grant: &Grant,
        new: NewOperator,
    ) -> Result<IssuedOperator, Error> {
        grant.require(Permission::Admin)?;
        let wrong = [
            wrong_name(&new.name),
            wrong_permissions(&new.permissions),
            wrong_password(&new.password),
        ];
        let wrong: Vec<FieldError> = wrong.into_iter().flatten().collect();
        if !wrong.is_empty() {
            return Err(Error::Invalid(wrong));
        }
        let (totp, sealed) = self.new_totp(&new.name)?;
        let operator = self.new_operator(new, sealed, None).await?;
        let audit = grant.audit("operator.create", operator_target(&operator.name));
        if self.ports.operators.add(operator.clone(), audit).await? {
            Ok(IssuedOperator { operator, totp })
        } else {
            Err(name_taken())
        }
    }

    /// Operators in order of names.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_operators(
        &self,
        grant: &Grant,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<Operator>, Error> {
        grant.require(Permission::Admin)?;
        Ok(self.ports.operators.list(after, limit).await?)
    }

    /// Gives an operator another password, and ends the sessions.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is too short, or when there is no such operator.
    pub async fn set_operator_password(
        &self,
        grant: &Grant,
        name: String,
        password: Password,
    ) -> Result<(), Error> {
        grant.require(Permission::Admin)?;
        if let Some(wrong) = wrong_password(&password) {
            return Err(Error::Invalid(vec![wrong]));
        }
        let hash = self.ports.passwords.hash(password).await?;
        let change = OperatorChange::Password(hash);
        self.change(grant, "operator.set_password", name, change)
            .await
    }

    /// Gives an operator another secret for codes, and ends the sessions.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such operator.
    pub async fn reset_operator_totp(
        &self,
        grant: &Grant,
        name: String,
    ) -> Result<TotpSecret, Error> {
        grant.require(Permission::Admin)?;
        let (totp, sealed) = self.new_totp(&name)?;
        let change = OperatorChange::Totp(sealed);
        self.change(grant, "operator.reset_totp", name, change)
            .await?;
        Ok(totp)
    }

    /// Gives an operator other permissions, which count at once.
    ///
    /// # Errors
    /// [`Error::Invalid`] when one is none of an operator's, or when there is no such operator.
    pub async fn set_operator_permissions(
        &self,
        grant: &Grant,
        name: String,
        permissions: Vec<Permission>,
    ) -> Result<(), Error> {
        grant.require(Permission::Admin)?;
        if let Some(wrong) = wrong_permissions(&permissions) {
            return Err(Error::Invalid(vec![wrong]));
        }
        let change = OperatorChange::Permissions(permissions);
        self.change(grant, "operator.set_permissions", name, change)
            .await
    }

    /// Ends an operator's sessions and lets none be opened; repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such operator.
    pub async fn disable_operator(&self, grant: &Grant, name: String) -> Result<(), Error> {
        grant.require(Permission::Admin)?;
        self.change(grant, "operator.disable", name, OperatorChange::Disable)
            .await
    }

    /// Lets an operator sign in, also one who has to wait because of failures.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such operator, and when the operator's secret for codes
    /// cannot be decrypted: a disabled one's is left under a key that goes, and once it counts again
    /// no replica would start without that key.
    pub async fn enable_operator(&self, grant: &Grant, name: String) -> Result<(), Error> {
        grant.require(Permission::Admin)?;
        let found = self.ports.operators.find(name.clone()).await?;
        let operator = found.ok_or_else(name_unknown)?;
        let owner = SecretOwner::OperatorTotp(name.clone()).to_string();
        if self.keyring.open(&operator.totp, &owner).is_err() {
            return Err(totp_unreadable(&name));
        }
        self.change(grant, "operator.enable", name, OperatorChange::Enable)
            .await
    }

    pub(super) async fn change(
        &self,
        grant: &Grant,
        action: &'static str,
        name: String,
        change: OperatorChange,
    ) -> Result<(), Error> {
        let audit = grant.audit(action, operator_target(&name));
        let operators = &self.ports.operators;
        if operators.change(name, change, self.now(), audit).await? {
            Ok(())
        } else {
            Err(name_unknown())
        }
    }

    /// An operator as it begins.
    pub(super) async fn new_operator(
        &self,
        new: NewOperator,
        totp: SealedSecret,
        identity: Option<Identity>,
    ) -> Result<Operator, Error> {
        Ok(Operator {
            name: new.name,
            password: self.ports.passwords.hash(new.password).await?,
            totp,
            totp_step: None,
            identity,
            permissions: new.permissions,
            is_active: true,
            revision: 1,
            failures: 0,
            next_try_at: None,
            created_at: self.now(),
        })
    }

    pub(super) fn new_totp(&self, name: &str) -> Result<(TotpSecret, SealedSecret), Error> {
        let ids = &self.ports.ids;
        let totp = TotpSecret::from_random(ids.random_bytes());
        let owner = SecretOwner::OperatorTotp(name.to_owned()).to_string();
        let sealed = self
            .keyring
            .seal(totp.as_bytes(), &owner, ids.random_bytes())
            .map_err(|_| Error::Internal("a secret cannot be encrypted"))?;
        Ok((totp, sealed))
    }
}

pub(super) fn invalid(field: &str, code: &'static str, detail: &str) -> Error {
    Error::Invalid(vec![FieldError::new(field, code, detail)])
}

pub(super) fn name_taken() -> Error {
    let detail = "another operator has this name";
    invalid("name", "operator.name_taken", detail)
}

pub(super) fn name_unknown() -> Error {
    let detail = "there is no operator with this name";
    invalid("name", "operator.unknown", detail)
}

fn totp_unreadable(name: &str) -> Error {
    let detail = format!(
        "the secret for codes cannot be decrypted with the configured keys: run \
         bursar operator reset-totp {name} first"
    );
    invalid("name", "operator.totp_unreadable", &detail)
}

/// Whether a text is a name. Names stand in links and logs as they are, and are told apart without
/// looking twice: no capitals, no blanks.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'@');
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(plain)
}

pub(super) fn wrong_name(name: &str) -> Option<FieldError> {
    let detail = "a name is 1 to 64 of a to z, 0 to 9, '.', '-', '_' and '@'";
    (!is_name(name)).then(|| FieldError::new("name", "operator.name_invalid", detail))
}

fn wrong_password(password: &Password) -> Option<FieldError> {
    let text = &password.0;
    let fits = text.chars().count() >= PASSWORD_CHARS_MIN && text.len() <= PASSWORD_BYTES_MAX;
    let detail = "a password has 12 characters at least and 1,024 bytes at most";
    (!fits).then(|| FieldError::new("password", "operator.password_invalid", detail))
}

pub(super) fn wrong_permissions(permissions: &[Permission]) -> Option<FieldError> {
    let theirs = |one: &Permission| OPERATORS_PERMISSIONS.contains(one);
    let fits = !permissions.is_empty() && permissions.iter().all(theirs);
    let detail = "an operator has one permission at least, and none of those for users";
    (!fits).then(|| FieldError::new("permissions", "operator.permissions_invalid", detail))
}
