//! The demo exchange: its secrets, its users and money, and the file that tells of them.

mod callback_secrets;
pub(crate) mod env_file;
pub(crate) mod exchange;
pub(crate) mod operators;
mod secrets;
pub(crate) mod traffic;

pub(crate) use secrets::Secrets;
