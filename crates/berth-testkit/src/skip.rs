//! Tests that cannot run on this machine.

use std::fs::OpenOptions;
use std::io::Write;

/// Says why a test does not run, to the person and to `cargo xtask test`, which fails on reasons
/// that `xtask/expected-skips.txt` does not list. The test returns after it.
pub fn skip(reason: &str) {
    println!("SKIP: {reason}");
    if let Some(path) = std::env::var_os("BERTH_TEST_SKIPS") {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .expect("open the list of skips");
        // One write: tests of several processes append at once.
        let line = format!("SKIP: {reason}\n");
        file.write_all(line.as_bytes())
            .expect("write to the list of skips");
    }
}
