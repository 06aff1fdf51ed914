//! The command line of `berth-runtime`: runc's, and `plan`.
//!
//! The only part of the runtime that knows flags, prints, and chooses exit codes.

mod create;
mod events;
mod exec;
mod flags;
mod inspect;
mod lifecycle;
mod log;
mod ps;
mod signal;
mod spec;
mod update;

use std::ffi::OsString;
use std::process::ExitCode;

use berth_base::ErrorClass;
use clap::Parser;

use super::{Outcome, cannot, fail, shield};
use flags::{Arguments, Command, Global};
use log::Log;

/// Runs one command. `arguments` begin with the program's name.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let log = Log::new(&arguments.global);
    let result = match arguments.command {
        None => Err(fail(
            ErrorClass::Invalid,
            "no command given; see berth-runtime --help",
        )),
        Some(command) => perform(&arguments.global, &log, command),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            log.error(&failure.message);
            ExitCode::from(failure.exit_code)
        }
    }
}

/// Help and version are answers, the rest is bad usage.
fn usage(error: &clap::Error) -> ExitCode {
    if error.print().is_err() {
        // Nobody reads.
    }
    ExitCode::from(u8::from(error.use_stderr()))
}

fn perform(global: &Global, log: &Log, command: Command) -> Outcome<u8> {
    let done = |()| 0;
    if matches!(
        command,
        Command::Create(_) | Command::Run(_) | Command::Exec(_)
    ) {
        shield::raise()?;
        // What our caller left open is for nobody: neither hooks nor helpers see it.
        berth_sys::close_on_exec_from(3).map_err(|e| cannot("mark descriptors", e))?;
    }
    match command {
        Command::Create(flags) => create::create(global, log, &flags.0).map(done),
        Command::Run(flags) => create::run(global, log, &flags.0),
        Command::Start { id } => lifecycle::start(global, log, &id).map(done),
        Command::Exec(flags) => exec::exec(global, log, &flags.0),
        Command::Kill(flags) => lifecycle::kill(global, &flags.0).map(done),
        Command::Delete(flags) => lifecycle::delete(global, log, &flags.0).map(done),
        Command::Pause { id } => lifecycle::pause(global, &id).map(done),
        Command::Resume { id } => lifecycle::resume(global, &id).map(done),
        Command::Ps(flags) => ps::ps(global, &flags.0).map(done),
        Command::Events(flags) => events::events(global, &flags.0).map(done),
        Command::Update(flags) => update::update(global, log, &flags.0).map(done),
        Command::Spec(flags) => spec::spec(&flags.0).map(done),
        Command::Features => spec::features().map(done),
        Command::State { id } => inspect::state(global, &id).map(done),
        Command::List(flags) => inspect::list(global, &flags.0).map(done),
        Command::Plan { bundle } => inspect::plan(global, &bundle).map(done),
        Command::Checkpoint { .. } | Command::Restore { .. } => Err(fail(
            ErrorClass::Unsupported,
            "checkpoint and restore are not supported by this version of berth-runtime",
        )),
    }
}
