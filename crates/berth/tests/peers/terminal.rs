//! What the tests ask of a shell at a terminal.

use crate::support::{Terminal, eventually};

/// Asks for the terminal's size until the shell tells this one; clients set it after the start.
/// Here and after it, echoes are no help: busybox draws its line anew when a size arrives while
/// it is typed.
pub fn await_size(terminal: &mut Terminal, prompt: &str, size: &str) {
    eventually("the terminal's size", || {
        terminal.press("stty size\r");
        terminal.expect(prompt).contains(size)
    });
}
