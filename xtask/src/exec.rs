//! Starting other programs: announced, in the workspace root, with an error that names them.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// The cargo that started xtask, so that `+toolchain` reaches the programs it starts.
pub(crate) fn cargo() -> Command {
    let mut command = at_root(
        std::env::var_os("CARGO")
            .as_deref()
            .unwrap_or(OsStr::new("cargo")),
    );
    // Of the variables that `cargo run` sets, these make the children rebuild what they find.
    for name in [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PKG_NAME",
        "CARGO_PKG_VERSION",
        "CARGO_PKG_VERSION_MAJOR",
        "CARGO_PKG_VERSION_MINOR",
        "CARGO_PKG_VERSION_PATCH",
        "CARGO_PKG_VERSION_PRE",
        "CARGO_MANIFEST_LINKS",
    ] {
        command.env_remove(name);
    }
    command
}

/// A program that works in the workspace's root folder.
pub(crate) fn at_root(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace::root());
    command
}

/// How a command looks when typed.
pub(crate) fn shown(command: &Command) -> String {
    let name = |word: &OsStr| word.to_string_lossy().into_owned();
    let program = name(command.get_program());
    let mut line = program.rsplit('/').next().unwrap_or(&program).to_owned();
    for word in command.get_args().map(name) {
        line.push(' ');
        if word.is_empty() || word.contains([' ', '"', '$', '\'']) {
            line.push_str(&format!("'{word}'"));
        } else {
            line.push_str(&word);
        }
    }
    line
}

/// Says what is being done, in a form that stands out among other programs' output.
pub(crate) fn announce(what: &str) {
    println!("==> {what}");
}

/// Runs the command with our terminal, after announcing it.
///
/// # Errors
/// It cannot be started, or does not exit with 0.
pub(crate) fn run(command: &mut Command) -> Outcome {
    announce(&shown(command));
    let status = command
        .status()
        .map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "\"{}\" ended with {status}",
            shown(command)
        )))
    }
}

/// Runs the command quietly and returns its standard output as text.
///
/// # Errors
/// It cannot be started, or does not exit with 0: then its standard error is in the message.
pub(crate) fn read(command: &mut Command) -> Outcome<String> {
    let output = capture(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!(
        "\"{}\" ended with {}: {}",
        shown(command),
        output.status,
        said.trim()
    )))
}

/// Runs the command without standard input and keeps what it prints, whatever its exit code.
///
/// # Errors
/// It cannot be started.
pub(crate) fn capture(command: &mut Command) -> Outcome<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot_start(command, &error))
}

/// The message for a program that did not start.
pub(crate) fn cannot_start(command: &Command, error: &std::io::Error) -> Failure {
    let program = command.get_program().to_string_lossy().into_owned();
    Failure::new(format!("cannot start {program}: {error}"))
}

/// Whether a program of this name is in the search path.
pub(crate) fn installed(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else {
        return false;
    };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("/usr/bin/sh");
        command.args(["-c", "exit 3", ""]);
        assert_eq!(shown(&command), "sh -c 'exit 3' ''");
    }

    #[test]
    fn a_failing_program_is_named_with_its_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo broken >&2; exit 3"]);
        let message = read(&mut command).unwrap_err().to_string();
        assert!(message.contains("exit status: 3: broken"), "{message}");
    }
}
