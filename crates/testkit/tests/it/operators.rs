//! The fake passes the suite that every store of operators passes.

use bursar_testkit::{InMemoryOperators, operators_contract};

operators_contract!(Box::new(InMemoryOperators::default()));
