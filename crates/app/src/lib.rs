//! Use cases and background passes over the ports.
