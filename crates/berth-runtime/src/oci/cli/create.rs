//! `create` and `run`.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;

use super::flags::{BundleFlags, CreateFlags, Global, RunFlags};
use super::log::Log;
use crate::oci::create::{Newborn, Starter};
use crate::oci::id::OciId;
use crate::oci::prepare::{Driver, Prepared, Wishes, prepare};
use crate::oci::run::{Foreground, clean_up, write_pid_file};
use crate::oci::store::Store;
use crate::oci::{Outcome, cannot, console, create as creation, fail, start};
use crate::plan::{Keyring, RootChange};

/// What the flags come to, and the plan of the bundle.
struct Request {
    store: Store,
    wishes: Wishes,
    prepared: Prepared,
    preserved: u32,
}

pub(super) fn create(global: &Global, log: &Log, flags: &CreateFlags) -> Outcome {
    let request = request(global, log, &flags.bundle)?;
    check_console(&flags.bundle, request.prepared.terminal, true)?;
    let newborn = conceive(request, Starter::Command, log)?;
    present(&newborn, &flags.bundle).map_err(|failure| {
        // The container is whole, but its caller would never hear of it.
        match undo(newborn) {
            Ok(()) => failure,
            Err(besides) => fail(
                failure.class,
                format!("{}; besides, {}", failure.message, besides.message),
            ),
        }
    })
}

pub(super) fn run(global: &Global, log: &Log, flags: &RunFlags) -> Outcome<u8> {
    let request = request(global, log, &flags.bundle)?;
    check_console(&flags.bundle, request.prepared.terminal, flags.detach)?;
    let foreground = if flags.detach {
        None
    } else {
        Some(Foreground::prepare(!flags.no_subreaper)?)
    };
    let newborn = conceive(request, Starter::Us, log)?;
    let presented = present(&newborn, &flags.bundle);
    let Newborn {
        container, init, ..
    } = newborn;
    let ran = presented.and_then(|()| match foreground {
        Some(foreground) => foreground.accompany(&container, init).map(Some),
        None => start::detached(&container, init).map(|()| None),
    });
    match ran {
        Ok(None) => Ok(0),
        Ok(Some(code)) if flags.keep => Ok(code),
        Ok(Some(code)) => {
            clean_up(&container)?;
            Ok(code)
        }
        Err(failure) => {
            clean_up(&container)?;
            Err(failure)
        }
    }
}

fn request(global: &Global, log: &Log, flags: &BundleFlags) -> Outcome<Request> {
    let id = OciId::parse(&flags.id)?;
    let given = flags.bundle.clone().unwrap_or_else(|| PathBuf::from("."));
    let bundle = given.canonicalize().map_err(|e| {
        fail(
            ErrorClass::NotFound,
            format!("cannot find the bundle {}: {e}", given.display()),
        )
    })?;
    let (listening, env) = listen_fds();
    let preserved = flags.preserve_fds + listening;
    check_preserved(preserved)?;
    let wishes = Wishes {
        id,
        bundle,
        driver: if global.systemd_cgroup {
            Driver::Systemd
        } else {
            Driver::Cgroupfs
        },
        root_change: if flags.no_pivot {
            RootChange::Move
        } else {
            RootChange::Pivot
        },
        keyring: if flags.no_new_keyring {
            Keyring::Callers
        } else {
            Keyring::New
        },
        env,
    };
    let store = super::lifecycle::store(global);
    let prepared = prepare(&store, &wishes)?;
    log.debug(&format!("planned {}", wishes.id));
    Ok(Request {
        store,
        wishes,
        prepared,
        preserved,
    })
}

fn conceive(request: Request, starter: Starter, log: &Log) -> Outcome<Newborn> {
    for warning in &request.prepared.plan.warnings {
        log.warning(warning);
    }
    let newborn = creation::create(
        &request.store,
        &request.wishes,
        request.prepared,
        starter,
        request.preserved,
    )?;
    if let Some(warning) = &newborn.warning {
        log.warning(warning);
    }
    Ok(newborn)
}

/// Shows the container to its caller: terminal, pidfd, PID file, in this order, since callers
/// wait for the last.
fn present(newborn: &Newborn, flags: &BundleFlags) -> Outcome {
    if let (Some(path), Some(master)) = (&flags.console_socket, &newborn.init.terminal) {
        console::hand_over(path, "terminal", master.as_fd())?;
    }
    if let Some(path) = &flags.pidfd_socket {
        console::hand_over(path, "pidfd", newborn.init.pidfd.as_fd())?;
    }
    match &flags.pid_file {
        None => Ok(()),
        Some(path) => write_pid_file(path, newborn.init.pid),
    }
}

fn undo(newborn: Newborn) -> Outcome {
    drop(newborn.init.lock);
    clean_up(&newborn.container)
}

/// A terminal needs somebody to hold its other side, and nobody else does.
fn check_console(flags: &BundleFlags, terminal: bool, detached: bool) -> Outcome {
    let invalid = |message: &str| Err(fail(ErrorClass::Invalid, message));
    match (&flags.console_socket, terminal, detached) {
        (None, true, true) => invalid(
            "process.terminal: cannot allocate tty if the runtime detaches without --console-socket",
        ),
        (Some(_), false, true) => {
            invalid("--console-socket: cannot use it when process.terminal is false")
        }
        (Some(_), _, false) => {
            invalid("--console-socket: cannot use it in the foreground; give --detach")
        }
        (Some(path), true, true) => {
            // Found out now, before anything is made. Without a connection: containerd's shim
            // accepts one, and takes the terminal from that.
            console::find(path)
                .map_err(|e| cannot(&format!("use --console-socket {}", path.display()), e))
        }
        _ => Ok(()),
    }
}

/// The descriptors that a service manager passed to us and that the container is to have
/// (sd_listen_fds(3)), and the variables that say so inside.
pub(super) fn listen_fds() -> (u32, Vec<String>) {
    let variable = |name: &str| std::env::var(name).ok();
    let ours = variable("LISTEN_PID").is_some_and(|pid| pid == std::process::id().to_string());
    let count = variable("LISTEN_FDS").and_then(|count| count.parse().ok());
    match count {
        Some(count @ 1..=1024) if ours => (
            count,
            vec![format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()],
        ),
        _ => (0, Vec::new()),
    }
}

/// All of them must be open, or what we open ourselves would take their numbers.
pub(super) fn check_preserved(count: u32) -> Outcome {
    for number in 3..3 + count {
        if !Path::new("/proc/self/fd").join(number.to_string()).exists() {
            return Err(fail(
                ErrorClass::Invalid,
                format!("--preserve-fds: descriptor {number} is not open"),
            ));
        }
    }
    Ok(())
}
