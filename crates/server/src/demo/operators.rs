//! Who signs in to the demo's console. Name and password are the same everywhere and documented; what
//! codes are made from is each demo's own, so that nobody gets in who cannot read its folder.

use bursar_app::{App, Error, Grant, NewOperator, TotpSecret};
use bursar_domain::Timestamp;
use bursar_ports::{Password, Permission};

use super::Secrets;

/// The password of both.
pub(crate) const PASSWORD: &str = "bursar-demo-console";

/// An operator of the demo.
pub(crate) struct DemoOperator {
    pub(crate) name: &'static str,
    /// What its secret for codes is called among the secrets.
    pub(super) secret: &'static str,
    permissions: &'static [Permission],
}

/// The second one approves what the first one made.
pub(crate) const CONSOLE_OPERATORS: [DemoOperator; 2] = [
    DemoOperator {
        name: "demo",
        secret: "DEMO_TOTP_SECRET",
        permissions: &[
            Permission::BackofficeRead,
            Permission::BackofficeWrite,
            Permission::BackofficeConfirm,
            Permission::BackofficeApprove,
            Permission::Admin,
        ],
    },
    DemoOperator {
        name: "second",
        secret: "SECOND_TOTP_SECRET",
        permissions: &[Permission::BackofficeRead, Permission::BackofficeApprove],
    },
];

/// Makes those that are not there yet. What somebody changed since the first start stays changed.
pub(super) async fn keep(app: &App, admin: &Grant, secrets: &mut Secrets) -> Result<(), Error> {
    let there = app.list_operators(admin, None, u32::MAX).await?;
    for demo in &CONSOLE_OPERATORS {
        let is_there = there.iter().any(|one| one.name == demo.name);
        if is_there && secrets.get(demo.secret).is_some() {
            continue;
        }
        let name = demo.name.to_owned();
        let totp = if is_there {
            app.reset_operator_totp(admin, name).await?
        } else {
            let new = NewOperator {
                name,
                permissions: demo.permissions.to_vec(),
                password: Password(PASSWORD.to_owned()),
            };
            app.create_operator(admin, new).await?.totp
        };
        secrets.set(demo.secret, totp.to_base32());
    }
    Ok(())
}

/// The code of each operator that is shown at this time.
pub(crate) fn codes(secrets: &Secrets, now: Timestamp) -> Vec<(&'static str, String)> {
    let code = |demo: &DemoOperator| {
        let secret = secrets.get(demo.secret).and_then(TotpSecret::parse)?;
        Some((demo.name, secret.code_at(now)))
    };
    CONSOLE_OPERATORS.iter().filter_map(code).collect()
}
