//! The integration tests: one binary, one file a subject. `tidy` fails when a file is forgotten
//! here.

#![cfg(test)]

mod config_edit;
mod config_example;
mod config_mistakes;
mod config_places;
mod engine_hand_over;
mod engine_life;
mod engine_trouble;
mod forward;
mod layering;
mod support;
mod tidy;
mod tui_gallery;
mod tui_keys;
mod tui_models;
mod tui_scenes;
