//! Builders, fixed clock and ids, the in-memory store and the contract suite; for tests only.
