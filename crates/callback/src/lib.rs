//! The reqwest adapter that POSTs callbacks.
