//! The OCI runtime: what keeps a container, and the tools to look at one.

use std::process::ExitCode;

/// Debug builds abort when a child between clone and exec allocates.
#[cfg(debug_assertions)]
#[global_allocator]
static ALLOCATOR: berth_sys::GuardedAllocator = berth_sys::GuardedAllocator;

fn main() -> ExitCode {
    berth_sys::link_early_start();
    let mut arguments = std::env::args_os().peekable();
    match arguments.peek().and_then(|name| name.to_str()) {
        Some("berth-keeper") => {
            ExitCode::from(u8::try_from(berth_runtime::keeper::main()).unwrap_or(1))
        }
        _ => berth_runtime::oci::cli::run(arguments),
    }
}
