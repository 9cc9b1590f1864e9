//! Several replicas of the application, the store that they share and everybody outside, on one thread,
//! with a clock of their own: one seed decides all that happens, so a seed that goes wrong goes wrong
//! again, bit for bit. There is nothing here but tests.
//!
//! Where to look:
//!
//! * `scheduler`: tasks, of which a seed picks the next one at every call of a port; sleeping; dying.
//! * `world`: what all of them share: the clock, the dice, the trace, what was seen.
//! * `bank` and `store`: the database, with crash semantics: answers that get lost before or after
//!   the change was applied, changes that land late, outages.
//! * `outbox` and `receivers`: callbacks that are due, and who hears them.
//! * `replica`: the application with its background passes, as it is started, killed and started again.
//! * `client` and `request`: who sends what, and repeats what got no certain answer.
//! * `judge`: whether everybody was told what is true.
//! * `bug`: faults that are planted to see that the judge finds them.
//! * `run`: one seed from its beginning to its end.

#[cfg(test)]
mod bank;
#[cfg(test)]
mod bug;
#[cfg(test)]
mod client;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod directory;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod query;
#[cfg(test)]
mod receivers;
#[cfg(test)]
mod replica;
#[cfg(test)]
mod request;
#[cfg(test)]
mod run;
#[cfg(test)]
mod scheduler;
#[cfg(test)]
mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod world;
