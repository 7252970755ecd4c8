//! The integration tests: one binary, one file a subject. `tidy` fails when a file is forgotten
//! here.

#![cfg(test)]

mod cli_audit;
mod cli_config;
mod cli_connect;
mod cli_doctor;
mod cli_end;
mod cli_engine;
mod cli_faults;
mod cli_grammar;
mod cli_open;
mod cli_plain;
mod cli_providers;
mod cli_sessions;
mod cli_support;
mod cli_targets;
mod config_edit;
mod config_example;
mod config_mistakes;
mod config_places;
mod engine_hand_over;
mod engine_life;
mod engine_trouble;
mod forward;
mod layering;
mod socket;
mod store_crash;
mod store_damage;
mod store_life;
mod store_lock;
mod store_samples;
mod store_tamper;
mod support;
mod tidy;
mod tui_bytes;
mod tui_gallery;
mod tui_keys;
mod tui_models;
mod tui_scenes;
mod tui_terminal;
mod tui_update;
mod tui_walk;
mod tui_walk_leaving;
mod tui_walk_sessions;
mod tui_walk_tabs;
