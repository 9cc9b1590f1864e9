//! Operators whom the identity provider knows. Who is meant is said here, by an administrator; names
//! and emails that the provider tells are nobody's word for it, because their owners can change them.

use bursar_ports::{Identity, Operator, OperatorChange, Password, Permission};

use super::{
    accounts::{invalid, wrong_name, wrong_permissions},
    operator_target,
};
use crate::{App, Error, FieldError, Grant, keyring::random_text};

/// The longest subject, in characters (OpenID Connect Core, 2).
const SUBJECT_CHARS_MAX: usize = 255;

/// What a new operator is to be who signs in at the identity provider alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLinkedOperator {
    /// The name.
    pub name: String,
    /// What sessions allow.
    pub permissions: Vec<Permission>,
    /// What the provider calls the operator (`sub`).
    pub subject: String,
}

impl App {
    /// Makes an operator who signs in at the identity provider. The account has a password and a secret
    /// for codes that nobody knows, so that nothing else is different about it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the name is malformed or taken, when the subject is, when a permission is
    /// none of an operator's, and when there is no identity provider.
    pub async fn create_linked_operator(
        &self,
        grant: &Grant,
        new: NewLinkedOperator,
    ) -> Result<Operator, Error> {
        grant.require(Permission::Admin)?;
        let identity = self.identity(&new.subject);
        let wrong = [
            wrong_name(&new.name),
            wrong_permissions(&new.permissions),
            identity.as_ref().err().cloned(),
        ];
        let wrong: Vec<FieldError> = wrong.into_iter().flatten().collect();
        let (Ok(identity), []) = (identity, wrong.as_slice()) else {
            return Err(Error::Invalid(wrong));
        };
        let password = Password(random_text(self.ports.ids.random_bytes()));
        let (_, totp) = self.new_totp(&new.name)?;
        let operator = Operator {
            password: self.ports.passwords.hash(password).await?,
            totp,
            totp_step: None,
            identity: Some(identity),
            permissions: new.permissions,
            is_active: true,
            revision: 1,
            failures: 0,
            next_try_at: None,
            created_at: self.now(),
            name: new.name,
        };
        let audit = grant.audit("operator.create", operator_target(&operator.name));
        let operators = &self.ports.operators;
        if operators.add(operator.clone(), audit).await? {
            return Ok(operator);
        }
        if operators.find(operator.name).await?.is_some() {
            let detail = "another operator has this name";
            return Err(invalid("name", "operator.name_taken", detail));
        }
        Err(identity_taken())
    }

    /// Gives an operator the identity by which the provider knows them, and ends the sessions.
    /// Repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such operator, when the operator has another identity, when
    /// another operator has this one, and when there is no identity provider.
    pub async fn link_operator(
        &self,
        grant: &Grant,
        name: String,
        subject: String,
    ) -> Result<(), Error> {
        grant.require(Permission::Admin)?;
        let identity = self
            .identity(&subject)
            .map_err(|wrong| Error::Invalid(vec![wrong]))?;
        let audit = grant.audit("operator.link", operator_target(&name));
        let (operators, link) = (&self.ports.operators, OperatorChange::Link(identity));
        if operators
            .change(name.clone(), link, self.now(), audit)
            .await?
        {
            return Ok(());
        }
        match operators.find(name).await? {
            None => {
                let detail = "there is no operator with this name";
                Err(invalid("name", "operator.unknown", detail))
            }
            Some(operator) if operator.identity.is_some() => {
                let detail = "the operator has another subject: unlink it first";
                Err(invalid("name", "operator.linked", detail))
            }
            Some(_) => Err(identity_taken()),
        }
    }

    /// Takes an operator's identity away, and ends the sessions; repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such operator.
    pub async fn unlink_operator(&self, grant: &Grant, name: String) -> Result<(), Error> {
        grant.require(Permission::Admin)?;
        self.change(grant, "operator.unlink", name, OperatorChange::Unlink)
            .await
    }

    /// Whom the provider calls that.
    fn identity(&self, subject: &str) -> Result<Identity, FieldError> {
        let wrong = |code, detail| FieldError::new("subject", code, detail);
        let Some(provider) = &self.ports.identity_provider else {
            let detail = "there is no identity provider: set oidc.issuer";
            return Err(wrong("operator.no_provider", detail));
        };
        let fits = (1..=SUBJECT_CHARS_MAX).contains(&subject.chars().count())
            && !subject.trim().is_empty()
            && !subject.chars().any(char::is_control);
        if !fits {
            let detail = "a subject is 1 to 255 characters, none of them a control character";
            return Err(wrong("operator.subject_invalid", detail));
        }
        Ok(Identity {
            issuer: provider.issuer(),
            subject: subject.to_owned(),
        })
    }
}

fn identity_taken() -> Error {
    let detail = "another operator has this subject";
    invalid("subject", "operator.subject_taken", detail)
}
