//! `bursar token …` and `bursar access-key …` on the command line.

use bursar_domain::UserId;
use bursar_ports::{IpRange, Permission};
use clap::{Args, Subcommand};

use super::{ConfigArgs, actor, permission, user};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Issue a bearer token. It is printed once, to standard output, and kept only as a hash.
    #[command(after_help = "\
Examples:
  bursar token create --subject ops@example.com --permission admin
  bursar token create --subject settlement --permission backoffice_read \\
      --permission backoffice_write --ttl-days 30
  bursar token create --subject alice --user 942fe02b-e9b9-6e9e-7c82-85d74f3234d4 \\
      --permission allow_transfer --permission allow_balance

Permissions: backoffice_read, backoffice_write, backoffice_confirm, backoffice_approve, admin,
and for users allow_transfer, allow_balance.")]
    Create(TokenArgs),
}

/// What a token is to be.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Whom it stands for, as operators see it.
    #[arg(long, value_name = "NAME", value_parser = actor)]
    pub(crate) subject: String,

    /// What it allows; may be given several times.
    #[arg(long = "permission", value_name = "PERMISSION", required = true, value_parser = permission)]
    pub(crate) permissions: Vec<Permission>,

    /// The user it acts for; without one it is an operator's.
    #[arg(long, value_name = "GUID", value_parser = user)]
    pub(crate) user: Option<UserId>,

    /// How long it lives, in days.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) ttl_days: u32,
}

#[derive(Debug, Subcommand)]
pub(super) enum AccessKeyCommand {
    /// Issue an access key. Both halves are printed once, to standard output; the secret one is
    /// kept encrypted.
    #[command(after_help = "\
Examples:
  bursar access-key create --user 942fe02b-e9b9-6e9e-7c82-85d74f3234d4
  bursar access-key create --user 942fe02b-e9b9-6e9e-7c82-85d74f3234d4 \\
      --permission allow_balance --allowed-ip 203.0.113.0/24 --requests-per-minute 60")]
    Create(AccessKeyArgs),
}

/// What an access key is to be.
#[derive(Debug, Args)]
pub(crate) struct AccessKeyArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The user it acts for.
    #[arg(long, value_name = "GUID", value_parser = user)]
    pub(crate) user: UserId,

    /// What it allows; may be given several times.
    #[arg(
        long = "permission",
        value_name = "PERMISSION",
        default_values = ["allow_transfer", "allow_balance"],
        value_parser = permission,
    )]
    pub(crate) permissions: Vec<Permission>,

    /// From where it may be used, an address or a CIDR range; may be given several times.
    /// Everywhere when it is not given.
    #[arg(long = "allowed-ip", value_name = "RANGE")]
    pub(crate) allowed_ips: Vec<IpRange>,

    /// Its own rate limit, instead of the common one.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) requests_per_minute: Option<u32>,
}
