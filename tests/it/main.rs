//! Tests of the whole from outside, in one binary.

#![cfg(test)]

mod config_edit;
mod config_example;
mod config_mistakes;
mod config_places;
