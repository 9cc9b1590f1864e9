//! The adapter against a provider that the tests start.

mod answers;
mod documents;
mod keys;
mod tokens;
mod world;
