//! The command line.

mod credentials;
mod operator;
mod variables;

use std::{path::PathBuf, process::ExitCode};

use actix_web::http::StatusCode;
use bursar_app::read_callback_secret;
use bursar_domain::{ActorId, Timestamp, UserId};
use bursar_ports::{CallbackSecret, Permission, WATCH};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use uuid::Uuid;

pub(crate) use self::credentials::{AccessKeyArgs, TokenArgs};
pub(crate) use self::operator::{
    OperatorLinkArgs, OperatorListArgs, OperatorNameArgs, OperatorNewArgs, OperatorPasswordArgs,
    OperatorPermissionsArgs, PasswordArgs,
};
use self::{
    credentials::{AccessKeyCommand, TokenCommand},
    operator::OperatorCommand,
};
use crate::commands;

/// Moves money between users, and in and out of an exchange.
#[derive(Debug, Parser)]
#[command(name = "bursar", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve both APIs.
    #[command(after_help = "\
Examples:
  bursar serve --config /etc/bursar.toml
  BURSAR_DATABASE_URL=postgres://… BURSAR_MASTER_KEY=k1:… BURSAR_CODE_KEY=… bursar serve

docs/CONFIGURATION.md lists every setting.")]
    Serve(ConfigArgs),

    /// Bring the database's schema up to date, and end.
    #[command(after_help = "\
Examples:
  bursar migrate --config /etc/bursar.toml
  BURSAR_DATABASE_URL=postgres://bursar:password@127.0.0.1/bursar bursar migrate")]
    Migrate(ConfigArgs),

    /// Serve a demo exchange on a private PostgreSQL of its own.
    #[command(after_help = "\
The demo keeps everything in one folder and finds it there when it is started again. Once it is
ready it writes demo.env there: the address, tokens, users and keys, for the examples of the README.

Examples:
  bursar demo
  bursar demo --fresh
  BURSAR_LISTEN=127.0.0.1:9090 bursar demo
  bursar demo --code                      # while it runs: a code for the console
  set -a; . .bursar/demo.env; set +a     # in another terminal")]
    Demo(DemoArgs),

    /// Issue bearer tokens.
    #[command(subcommand)]
    Token(TokenCommand),

    /// Issue access keys, with which users sign their requests.
    #[command(subcommand)]
    AccessKey(AccessKeyCommand),

    /// Say who may sign in to the console.
    #[command(subcommand)]
    Operator(OperatorCommand),

    /// Receive callbacks on this machine.
    #[command(subcommand)]
    Callback(CallbackCommand),

    /// Encrypt every secret at rest and seal every open transfer under the first master key, so that
    /// the others can go.
    #[command(after_help = "\
It may run while Bursar serves, and as often as you like. It prints how many secrets it encrypted
anew and how many are under which key, and how many transfers it sealed anew: open transfers, and
those that a callback has still to tell of. It fails while a secret is not under the first key, and
while no configured key proves such a transfer, and names each. Once all are, take the old key out of
the configuration (docs/OPERATIONS.md, Changing the master key).

Examples:
  BURSAR_MASTER_KEY=new:…,old:… bursar reseal --config /etc/bursar.toml
  bursar reseal --revoke-unreadable     # when the old key is lost
  bursar reseal --accept-transfer 1204  # a transfer that no key has sealed")]
    Reseal(ResealArgs),

    /// Prove the books: every seal, every sum, every balance.
    #[command(after_help = "\
It reads one snapshot while Bursar serves, names every row that is not what it must be, and fails
when there is any. All master keys that ever sealed must be configured (docs/OPERATIONS.md, Proving
the books).

Examples:
  bursar verify --config /etc/bursar.toml
  bursar verify --heads heads-2026-11-27.txt      # has a tail been cut since?
  bursar verify --dump backup.sql                 # is the backup whole?
  bursar verify --sealed-since 2026-12-01         # nothing newer may lack its seal")]
    Verify(VerifyArgs),

    /// Export where every account's entries stand, to be compared later.
    #[command(after_help = "\
Keep the exports where nobody who can write to the database can: they show entries that were cut off
and accounts that were rolled back, which nothing in the database can show.

Examples:
  bursar heads --config /etc/bursar.toml --out heads-2026-11-27.txt")]
    Heads(HeadsArgs),

    /// Make the deposits and withdrawals of a CSV file.
    #[command(after_help = "\
The columns are reference, kind (deposit or withdrawal), user_id, asset, amount, and if wanted comment
and callback_url. A row whose reference was made before is made no more, by whichever file: run the
same file again after whatever went wrong. What became of each row is in the results
(docs/OPERATIONS.md, Importing transfers).

Examples:
  bursar import transfers.csv --operator anna@example.com --dry-run
  bursar import transfers.csv --operator anna@example.com
  bursar import payouts.csv --operator anna@example.com --confirm")]
    Import(ImportArgs),

    /// After a restore: give no number again that was given before it.
    #[command(after_help = "\
Run it while no replica serves, before the first one is started on a database that was restored to an
earlier time, or on a standby that was promoted and may lack what came last. Ids of transfers and
accounts and numbers of events then go on from the microseconds since 1970 by the database server's
clock, which is beyond all that were given, and the writer's epoch with them. It prints what would have
come next and what does now. Run again, it moves them on again, which does no harm (docs/OPERATIONS.md,
Restoring).

Examples:
  bursar after-restore --config /etc/bursar.toml
  BURSAR_DATABASE_URL=postgres://bursar:password@127.0.0.1/bursar bursar after-restore")]
    AfterRestore(ConfigArgs),

    /// Give the application's role what it needs, and take everything else from it.
    #[command(after_help = "\
Run it as the role that owns the tables, after every migration. The role must exist; `bursar serve`
then connects as that role and cannot rewrite what has been (docs/OPERATIONS.md, Two roles).

Examples:
  psql -c \"CREATE ROLE bursar_app LOGIN PASSWORD '…'\"
  bursar grant --role bursar_app --config /etc/bursar.toml")]
    Grant(GrantArgs),
}

#[derive(Debug, Subcommand)]
enum CallbackCommand {
    /// Print and verify the callbacks that arrive on a port of this machine.
    #[command(after_help = "\
Each callback is printed with the headers that matter and its body as it arrived, whether its
signature is good, and whether the same webhook-id has come before. Nothing is configured and no
database is needed.

Examples:
  bursar callback listen --secret whsec_…
  set -a; . .bursar/demo.env; set +a; bursar callback listen     # of the demo's back office
  bursar callback listen --port 9001 --status 503                # see how it is tried again")]
    Listen(ListenArgs),
}

/// What listens for callbacks, and what it answers.
#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    /// The port; 0 takes any that is free.
    #[arg(long, value_name = "PORT", default_value_t = 9000)]
    pub(crate) port: u16,

    /// The secret that callbacks are signed with; may be given several times, and any of them will
    /// do. When it is not given, the environment variable BURSAR_CALLBACK_SECRET counts.
    #[arg(long = "secret", value_name = "SECRET", value_parser = callback_secret)]
    pub(crate) secrets: Vec<CallbackSecret>,

    /// The status that is answered: 2xx takes a callback, 410 refuses it for good, anything else
    /// asks for another try.
    #[arg(long, value_name = "STATUS", default_value = "200", value_parser = answer)]
    pub(crate) status: StatusCode,

    /// End after so many callbacks.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
}

/// What is done with secrets that cannot be encrypted anew.
#[derive(Debug, Args)]
pub(crate) struct ResealArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Revoke the access keys and callback secrets that cannot be decrypted, and disable the operators
    /// whose codes cannot be checked: their master key is lost, so they are of no use to anybody.
    #[arg(long)]
    pub(crate) revoke_unreadable: bool,

    /// Seal this transfer as it now is, although no configured key has sealed it so: it is from a
    /// release that sealed nothing, its key is lost, or somebody without the key has written it. Look
    /// at it first; may be given several times.
    #[arg(long, value_name = "ID")]
    pub(crate) accept_transfer: Vec<i64>,
}

/// What books are proved by, and which.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// What `bursar heads` exported earlier: whatever is gone since is named.
    #[arg(long, value_name = "FILE")]
    pub(crate) heads: Option<PathBuf>,

    /// Prove the books of a plain SQL dump instead, restored into a private PostgreSQL that is thrown
    /// away afterwards. A dump can make psql run commands: take only your own.
    #[arg(long, value_name = "FILE")]
    pub(crate) dump: Option<PathBuf>,

    /// The folder with PostgreSQL's server programs, for --dump; searched for when it is not given.
    #[arg(long, value_name = "FOLDER", env = "PG_BIN")]
    pub(crate) pg_bin: Option<PathBuf>,

    /// Everything that was written at this time or later must be sealed. Without it only what comes
    /// after something sealed must be.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) sealed_since: Option<Timestamp>,

    /// What clients asked and saw and what receivers heard, one JSON object in each line: hold the
    /// ledger against it too. Nothing may be under way.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

/// Where heads are exported to.
#[derive(Debug, Args)]
pub(crate) struct HeadsArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The new file; one that is there is left alone.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// What is imported, and how.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The file with the transfers.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The operator who answers for it, exactly as the subject of their token: the transfers are
    /// theirs, and a second one approves.
    #[arg(long, value_name = "NAME", value_parser = operator)]
    pub(crate) operator: String,

    /// Only say what would become of each row: everything is decided as it would be now, and taken
    /// back.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Confirm the withdrawals too.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) confirm: bool,

    /// Where to write what became of each row; FILE.results.csv when it is not given. A file that is
    /// there is replaced.
    #[arg(long, value_name = "RESULTS")]
    pub(crate) results: Option<PathBuf>,
}

/// Who gets the application's rights.
#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The role that `bursar serve` connects as.
    #[arg(long, value_name = "NAME")]
    pub(crate) role: String,
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file, in TOML; the environment wins over it.
    #[arg(long, value_name = "FILE", env = "BURSAR_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// What the demo is started with.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Throw away what an earlier demo left, and start anew.
    #[arg(long)]
    pub(crate) fresh: bool,

    /// The folder that holds everything.
    #[arg(long, value_name = "FOLDER", default_value = ".bursar")]
    pub(crate) directory: PathBuf,

    /// The folder with PostgreSQL's server programs; searched for when it is not given.
    #[arg(long, value_name = "FOLDER", env = "PG_BIN")]
    pub(crate) pg_bin: Option<PathBuf>,

    /// Let money move on its own, so that the console has something to show.
    #[arg(long)]
    pub(crate) traffic: bool,

    /// Only print the code that the demo's operators sign in to the console with right now.
    #[arg(long, conflicts_with_all = ["fresh", "traffic"])]
    pub(crate) code: bool,
}

pub(crate) fn permission(text: &str) -> Result<Permission, String> {
    Permission::from_name(text).ok_or_else(|| {
        let names = Permission::ALL.map(Permission::as_str).join(", ");
        format!("the permissions are {names}")
    })
}

pub(crate) fn callback_secret(text: &str) -> Result<CallbackSecret, String> {
    let form = "a callback secret is whsec_ and 44 characters of base64";
    read_callback_secret(text).ok_or_else(|| form.to_owned())
}

fn answer(text: &str) -> Result<StatusCode, String> {
    let number: Option<u16> = text.parse().ok();
    number
        .filter(|number| (200..600).contains(number))
        .and_then(|number| StatusCode::from_u16(number).ok())
        .ok_or_else(|| "an answer's status is a number from 200 to 599".to_owned())
}

/// A subject as tokens have it.
fn operator(text: &str) -> Result<String, String> {
    let is_one = !text.is_empty() && text.chars().count() <= 255;
    if is_one && text.trim() == text && !text.chars().any(char::is_control) {
        actor(text)
    } else {
        Err("an operator is 1 to 255 characters in one line, without blanks round it".to_owned())
    }
}

/// A name under which somebody acts: what they do must not look like Bursar's own doing.
fn actor(text: &str) -> Result<String, String> {
    let system = ActorId::system();
    let own = [WATCH, system.as_str()];
    match own.iter().find(|own| own.eq_ignore_ascii_case(text.trim())) {
        Some(own) => Err(format!("{own} is what Bursar itself acts as")),
        None => Ok(text.to_owned()),
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

fn user(text: &str) -> Result<UserId, String> {
    Uuid::parse_str(text)
        .map(UserId::new)
        .map_err(|_| "a user's id is a GUID".to_owned())
}

/// What the command line says. Where it cannot be understood, or asks for help, the process ends here.
fn read() -> Cli {
    let matches = variables::without_empty(Cli::command()).get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut Cli::command()).exit())
}

/// Runs the command that the command line asks for.
pub fn run() -> ExitCode {
    let cli = read();
    commands::execute(async move {
        match cli.command {
            Command::Serve(args) => commands::serve(args).await,
            Command::Migrate(args) => commands::migrate(args).await,
            Command::Demo(args) if args.code => commands::code(&args),
            Command::Demo(args) => commands::demo(args).await,
            Command::Token(TokenCommand::Create(args)) => commands::create_token(args).await,
            Command::AccessKey(AccessKeyCommand::Create(args)) => {
                commands::create_access_key(args).await
            }
            Command::Operator(command) => operator::run(command).await,
            Command::Callback(CallbackCommand::Listen(args)) => commands::listen(args).await,
            Command::Reseal(args) => commands::reseal(args).await,
            Command::Verify(args) => commands::verify(args).await,
            Command::Heads(args) => commands::heads(args).await,
            Command::AfterRestore(args) => commands::after_restore(args).await,
            Command::Grant(args) => commands::grant(args).await,
            Command::Import(args) => commands::import(args).await,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        let mut commands = vec![Cli::command()];
        while let Some(command) = commands.pop() {
            let leaf = command.get_subcommands().next().is_none();
            let help = command.clone().render_long_help().to_string();
            assert!(!leaf || help.contains("Examples:\n  "), "{help}");
            commands.extend(command.get_subcommands().cloned());
        }
    }

    /// Whoever reads the list of commands must know that transfers cannot go on without it.
    #[test]
    fn resealing_is_said_to_be_about_open_transfers_too() {
        let cli = Cli::command();
        let reseal = cli.find_subcommand("reseal").unwrap();
        let about = reseal.get_about().unwrap().to_string();
        assert!(about.contains("seal every open transfer"), "{about}");
        let short = reseal.clone().render_help().to_string();
        assert!(short.contains("it sealed anew: open transfers"), "{short}");
    }

    #[test]
    fn what_is_mistyped_is_explained() {
        for (line, said) in [
            (
                "bursar token create --subject a --permission root",
                "the permissions are backoffice_read",
            ),
            ("bursar token create --subject a", "--permission"),
            ("bursar access-key create --user 7", "a user's id is a GUID"),
            (
                "bursar access-key create --user 942fe02b-e9b9-6e9e-7c82-85d74f3234d4 --allowed-ip x",
                "not an IP address or CIDR range",
            ),
            (
                "bursar callback listen --secret whsec_AAAA",
                "44 characters of base64",
            ),
            ("bursar callback listen --status 100", "from 200 to 599"),
            ("bursar operator create anna", "--permission"),
            (
                "bursar operator create anna --permission root",
                "the permissions are backoffice_read",
            ),
            ("bursar demo --code --fresh", "cannot be used with"),
            ("bursar import a.csv", "--operator"),
            ("bursar import a.csv --operator ", "1 to 255 characters"),
            (
                "bursar import a.csv --operator bursar",
                "bursar is what Bursar itself acts as",
            ),
            (
                "bursar token create --subject Integrity --permission admin",
                "integrity is what Bursar itself acts as",
            ),
            (
                "bursar operator create integrity --permission admin",
                "integrity is what Bursar itself acts as",
            ),
        ] {
            let error = Cli::try_parse_from(line.split(' '))
                .unwrap_err()
                .to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
