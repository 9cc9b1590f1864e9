//! Both limiters against one contract, and what happens when Redis goes away and comes back.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod scene;
