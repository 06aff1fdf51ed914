//! Build, tests, demonstration, measurements and tidiness of the workspace.
//!
//! Needs Rust and a C linker, nothing else: no crate of the workspace and no system library, so
//! that it can be the first thing that runs on a fresh machine and install the rest.

mod args;
mod bench;
mod berth;
mod build;
mod commands;
mod crash;
mod deb;
mod demo;
mod exec;
mod failure;
mod fuzz;
mod interrupt;
mod man;
mod scratch;
mod script;
mod setup;
mod soak;
mod spec;
mod test;
mod tidy;
mod verbs;
mod vm;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match commands::dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
