//! `exec`.

use std::fs;
use std::os::fd::AsFd;

use berth_base::ErrorClass;
use oci_spec::runtime::{Capability, LinuxCapabilities, Process, Spec};

use super::create::{check_preserved, listen_fds};
use super::flags::{ExecFlags, Global};
use super::lifecycle::{open, store};
use super::log::Log;
use crate::oci::exec::{Executed, Request, exec as execute};
use crate::oci::run::{Foreground, write_pid_file};
use crate::oci::state::Status;
use crate::oci::{Outcome, cannot, console, fail};

/// runc's exit code when the process could not be executed.
const FAILED: u8 = 255;

pub(super) fn exec(global: &Global, log: &Log, flags: &ExecFlags) -> Outcome<u8> {
    run(global, log, flags).map_err(|mut failure| {
        failure.exit_code = FAILED;
        failure
    })
}

fn run(global: &Global, log: &Log, flags: &ExecFlags) -> Outcome<u8> {
    let container = open(global, &flags.id)?;
    match container.status() {
        Status::Stopped | Status::Creating => {
            return Err(fail(
                ErrorClass::Conflict,
                "container not running: cannot exec in a container that has stopped",
            ));
        }
        Status::Paused if !flags.ignore_paused => {
            return Err(fail(
                ErrorClass::Conflict,
                "cannot exec in a paused container (use --ignore-paused to override)",
            ));
        }
        _ => {}
    }
    let (listening, env) = listen_fds();
    let preserved = flags.preserve_fds + listening;
    check_preserved(preserved)?;
    let mut process = process(flags, container.spec()?)?;
    let mut all = process.env().clone().unwrap_or_default();
    all.extend(env);
    process.set_env(Some(all));
    let terminal = process.terminal().unwrap_or(false);
    check_console(flags, terminal)?;
    let foreground = if flags.detach {
        None
    } else {
        Some(Foreground::prepare(false)?)
    };
    let request = Request {
        process,
        preserved,
        cgroups: flags.cgroup.clone(),
    };
    let executed = execute(&store(global), &container, request, &|text| {
        log.warning(text)
    })?;
    present(&executed, flags)?;
    match foreground {
        None => Ok(0),
        Some(foreground) => {
            foreground.attend(executed.pid, &executed.pidfd, executed.terminal, None)
        }
    }
}

fn present(executed: &Executed, flags: &ExecFlags) -> Outcome {
    if let (Some(path), Some(master)) = (&flags.console_socket, &executed.terminal) {
        console::hand_over(path, "terminal", master.as_fd())?;
    }
    if let Some(path) = &flags.pidfd_socket {
        console::hand_over(path, "pidfd", executed.pidfd.as_fd())?;
    }
    match &flags.pid_file {
        None => Ok(()),
        Some(path) => write_pid_file(path, executed.pid),
    }
}

fn check_console(flags: &ExecFlags, terminal: bool) -> Outcome {
    let invalid = |message: &str| Err(fail(ErrorClass::Invalid, message));
    match (&flags.console_socket, terminal, flags.detach) {
        (None, true, true) => {
            invalid("--tty: cannot allocate tty if the runtime detaches without --console-socket")
        }
        (Some(_), false, _) => invalid("--console-socket: cannot use it without --tty"),
        (Some(_), _, false) => {
            invalid("--console-socket: cannot use it in the foreground; give --detach")
        }
        _ => Ok(()),
    }
}

/// The process: from a file, or the container's own with what the flags change.
fn process(flags: &ExecFlags, spec: &Spec) -> Outcome<Process> {
    if let Some(path) = &flags.process {
        let text = fs::read(path).map_err(|e| cannot(&format!("read {}", path.display()), e))?;
        let process: Process = serde_json::from_slice(&text)
            .map_err(|e| fail(ErrorClass::Invalid, format!("{}: {e}", path.display())))?;
        let named = process.args().as_ref().is_some_and(|args| !args.is_empty());
        if !named {
            return Err(fail(
                ErrorClass::Invalid,
                format!("{}: args: must not be empty", path.display()),
            ));
        }
        return Ok(process);
    }
    if flags.args.is_empty() {
        return Err(fail(
            ErrorClass::Invalid,
            "exec: no command given; name one after the id, or use --process",
        ));
    }
    let mut process = spec
        .process()
        .clone()
        .ok_or_else(|| fail(ErrorClass::Invalid, "process: the container has none"))?;
    process.set_args(Some(flags.args.clone()));
    process.set_terminal(Some(flags.tty));
    if let Some(cwd) = &flags.cwd {
        process.set_cwd(cwd.clone());
    }
    if let Some(label) = &flags.process_label {
        process.set_selinux_label(Some(label.clone()));
    }
    if let Some(profile) = &flags.apparmor {
        process.set_apparmor_profile(Some(profile.clone()));
    }
    if flags.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(flags.env.iter().cloned());
    process.set_env(Some(env));
    set_user(&mut process, flags)?;
    add_capabilities(&mut process, &flags.cap)?;
    Ok(process)
}

/// `--user UID[:GID]`: numbers alone, so that no passwd line decides (CVE-2016-3697).
fn set_user(process: &mut Process, flags: &ExecFlags) -> Outcome {
    let mut user = process.user().clone();
    if let Some(text) = &flags.user {
        let (uid, gid) = match text.split_once(':') {
            Some((uid, gid)) => (uid, Some(gid)),
            None => (text.as_str(), None),
        };
        let number = |text: &str, what: &str| {
            text.parse::<u32>().map_err(|_| {
                fail(
                    ErrorClass::Invalid,
                    format!("--user: {what} {text:?} is not a number below 2^32"),
                )
            })
        };
        user.set_uid(number(uid, "the uid")?);
        if let Some(gid) = gid {
            user.set_gid(number(gid, "the gid")?);
        }
    }
    if !flags.additional_gids.is_empty() {
        let mut groups = user.additional_gids().clone().unwrap_or_default();
        groups.extend(&flags.additional_gids);
        user.set_additional_gids(Some(groups));
    }
    process.set_user(user);
    Ok(())
}

/// `--cap`: into the bounding, effective and permitted sets, never the inheritable one
/// (CVE-2022-29162).
fn add_capabilities(process: &mut Process, names: &[String]) -> Outcome {
    if names.is_empty() {
        return Ok(());
    }
    let mut sets = process.capabilities().clone().unwrap_or_else(|| {
        let mut none = LinuxCapabilities::default();
        none.set_bounding(None)
            .set_effective(None)
            .set_inheritable(None)
            .set_permitted(None)
            .set_ambient(None);
        none
    });
    for name in names {
        let upper = name.to_ascii_uppercase();
        let plain = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let capability: Capability = serde_json::from_value(format!("CAP_{plain}").into())
            .map_err(|_| {
                fail(
                    ErrorClass::Invalid,
                    format!("--cap: unknown capability {name:?}"),
                )
            })?;
        let with = |set: &Option<std::collections::HashSet<Capability>>| {
            let mut set = set.clone().unwrap_or_default();
            set.insert(capability);
            Some(set)
        };
        let (bounding, effective, permitted) = (
            with(sets.bounding()),
            with(sets.effective()),
            with(sets.permitted()),
        );
        sets.set_bounding(bounding)
            .set_effective(effective)
            .set_permitted(permitted);
    }
    process.set_capabilities(Some(sets));
    Ok(())
}
