//! The machine, rule by rule.
