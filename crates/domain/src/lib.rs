//! Amounts, transfer state machines and ledger arithmetic, pure and without I/O.
