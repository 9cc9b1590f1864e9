//! Every clause of the wire contract, tried on a demo of its own, or on the deployment that
//! `BURSAR_URL` names.

use std::process::ExitCode;

#[cfg(test)]
mod shared_demo;

fn main() -> ExitCode {
    if shared_demo::is_guard() {
        return shared_demo::guard();
    }
    bursar_conformance::run(shared_demo::find)
}
