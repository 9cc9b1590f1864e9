//! What goes on beside the requests.

mod callbacks;
mod hint;
mod settling;

pub use callbacks::CallbackLoop;
pub use hint::HintingStore;
pub use settling::settle_pending;
