//! What goes on beside the requests.

mod callbacks;
mod hint;
mod integrity;
mod queue_figures;
mod settling;

pub use callbacks::CallbackLoop;
pub use hint::HintingStore;
pub use integrity::{LoggedAlarm, Pace, watch_books};
pub use queue_figures::watch_queue;
pub use settling::settle_pending;
