//! The map of the code; see docs/CONTRIBUTING.md for the rules.
