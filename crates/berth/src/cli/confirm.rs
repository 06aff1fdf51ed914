//! Asking before something is removed.

use std::io::{self, BufRead, Write};

/// Asks on standard error, where data is not in the way, and takes the answer from standard input;
/// anything but y is a no. `what` completes "This will remove".
pub(crate) fn confirm(what: &str) -> bool {
    let question =
        format!("WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ");
    let mut answer = String::new();
    let asked = io::stderr().write_all(question.as_bytes());
    let read = io::stdin().lock().read_line(&mut answer);
    asked.is_ok() && read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
