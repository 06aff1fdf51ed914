//! The commands, their help, and the way to them.

use crate::args::{Args, nearest};
use crate::failure::{Failure, Outcome};
use crate::{
    bench, build, crash, deb, demo, fuzz, man, script, setup, soak, spec, test, tidy, verbs, vm,
};

/// One command of xtask.
struct Command {
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    run: fn(Args) -> Outcome,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        usage: "",
        about: "start real containers, draw and translate their PIDs, end them whole",
        run: demo::command,
    },
    Command {
        name: "test",
        usage: "[--quick]",
        about: "what CI runs: fmt, clippy, tidy, build, VM tier, soak share, every test",
        run: test::command,
    },
    Command {
        name: "vm",
        usage: "[PROFILE] [TEXT] [--dev]",
        about: "boot Debian's cloud kernel in QEMU, below a shell and systemd, and run tests there",
        run: vm::command,
    },
    Command {
        name: "soak",
        usage: "[engine|oci] [--share N]",
        about: "tens of thousands of starts, in a row and in crowds, nothing left; or an Nth",
        run: soak::command,
    },
    Command {
        name: "crash",
        usage: "[NAME [CRASH POINT NTH]|disk] [--rounds N] [--share N]",
        about: "kill, fail and cut the power at every point of every operation, recover, lose nothing",
        run: crash::command,
    },
    Command {
        name: "fuzz",
        usage: "[TARGET [INPUT]] [--minutes N]",
        about: "inputs that nobody thought of, at what reads images; a minute in all, or so many",
        run: fuzz::command,
    },
    Command {
        name: "bench",
        usage: "start|oci|memory|map|live|image|net [--rounds N] [--markdown]",
        about: "starts against the kernel's floor, other engines and runtimes; idle memory; the map; watching it; images; networks; every day",
        run: bench::command,
    },
    Command {
        name: "build",
        usage: "",
        about: "release binaries, linked into target/release/",
        run: build::command,
    },
    Command {
        name: "deb",
        usage: "[--dev] [--trial]",
        about: "Debian's package in target/debian/; tried on a copy of this machine",
        run: deb::command,
    },
    Command {
        name: "man",
        usage: "[FOLDER]",
        about: "a manual page for each command, read by groff",
        run: man::command,
    },
    Command {
        name: "setup",
        usage: "[build|test|vm|bench|peers|images|nets|soak|demo]",
        about: "install what the other commands need from the system",
        run: setup::command,
    },
    Command {
        name: "spec",
        usage: "[--json]",
        about: "which duties of the runtime specification have a test",
        run: spec::command,
    },
    Command {
        name: "verbs",
        usage: "[--write]",
        about: "docker's commands and flags against ours, and the reasons for what differs",
        run: verbs::command,
    },
    Command {
        name: "script",
        usage: "[--write] [--verbose]",
        about: "a hundred docker commands, done by docker and by berth, and what they print",
        run: script::command,
    },
    Command {
        name: "tidy",
        usage: "",
        about: "sizes of files, arrows between crates, unsafe code, links of the docs",
        run: tidy::command,
    },
];

/// Not for people: a copy of xtask in another environment, started by `bench`.
const STOPWATCH: &str = "stopwatch";

/// Runs the command that the words name.
///
/// # Errors
/// The command is unknown or fails.
pub(crate) fn dispatch(words: &[String]) -> Outcome {
    let Some((name, rest)) = words.split_first() else {
        print!("{}", help());
        return Ok(());
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") || rest.iter().any(|w| w == "--help") {
        print!("{}", help());
        return Ok(());
    }
    if name == STOPWATCH {
        return bench::stopwatch(Args::new(name, rest));
    }
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => (command.run)(Args::new(name, rest)),
        None => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> Failure {
    let hint = nearest(name, COMMANDS.iter().map(|command| command.name)).map_or_else(
        || "see \"cargo xtask help\"".to_owned(),
        |near| format!("did you mean \"cargo xtask {near}\"?"),
    );
    Failure::usage(format!("there is no command \"{name}\"; {hint}"))
}

fn help() -> String {
    let mut text = String::from("Usage: cargo xtask COMMAND\n\n");
    for Command {
        name, usage, about, ..
    } in COMMANDS
    {
        text.push_str(&format!("  {:<44} {about}\n", format!("{name} {usage}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_command_once() {
        let text = help();
        for command in COMMANDS {
            assert_eq!(
                text.matches(&format!("\n  {} ", command.name)).count(),
                1,
                "{text}"
            );
        }
    }

    #[test]
    fn an_unknown_command_suggests_the_nearest() {
        let message = dispatch(&["tets".to_owned()]).unwrap_err().to_string();
        assert_eq!(
            message,
            "there is no command \"tets\"; did you mean \"cargo xtask test\"?"
        );
    }
}
