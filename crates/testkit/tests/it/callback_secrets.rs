//! The fake passes the suite that every store of callback secrets passes.

use bursar_testkit::{InMemoryCallbackSecrets, callback_secrets_contract};

callback_secrets_contract!(Box::new(InMemoryCallbackSecrets::default()));
