//! `bursar operator …`: who may sign in to the console.

use std::{
    io::{self, BufRead as _},
    path::Path,
};

use anyhow::Context;
use bursar_app::{App, Error, Grant, NewLinkedOperator, NewOperator, TotpSecret};
use bursar_ports::{Operator, Password};
use data_encoding::BASE32_NOPAD;

use super::{credentials::with_app, say};
use crate::cli::{
    OperatorLinkArgs, OperatorListArgs, OperatorNameArgs, OperatorNewArgs, OperatorPasswordArgs,
    OperatorPermissionsArgs, PasswordArgs,
};

/// How many operators are read at once.
const PAGE: u32 = 100;
/// How many random bytes a generated password has, and in how many groups it is written.
const PASSWORD_BYTES: usize = 15;
const GROUP: usize = 4;

/// Makes an operator, and prints what it signs in with.
pub(crate) async fn create_operator(args: OperatorNewArgs) -> anyhow::Result<()> {
    if let Some(subject) = args.subject {
        let new = NewLinkedOperator {
            name: args.name,
            permissions: args.permissions,
            subject,
        };
        return create_linked_operator(args.config.config.as_deref(), new).await;
    }
    let (password, generated) = password(&args.password)?;
    let new = NewOperator {
        name: args.name,
        permissions: args.permissions,
        password,
    };
    let issued = with_app(args.config.config.as_deref(), async |app, grant| {
        app.create_operator(grant, new).await
    })
    .await
    .map_err(told)?;
    let name = &issued.operator.name;
    say(&format!(
        "operator={name}\n{}{}",
        password_line(generated.as_deref()),
        totp_lines(name, &issued.totp)
    ))
}

/// Makes an operator who has nothing to sign in with here.
async fn create_linked_operator(file: Option<&Path>, new: NewLinkedOperator) -> anyhow::Result<()> {
    let made = with_app(file, async |app, grant| {
        app.create_linked_operator(grant, new).await
    })
    .await
    .map_err(told)?;
    let subject = made.identity.map(|identity| identity.subject);
    let subject = subject.unwrap_or_default();
    say(&format!("operator={}\nsubject={subject}\n", made.name))
}

/// Tells whom the identity provider means.
pub(crate) async fn link_operator(args: OperatorLinkArgs) -> anyhow::Result<()> {
    let (name, subject) = (args.name.clone(), args.subject);
    with_app(args.config.config.as_deref(), async |app, grant| {
        app.link_operator(grant, name, subject).await
    })
    .await
    .map_err(told)?;
    say(&format!("linked: {}\n", args.name))
}

/// Lets an operator sign in at the identity provider no more.
pub(crate) async fn unlink_operator(args: OperatorNameArgs) -> anyhow::Result<()> {
    let name = args.name.clone();
    with_app(args.config.config.as_deref(), async |app, grant| {
        app.unlink_operator(grant, name).await
    })
    .await
    .map_err(told)?;
    say(&format!("unlinked: {}\n", args.name))
}

/// Lists operators.
pub(crate) async fn list_operators(args: OperatorListArgs) -> anyhow::Result<()> {
    let all = with_app(args.config.config.as_deref(), async |app, grant| {
        every_operator(app, grant).await
    })
    .await?;
    let lines: Vec<String> = all.iter().map(line).collect();
    say(&lines.concat())
}

async fn every_operator(app: &App, grant: &Grant) -> Result<Vec<Operator>, Error> {
    let mut all: Vec<Operator> = Vec::new();
    loop {
        let after = all.last().map(|last| last.name.clone());
        let page = app.list_operators(grant, after, PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn line(operator: &Operator) -> String {
    let status = if operator.is_active {
        "active"
    } else {
        "disabled"
    };
    let permissions: Vec<&str> = operator
        .permissions
        .iter()
        .map(|one| one.as_str())
        .collect();
    let (name, permissions) = (&operator.name, permissions.join(","));
    let identity = operator.identity.as_ref();
    let subject = identity.map(|identity| format!(" subject={}", identity.subject));
    format!(
        "{name} {status} {permissions}{}\n",
        subject.unwrap_or_default()
    )
}

/// Ends an operator's sessions, and lets none be opened.
pub(crate) async fn disable_operator(args: OperatorNameArgs) -> anyhow::Result<()> {
    let name = args.name.clone();
    with_app(args.config.config.as_deref(), async |app, grant| {
        app.disable_operator(grant, name).await
    })
    .await
    .map_err(told)?;
    say(&format!("disabled: {}\n", args.name))
}

/// Lets an operator sign in again, and at once.
pub(crate) async fn enable_operator(args: OperatorNameArgs) -> anyhow::Result<()> {
    let name = args.name.clone();
    with_app(args.config.config.as_deref(), async |app, grant| {
        app.enable_operator(grant, name).await
    })
    .await
    .map_err(told)?;
    say(&format!("enabled: {}\n", args.name))
}

/// Gives an operator other permissions.
pub(crate) async fn set_operator_permissions(args: OperatorPermissionsArgs) -> anyhow::Result<()> {
    let name = args.name.clone();
    with_app(args.config.config.as_deref(), async |app, grant| {
        app.set_operator_permissions(grant, name, args.permissions)
            .await
    })
    .await
    .map_err(told)?;
    say(&format!("changed: {}\n", args.name))
}

/// Gives an operator another password.
pub(crate) async fn reset_operator_password(args: OperatorPasswordArgs) -> anyhow::Result<()> {
    let (password, generated) = password(&args.password)?;
    let name = args.name.clone();
    with_app(args.config.config.as_deref(), async |app, grant| {
        app.set_operator_password(grant, name, password).await
    })
    .await
    .map_err(told)?;
    let line = password_line(generated.as_deref());
    say(&format!("operator={}\n{line}", args.name))
}

/// Gives an operator another secret for codes.
pub(crate) async fn reset_operator_totp(args: OperatorNameArgs) -> anyhow::Result<()> {
    let name = args.name.clone();
    let totp = with_app(args.config.config.as_deref(), async |app, grant| {
        app.reset_operator_totp(grant, name).await
    })
    .await
    .map_err(told)?;
    let lines = totp_lines(&args.name, &totp);
    say(&format!("operator={}\n{lines}", args.name))
}

/// The password from standard input, or a new one, which is to be printed.
fn password(args: &PasswordArgs) -> anyhow::Result<(Password, Option<String>)> {
    if !args.password_stdin {
        let made = generated(rand::random());
        return Ok((Password(made.clone()), Some(made)));
    }
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .context("--password-stdin: standard input cannot be read")?;
    let typed = line.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(
        !typed.is_empty(),
        "--password-stdin: standard input has no line"
    );
    Ok((Password(typed.to_owned()), None))
}

/// 120 random bits in groups that can be read aloud.
fn generated(random: [u8; PASSWORD_BYTES]) -> String {
    let text = BASE32_NOPAD.encode(&random).to_ascii_lowercase();
    let letters: Vec<char> = text.chars().collect();
    let groups: Vec<String> = letters
        .chunks(GROUP)
        .map(|group| group.iter().collect())
        .collect();
    groups.join("-")
}

fn password_line(generated: Option<&str>) -> String {
    generated.map_or_else(String::new, |password| format!("password={password}\n"))
}

fn totp_lines(name: &str, totp: &TotpSecret) -> String {
    format!(
        "totp_secret={}\ntotp_uri={}\n",
        totp.to_base32(),
        totp.to_uri(name)
    )
}

/// What was wrong with what was asked for, field by field.
fn told(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Error>() {
        Some(Error::Invalid(fields)) => {
            let all: Vec<String> = fields
                .iter()
                .map(|wrong| format!("{}: {}", wrong.field, wrong.detail))
                .collect();
            anyhow::anyhow!("{}", all.join("; "))
        }
        Some(_) | None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_password_is_read_in_groups() {
        assert_eq!(
            generated([0xff; PASSWORD_BYTES]),
            "7777-7777-7777-7777-7777-7777"
        );
    }
}
