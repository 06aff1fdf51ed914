//! The binary `berth`: parses, calls the engine, shows.
//!
//! The only crate that knows a terminal, `$HOME`, the environment and Docker's JSON. One thread, for
//! the engine forks from it; only the live map, which starts nothing, has more.

mod cli;
mod template;
mod terminal;
mod tui;
mod view;
mod web;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    ExitCode::from(cli::run(&arguments))
}
