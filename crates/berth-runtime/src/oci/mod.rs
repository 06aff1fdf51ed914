//! The OCI runtime: what `berth-runtime create`, `start`, `exec` and the rest do.
//!
//! A drop-in for runc: state lives below `--root`, one folder per container; the caller's shim is
//! the reaper; no keeper and no monitor are started. `cli` is the only part that knows flags and
//! prints.
//!
//! What is where: `store` the folders and `state.json`; `container` a container as the kernel
//! shows it; `prepare` from a bundle to a plan; `create` from a plan to a waiting init; `hooks`
//! those that run on the host side.

pub mod cli;
mod console;
mod container;
mod create;
mod delete;
mod exec;
mod home;
pub(crate) mod hooks;
mod id;
mod kill;
mod listener;
mod notify;
mod prepare;
mod pump;
mod run;
pub mod shield;
mod start;
pub(crate) mod state;
mod store;
mod update;
pub(crate) mod waiting;
pub(crate) mod words;

use berth_base::ErrorClass;
use berth_base::protocol::Failure;

/// The result of a command of the runtime.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// A failure of the command, with the exit code that runc gives all of them.
pub(crate) fn fail(class: ErrorClass, message: impl Into<String>) -> Failure {
    Failure {
        class,
        message: message.into(),
        exit_code: 1,
    }
}

/// An unexpected answer of the kernel while doing `what`.
pub(crate) fn cannot(what: &str, error: impl Into<std::io::Error>) -> Failure {
    let error: std::io::Error = error.into();
    fail(ErrorClass::Internal, format!("cannot {what}: {error}"))
}
