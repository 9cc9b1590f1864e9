//! More than there is room for, and others who take it: what is refused has not happened, what is
//! taken happens once, and nobody waits for ever.

mod black_hole;
mod crowd;
mod hostile;
