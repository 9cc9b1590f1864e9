//! The Bursar binary.

use std::process::ExitCode;

/// Faster than the system's allocator for many small requests on many threads, and it gives memory
/// back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bursar_server::run()
}
