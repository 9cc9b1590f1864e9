//! `bursar operator …` on the command line.

use bursar_ports::Permission;
use clap::{Args, Subcommand};

use super::{ConfigArgs, actor, permission};
use crate::commands;

#[derive(Debug, Subcommand)]
pub(super) enum OperatorCommand {
    /// Make an operator. The password, unless it was given, and the secret for codes are printed
    /// once, to standard output; one who signs in at the identity provider has neither.
    #[command(after_help = "\
The secret goes into an authenticator, typed or as the otpauth:// link; the codes that it shows are the
second half of the sign-in.

Examples:
  bursar operator create anna --permission backoffice_read --permission backoffice_confirm
  bursar operator create bert --permissions backoffice_read,backoffice_approve
  pass show bursar/carla | bursar operator create carla --permission admin --password-stdin
  bursar operator create dora --permission backoffice_read --subject 248289761001

Permissions: backoffice_read, backoffice_write, backoffice_confirm, backoffice_approve, admin.")]
    Create(OperatorNewArgs),

    /// Let an operator sign in at the identity provider (`oidc.issuer`), and end the sessions.
    #[command(after_help = "\
The subject is what the provider calls the person (`sub`), to the byte. Somebody who signs in there and is
no operator yet is shown it.

Examples:
  bursar operator link anna --subject 248289761001")]
    Link(OperatorLinkArgs),

    /// Let an operator sign in at the identity provider no more, and end the sessions.
    #[command(after_help = "\
An operator who was made with --subject has no password before `bursar operator reset-password` and
`bursar operator reset-totp`.

Examples:
  bursar operator unlink anna")]
    Unlink(OperatorNameArgs),

    /// List operators: name, status and permissions, and the subject of those who have one; a line each.
    #[command(after_help = "\
Examples:
  bursar operator list --config /etc/bursar.toml")]
    List(OperatorListArgs),

    /// End an operator's sessions, and let none be opened.
    #[command(after_help = "\
Examples:
  bursar operator disable anna")]
    Disable(OperatorNameArgs),

    /// Let an operator sign in: one who was disabled, or one who has to wait because of failures.
    #[command(after_help = "\
Examples:
  bursar operator enable anna")]
    Enable(OperatorNameArgs),

    /// Give an operator other permissions, which count for open sessions too.
    #[command(after_help = "\
Examples:
  bursar operator set-permissions anna --permission backoffice_read --permission backoffice_approve")]
    SetPermissions(OperatorPermissionsArgs),

    /// Give an operator another password, and end the sessions.
    #[command(after_help = "\
Examples:
  bursar operator reset-password anna
  pass show bursar/anna | bursar operator reset-password anna --password-stdin")]
    ResetPassword(OperatorPasswordArgs),

    /// Give an operator another secret for codes, and end the sessions.
    #[command(after_help = "\
Examples:
  bursar operator reset-totp anna")]
    ResetTotp(OperatorNameArgs),
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from the first line of standard input, 12 characters at least, instead of
    /// making one.
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// What a new operator is to be.
#[derive(Debug, Args)]
pub(crate) struct OperatorNewArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The name: a to z, 0 to 9, '.', '-', '_' and '@'. A token with this subject acts as the same
    /// person, who cannot approve what it made.
    #[arg(value_name = "NAME", value_parser = actor)]
    pub(crate) name: String,

    /// What sessions allow; may be given several times, or with commas.
    #[arg(
        long = "permission",
        alias = "permissions",
        value_name = "PERMISSION",
        required = true,
        value_delimiter = ',',
        value_parser = permission,
    )]
    pub(crate) permissions: Vec<Permission>,

    /// What the identity provider calls the operator (`sub`), who then signs in there and nowhere else.
    #[arg(
        long,
        value_name = "SUBJECT",
        allow_hyphen_values = true,
        conflicts_with = "password_stdin"
    )]
    pub(crate) subject: Option<String>,

    #[command(flatten)]
    pub(crate) password: PasswordArgs,
}

/// Whom the identity provider means.
#[derive(Debug, Args)]
pub(crate) struct OperatorLinkArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The operator.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// What the identity provider calls the operator (`sub`).
    #[arg(long, value_name = "SUBJECT", allow_hyphen_values = true)]
    pub(crate) subject: String,
}

/// Which operators are listed.
#[derive(Debug, Args)]
pub(crate) struct OperatorListArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// Which operator it is about.
#[derive(Debug, Args)]
pub(crate) struct OperatorNameArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The operator.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Who gets another password.
#[derive(Debug, Args)]
pub(crate) struct OperatorPasswordArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The operator.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) password: PasswordArgs,
}

/// Who gets which permissions.
#[derive(Debug, Args)]
pub(crate) struct OperatorPermissionsArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The operator.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// What sessions allow from now on; may be given several times, or with commas.
    #[arg(
        long = "permission",
        alias = "permissions",
        value_name = "PERMISSION",
        required = true,
        value_delimiter = ',',
        value_parser = permission,
    )]
    pub(crate) permissions: Vec<Permission>,
}

pub(super) async fn run(command: OperatorCommand) -> anyhow::Result<()> {
    match command {
        OperatorCommand::Create(args) => commands::create_operator(args).await,
        OperatorCommand::Link(args) => commands::link_operator(args).await,
        OperatorCommand::Unlink(args) => commands::unlink_operator(args).await,
        OperatorCommand::List(args) => commands::list_operators(args).await,
        OperatorCommand::Disable(args) => commands::disable_operator(args).await,
        OperatorCommand::Enable(args) => commands::enable_operator(args).await,
        OperatorCommand::SetPermissions(args) => commands::set_operator_permissions(args).await,
        OperatorCommand::ResetPassword(args) => commands::reset_operator_password(args).await,
        OperatorCommand::ResetTotp(args) => commands::reset_operator_totp(args).await,
    }
}
