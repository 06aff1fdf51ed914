//! The engine against the real kernel and the real runtime.
//!
//! Runs without libtest: the engine may be called by a process with one thread only, and each
//! test gets mount, PID and network namespaces of its own, so that a failing one leaves no process
//! and no mount behind. Speaks as much of libtest's command line as cargo-nextest needs.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod exec;
mod harness;
mod image;
mod layers;
mod lifecycle;
mod limits;
mod many;
mod orphaned;
mod rootless;
mod shared;

use harness::Test;

/// Every test, in the order of its module.
const TESTS: &[&[Test]] = &[
    lifecycle::TESTS,
    layers::TESTS,
    limits::TESTS,
    many::TESTS,
    exec::TESTS,
    shared::TESTS,
    orphaned::TESTS,
    rootless::TESTS,
];

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = harness::act_as_engine(&arguments) {
        return code;
    }
    harness::run(&arguments, TESTS)
}

/// Named by the tests' modules.
type Outcome = Result<(), Box<dyn std::error::Error>>;
