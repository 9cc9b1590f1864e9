//! A test of each clause.

use std::{
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use libtest_mimic::{Arguments, Trial};

use crate::{Clause, Deployment, clause::Need, clauses::clauses, scene::Scene};

/// Runs the clauses that the command line chooses, on the deployment that `find` finds.
///
/// It is looked for when the first clause is tried, so that listing them needs none.
pub fn run(find: fn() -> Deployment) -> ExitCode {
    let arguments = Arguments::from_args();
    let found = Arc::new(OnceLock::new());
    let trials = clauses().map(|clause| trial(clause, Arc::clone(&found), find));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn trial(clause: Clause, found: Arc<OnceLock<Deployment>>, find: fn() -> Deployment) -> Trial {
    let kind = match clause.needs.filter(|need| !Deployment::has(*need)) {
        Some(Need::Callbacks) => "skipped: needs callbacks to this machine",
        Some(Need::Jwt) => "skipped: needs BURSAR_JWT_SECRET, _ISSUER and _AUDIENCE",
        None => "",
    };
    Trial::test(clause.id, move || {
        let scene = Scene::new(found.get_or_init(find).clone());
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on((clause.run)(scene));
        Ok(())
    })
    .with_ignored_flag(!kind.is_empty())
    .with_kind(kind)
}
