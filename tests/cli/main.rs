//! The real program in a sandbox: exit code, standard output, standard error, files.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot set itself up fails"
)]

mod bad_data;
mod bad_features;
mod caching;
mod commands;
mod configuration;
mod damage;
mod errors;
mod features_l2;
mod fetch;
mod forcing;
mod foreign_files;
mod foreign_text;
mod hub_cache;
mod interruption;
mod libtorch;
mod models;
mod output_folders;
mod overlaps;
mod pooling;
mod predict;
mod probe_settings;
mod progress_lines;
mod published;
mod quickstart;
mod repeats;
mod sandbox;
mod scores;
mod selection;
#[path = "../../src/hub/tests/server.rs"]
mod server;
mod streams;
mod torchscript;
mod weights;
