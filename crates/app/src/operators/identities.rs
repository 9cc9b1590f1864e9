//! Operators whom the identity provider knows. Who is meant is said here, by an administrator; names
//! and emails that the provider tells are nobody's word for it, because their owners can change them.

use bursar_ports::{Identity, Operator, OperatorChange, Password, Permission};

use super::{
    NewOperator,
    accounts::{invalid, name_taken, name_unknown, wrong_name, wrong_permissions},
    operator_target,
};
use crate::{App, Error, FieldError, Grant, keyring::random_text};

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
        let account = NewOperator {
            name: new.name,
            permissions: new.permissions,
            password: Password(random_text(self.ports.ids.random_bytes())),
        };
        let (_, totp) = self.new_totp(&account.name)?;
        let operator = self.new_operator(account, totp, Some(identity)).await?;
        let audit = grant.audit("operator.create", operator_target(&operator.name));
        let operators = &self.ports.operators;
        if operators.add(operator.clone(), audit).await? {
            return Ok(operator);
        }
        if operators.find(operator.name).await?.is_some() {
            return Err(name_taken());
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
            None => Err(name_unknown()),
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
        if !Identity::is_subject(subject) {
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
