//! What the application needs from the outside, as traits, and the data they exchange.
