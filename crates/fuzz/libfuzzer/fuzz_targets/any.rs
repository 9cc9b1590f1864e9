//! Feeds the target that `BURSAR_FUZZ_TARGET` names.
#![no_main]

use bursar_fuzz::{Target, targets};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static TARGET: Target = {
        let name = std::env::var("BURSAR_FUZZ_TARGET").expect("BURSAR_FUZZ_TARGET names a target");
        let found = targets().into_iter().find(|target| target.name == name);
        found.unwrap_or_else(|| panic!("there is no target {name}"))
    };
}

fuzz_target!(|data: &[u8]| TARGET.with(|target| (target.feed)(data)));
