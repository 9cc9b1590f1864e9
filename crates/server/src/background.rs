//! What goes on beside the requests.

mod callbacks;
mod counting;
mod hint;
mod integrity;
mod listening;
mod numbering;
mod outage;
mod payouts;
mod queue_figures;
mod settling;

pub use callbacks::CallbackLoop;
pub use counting::{COUNTING_POLL, count_volumes};
pub use hint::HintingStore;
pub use integrity::{Pace, StoppingAlarm, watch_books};
pub use listening::hear_changes;
pub use numbering::NumberingLoop;
pub use payouts::pay_out;
pub use queue_figures::watch_queue;
pub use settling::{expire_due, settle_pending, tell_expiring};
