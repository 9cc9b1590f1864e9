//! Tries every clause on the deployment that `BURSAR_URL` names; options are those of any test.

use std::process::ExitCode;

use bursar_conformance::{Deployment, run};

fn main() -> ExitCode {
    run(|| {
        Deployment::from_environment().unwrap_or_else(|missing| {
            panic!("{missing} is not set: see docs/CONFORMANCE.md for what the suite needs")
        })
    })
}
