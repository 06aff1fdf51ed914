//! The test programs that guests run: built as `cargo test` builds them, not started here.

use std::path::PathBuf;

use serde_json::Value;

use super::profiles::{Errand, Suite};
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::workspace::{self, TRIPLE};

/// A test program and what the guest calls it.
pub(super) struct TestBinary {
    /// The suite's name.
    pub(super) name: String,
    /// Where cargo put it.
    pub(super) path: PathBuf,
}

/// Builds the programs that these rows need, each once.
///
/// # Errors
/// A build fails, or cargo names no program.
pub(super) fn build<'a>(errands: impl Iterator<Item = &'a Errand>) -> Outcome<Vec<TestBinary>> {
    let mut suites: Vec<Suite> = Vec::new();
    for errand in errands {
        if errand.suite != Suite::Scripts && !suites.contains(&errand.suite) {
            suites.push(errand.suite);
        }
    }
    suites.into_iter().map(build_one).collect()
}

fn build_one(suite: Suite) -> Outcome<TestBinary> {
    let mut cargo = exec::cargo();
    cargo.args(["test", "--locked", "--no-run"]);
    cargo.args(suite.target());
    exec::announce(&exec::shown(&cargo));
    let messages = exec::read(cargo.arg("--message-format=json-render-diagnostics"))?;
    let name = suite.name();
    match executable(&messages) {
        Some(path) => Ok(TestBinary { name, path }),
        None => Err(Failure::new(format!(
            "cargo built no test program for {name}"
        ))),
    }
}

/// Where tests look for the workspace's binaries: `CARGO_BIN_EXE_*` is a constant of the test
/// program, so the guest has them there too.
///
/// # Errors
/// Cargo does not tell its target folder.
pub(super) fn expected_in() -> Outcome<PathBuf> {
    Ok(workspace::target_dir()?.join(TRIPLE).join("debug"))
}

/// The program in cargo's messages: the artifact that was compiled for testing.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["profile"]["test"] == true)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_artifact_compiled_for_testing() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","profile":{"test":false},"executable":"/t/tool"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","profile":{"test":true},"executable":"/t/oci-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages), Some(PathBuf::from("/t/oci-1")));
        assert_eq!(executable(""), None);
    }
}
