//! The document is true: it lists the routes, and its examples are real answers.
