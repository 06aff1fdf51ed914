//! Commands that die at a point of the store, in builds with debug assertions.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use crate::cli::Berth;

/// The points that a command passes, in order, from its journal, and which time it is of each.
pub fn points(berth: &Berth, arguments: &[&str]) -> Vec<(String, u32)> {
    let journal = berth.path("journal");
    let mut command = berth.command(arguments);
    command.env("BERTH_FAULT_TRACE", &journal);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(&journal).unwrap_or_default();
    drop(std::fs::remove_file(&journal));
    let mut passed: Vec<(String, u32)> = Vec::new();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let point = value["point"].as_str().unwrap().to_owned();
        let nth = passed.iter().filter(|(name, _)| *name == point).count() + 1;
        passed.push((point, u32::try_from(nth).unwrap()));
    }
    assert!(!passed.is_empty());
    passed
}

/// Runs a command that dies of a fault, in the form of `BERTH_FAULT`.
pub fn die(berth: &Berth, arguments: &[&str], fault: &str) {
    let mut command = berth.command(arguments);
    command.env("BERTH_FAULT", fault);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command.status().unwrap();
    assert_eq!(
        status.signal(),
        Some(9),
        "{fault} was not passed: {status:?}"
    );
}
