//! The schema's migrations, embedded in the binary.
//!
//! Several replicas may start on one database at the same moment: one of them migrates it, the others
//! wait for that (`runner`).

mod locks;
mod remainders;
mod runner;

use std::{collections::BTreeSet, error::Error};

use diesel::{
    dsl::sql,
    migration::{Migration, MigrationSource},
    pg::Pg,
    sql_types::{Bool, Nullable, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use self::runner::Runner;
pub use self::runner::TURN;
use crate::{
    connect::{establish, set_up},
    fitness::{UnfitDatabase, require_utf8},
};

const EMBEDDED: EmbeddedMigrations = embed_migrations!("../../migrations");

/// What a connection is told that migrates, or looks at the record: the record is found in one place,
/// whatever path the role has, and no limit for what serves ends a migration.
const SETTINGS: &str = "SET search_path = public; SET application_name = 'bursar migrate'; \
    SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
    SET idle_session_timeout = 0; SET client_connection_check_interval = '1s'; \
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'";

type BoxError = Box<dyn Error + Send + Sync>;

/// Where a database stands against the migrations this program carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrationState {
    /// Exactly the migrations of this program are applied.
    Current,
    /// These versions still have to be applied, in this order.
    Behind {
        /// The versions that are missing in the database.
        pending: Vec<String>,
    },
    /// A newer program has migrated the database, and this one may serve on it all the same: what was
    /// added it can live with.
    Newer {
        /// The versions this program does not know.
        unknown: Vec<String>,
    },
    /// A newer program has migrated the database: this one must not serve on it.
    Ahead {
        /// The versions this program does not know.
        unknown: Vec<String>,
    },
}

/// Why the schema could not be read or brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// No connection could be made.
    #[error("cannot connect to the database")]
    Connect(#[source] BoxError),
    /// The database is none that the books can be kept in.
    #[error(transparent)]
    Unfit(#[from] UnfitDatabase),
    /// The record of applied migrations could not be read.
    #[error("cannot read which migrations are applied")]
    Read(#[source] BoxError),
    /// The migrations compiled into this program are malformed.
    #[error("the embedded migrations are malformed")]
    Malformed(#[source] BoxError),
    /// One migration was refused by the database; nothing of it remains.
    #[error("migration {version} failed")]
    Failed {
        /// The migration's version.
        version: String,
        /// What the database said.
        #[source]
        source: BoxError,
    },
    /// One migration needs a lock that others held for minutes; nothing of it remains.
    #[error(
        "migration {version} found no moment without others' transactions in its way: {holders}"
    )]
    Locked {
        /// The migration's version.
        version: String,
        /// Who held it last, as far as that was seen.
        holders: String,
        /// What the database said.
        #[source]
        source: BoxError,
    },
    /// A newer program has migrated this database.
    #[error("the database has migrations this program does not know: {}", unknown.join(", "))]
    Ahead {
        /// The versions this program does not know.
        unknown: Vec<String>,
    },
    /// The task that ran the migrations ended before its time.
    #[error("the migration task was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// Applies every pending migration to the database at `url`.
///
/// Repeating it, also from several processes at once, is safe.
///
/// # Errors
/// [`MigrateError`] when the database cannot be reached, is ahead of this program, or refuses a
/// migration.
pub async fn migrate(url: &str) -> Result<(), MigrateError> {
    let known = embedded()?;
    let mut connection = connect(url).await?;
    require_utf8(&mut connection).await?;
    if pending(&mut connection, &known).await?.is_empty() {
        return Ok(());
    }
    tracing::info!("migrating the database");
    Runner::begin(url, connection).await?.run(&known).await
}

/// Says how the database at `url` stands, without changing it.
///
/// # Errors
/// [`MigrateError`] when the database cannot be reached or its record cannot be read.
pub async fn migration_state(url: &str) -> Result<MigrationState, MigrateError> {
    let mut connection = connect(url).await?;
    let applied = read_applied(&mut connection).await?;
    state_of(&applied, &embedded()?)
}

/// What is applied, and who may serve on it.
#[derive(Default)]
struct Applied {
    versions: Vec<String>,
    floor: Option<Floor>,
}

/// Which programs may serve on a schema that is newer than they are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Floor {
    /// The last version of which that is said.
    up_to: String,
    /// The version that a program must know.
    knows: String,
}

impl Floor {
    /// Reads what a migration says in the comment on the record.
    fn parse(comment: &str) -> Option<Self> {
        let rest = comment.strip_prefix("up to ")?;
        let (up_to, knows) = rest.split_once(" for programs that know ")?;
        let is_version = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        (is_version(up_to) && is_version(knows)).then(|| Self {
            up_to: up_to.to_owned(),
            knows: knows.to_owned(),
        })
    }

    /// Whether a program that knows these may serve where those are applied too.
    fn admits(&self, known: &BTreeSet<&String>, unknown: &[String]) -> bool {
        // Versions are digits of one length, so they are ordered as text.
        known.contains(&self.knows) && unknown.iter().all(|version| *version <= self.up_to)
    }
}

/// What is left to apply, in its order.
async fn pending(
    connection: &mut AsyncPgConnection,
    known: &[String],
) -> Result<Vec<String>, MigrateError> {
    let applied = read_applied(connection).await?;
    match state_of(&applied, known)? {
        MigrationState::Current => Ok(Vec::new()),
        MigrationState::Newer { unknown } => {
            tracing::warn!(
                unknown = unknown.join(", "),
                "the database is newer than this program, which may serve on it still"
            );
            Ok(Vec::new())
        }
        MigrationState::Ahead { unknown } => Err(MigrateError::Ahead { unknown }),
        MigrationState::Behind { pending } => Ok(pending),
    }
}

async fn connect(url: &str) -> Result<AsyncPgConnection, MigrateError> {
    let connect = async { set_up(establish(url, false).await?, SETTINGS).await };
    connect
        .await
        .map_err(|error: diesel::ConnectionError| MigrateError::Connect(error.into()))
}

/// Reads the record without diesel's own `applied_migrations`, which creates the table first: the
/// serving role may look but not create. A record that it may not see is an error, and not no record:
/// hence the name of the schema.
async fn read_applied(connection: &mut AsyncPgConnection) -> Result<Applied, MigrateError> {
    let recorded: bool = diesel::select(sql::<Bool>(
        "to_regclass('public.__diesel_schema_migrations') IS NOT NULL",
    ))
    .get_result(connection)
    .await
    .map_err(|error| MigrateError::Read(error.into()))?;
    if !recorded {
        return Ok(Applied::default());
    }
    let versions =
        sql::<Text>("SELECT version FROM public.__diesel_schema_migrations ORDER BY version")
            .load(connection)
            .await
            .map_err(|error| MigrateError::Read(error.into()))?;
    let comment: Option<String> = diesel::select(sql::<Nullable<Text>>(
        "obj_description('public.__diesel_schema_migrations'::regclass, 'pg_class')",
    ))
    .get_result(connection)
    .await
    .map_err(|error| MigrateError::Read(error.into()))?;
    Ok(Applied {
        versions,
        floor: comment.as_deref().and_then(Floor::parse),
    })
}

fn embedded() -> Result<Vec<String>, MigrateError> {
    let migrations: Vec<Box<dyn Migration<Pg>>> =
        EMBEDDED.migrations().map_err(MigrateError::Malformed)?;
    Ok(migrations
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect())
}

fn state_of(applied: &Applied, known: &[String]) -> Result<MigrationState, MigrateError> {
    let applied_set: BTreeSet<_> = applied.versions.iter().collect();
    let known_set: BTreeSet<_> = known.iter().collect();
    if known_set.len() != known.len() {
        return Err(MigrateError::Malformed(
            "two migrations share one version".into(),
        ));
    }
    let missing_in = |left: &BTreeSet<&String>, right: &BTreeSet<&String>| -> Vec<String> {
        left.difference(right).map(ToString::to_string).collect()
    };
    let unknown = missing_in(&applied_set, &known_set);
    let pending = missing_in(&known_set, &applied_set);
    let floor = applied.floor.as_ref();
    if pending.is_empty()
        && !unknown.is_empty()
        && floor.is_some_and(|floor| floor.admits(&known_set, &unknown))
    {
        return Ok(MigrationState::Newer { unknown });
    }
    Ok(match (unknown.is_empty(), pending.is_empty()) {
        (false, _) => MigrationState::Ahead { unknown },
        (true, false) => MigrationState::Behind { pending },
        (true, true) => MigrationState::Current,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn applied(names: &[&str]) -> Applied {
        Applied {
            versions: versions(names),
            floor: None,
        }
    }

    #[test]
    fn what_later_migrations_allow_is_allowed_and_nothing_else() {
        let newer = |comment: &str, here: &[&str], known: &[&str]| {
            let applied = Applied {
                versions: versions(here),
                floor: Floor::parse(comment),
            };
            let state = state_of(&applied, &versions(known)).unwrap();
            matches!(state, MigrationState::Newer { .. })
        };
        let words = "up to 4 for programs that know 2";
        assert!(newer(words, &["1", "2", "3", "4"], &["1", "2"]));
        assert!(newer(words, &["1", "2", "3", "4"], &["1", "2", "3"]));
        // It is too old, or the schema newer than what was spoken of.
        assert!(!newer(words, &["1", "2", "3", "4"], &["1"]));
        assert!(!newer(words, &["1", "2", "3", "5"], &["1", "2"]));
        // Something is missing besides.
        assert!(!newer(words, &["1", "3", "4"], &["1", "2"]));
        assert!(!newer(words, &["1", "2"], &["1", "2"]));
        for comment in ["", "up to 4", "up to 4 for programs that know x", "for all"] {
            assert!(!newer(comment, &["1", "2", "3"], &["1", "2"]), "{comment}");
        }
    }

    #[test]
    fn the_last_migration_says_who_may_serve_on_it() {
        let known = embedded().unwrap();
        let last = known.last().unwrap();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
        let mut folders: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        let up = folders.last().unwrap().join("up.sql");
        let up = std::fs::read_to_string(up).unwrap();
        let said = up
            .split('\'')
            .find_map(Floor::parse)
            .expect("it says nothing");
        assert_eq!(&said.up_to, last);
        assert!(known.contains(&said.knows), "{said:?}");
    }

    #[test]
    fn a_version_nobody_here_knows_outweighs_what_is_pending() {
        let state = state_of(&applied(&["1", "9"]), &versions(&["1", "2"])).unwrap();
        assert_eq!(
            state,
            MigrationState::Ahead {
                unknown: versions(&["9"])
            }
        );
    }

    #[test]
    fn pending_versions_are_named_in_order() {
        let state = state_of(&applied(&["1"]), &versions(&["1", "2", "3"])).unwrap();
        assert_eq!(
            state,
            MigrationState::Behind {
                pending: versions(&["2", "3"])
            }
        );
        let state = state_of(&applied(&["1"]), &versions(&["1"])).unwrap();
        assert_eq!(state, MigrationState::Current);
    }

    #[test]
    fn two_migrations_of_one_version_are_refused() {
        assert!(state_of(&Applied::default(), &versions(&["1", "1"])).is_err());
    }
}
