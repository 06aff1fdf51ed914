//! The command line.

mod cli;
mod template;
mod view;

fn main() {}
