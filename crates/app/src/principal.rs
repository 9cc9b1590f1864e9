//! Who is calling and what they may do.

use std::net::IpAddr;

use bursar_domain::{ActorId, AuditDraft, UserId};
use bursar_ports::Permission;

use crate::{Caller, Error};

/// What a request is made with and where it comes from, as the audit log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The credential: `token:<id>`, `access_key:<public half>`, `jwt:<jti, else kid>`,
    /// `session:<id>` of the console, or `local`.
    pub credential: String,
    /// The id of the request.
    pub request_id: String,
    /// The address it comes from.
    pub address: String,
}

/// What stands for a request id or an address that is not known.
const UNKNOWN: &str = "unknown";

/// What the command line is called in the place of a credential, a request and an address.
const LOCAL: &str = "local";

impl Origin {
    /// A request of which only the credential is known.
    pub(crate) fn with(credential: impl Into<String>) -> Self {
        Self {
            credential: credential.into(),
            request_id: UNKNOWN.to_owned(),
            address: UNKNOWN.to_owned(),
        }
    }

    /// The same credential in this request.
    pub(crate) fn of(mut self, caller: &Caller) -> Self {
        caller.request_id.clone_into(&mut self.request_id);
        if let Some(address) = caller.address {
            self.address = address.to_string();
        }
        self
    }
}

/// Who the credentials say is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Whom the credential stands for, as operators see it.
    pub subject: String,
    /// The user it acts for, if it is a user's.
    pub user: Option<UserId>,
    /// What it allows.
    pub permissions: Vec<Permission>,
    /// How many requests a minute it may make instead of what everybody may.
    pub requests_per_minute: Option<u32>,
    /// How it is calling.
    pub origin: Origin,
}

impl Principal {
    /// Whoever runs Bursar's own command line: there the machine has checked who may.
    pub fn local_operator() -> Self {
        Self {
            subject: "local operator".to_owned(),
            user: None,
            permissions: vec![
                Permission::BackofficeRead,
                Permission::BackofficeWrite,
                Permission::BackofficeConfirm,
                Permission::Admin,
            ],
            requests_per_minute: None,
            origin: Origin {
                credential: LOCAL.to_owned(),
                request_id: LOCAL.to_owned(),
                address: LOCAL.to_owned(),
            },
        }
    }

    /// The same principal in a request with this id from this address.
    #[must_use]
    pub fn asking(mut self, request_id: &str, address: Option<IpAddr>) -> Self {
        request_id.clone_into(&mut self.origin.request_id);
        if let Some(address) = address {
            self.origin.address = address.to_string();
        }
        self
    }

    /// Grants a permission that the credential has.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when it does not.
    pub fn grant(&self, permission: Permission) -> Result<Grant, Error> {
        self.grant_any(&[permission])
    }

    /// Grants the first of several permissions that the credential has.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming the first one, when it has none of them.
    pub fn grant_any(&self, permissions: &[Permission]) -> Result<Grant, Error> {
        let granted = permissions.iter().find(|one| self.has(**one));
        match (granted, permissions.first()) {
            (Some(permission), _) => Ok(Grant {
                principal: self.clone(),
                permission: *permission,
            }),
            (None, Some(wanted)) => Err(Error::Forbidden(*wanted)),
            (None, None) => Err(Error::Internal("no permission was asked for")),
        }
    }

    /// A user's credential acts for that user alone, whatever was written into it.
    fn has(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission) && (self.user.is_none() || permission.is_for_users())
    }

    /// The name under which idempotency keys are kept apart.
    pub(crate) fn key_principal(&self) -> String {
        self.user
            .map_or_else(|| self.subject.clone(), |user| user.to_string())
    }
}

/// Proof that a principal has a permission. Only [`Principal::grant`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    principal: Principal,
    permission: Permission,
}

impl Grant {
    /// Whose it is.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(crate) fn actor(&self) -> ActorId {
        ActorId::new(self.principal.subject.clone())
    }

    /// Who does this, as the audit log keeps it; what was there before and after is told where the
    /// change is made.
    pub fn audit(&self, action: &'static str, target: impl Into<String>) -> AuditDraft {
        let Origin {
            credential,
            request_id,
            address,
        } = self.principal.origin.clone();
        AuditDraft {
            actor: self.actor(),
            credential,
            request_id,
            address,
            action,
            target: target.into(),
            before: None,
            after: None,
        }
    }

    /// Refuses a grant of another permission.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), Error> {
        self.require_any(&[permission])
    }

    pub(crate) fn require_any(&self, permissions: &[Permission]) -> Result<(), Error> {
        match permissions.first() {
            _ if permissions.contains(&self.permission) => Ok(()),
            Some(wanted) => Err(Error::Forbidden(*wanted)),
            None => Err(Error::Internal("no permission was asked for")),
        }
    }

    /// The user whose money this is about.
    pub(crate) fn require_user(&self, permission: Permission) -> Result<UserId, Error> {
        self.require(permission)?;
        self.principal.user.ok_or(Error::NoUser)
    }
}

#[cfg(test)]
mod tests;
