//! `exec`: another process in a running container.
//!
//! Who we are: `berth-runtime exec`, single-threaded, with the caller's privilege. A stage of our
//! own enters the namespaces and clones the process as our child (CLONE_PARENT), into the
//! container's cgroups; with `--detach` the caller's subreaper gets it when we end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use berth_base::ErrorClass;
use berth_base::protocol::Failure;
use berth_base::state::CgroupPaths;
use berth_sys::{ArgVector, Clone3, Forked, exit_now};
use oci_spec::runtime::{Process, Spec};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::container::{Container, Init};
use super::listener::Notified;
use super::prepare::console_size;
use super::state::Status;
use super::store::Store;
use super::{Outcome, cannot, fail, home};
use crate::act::Context;
use crate::cgroup::{Cgroup, JoinDescriptors};
use crate::enter::{self, Entrance, Wish};
use crate::filter::Filter;
use crate::init::{self, Prepared};
use crate::plan::{self, Program, Step, Streams};
use crate::stage;
use crate::{birth, wire};

/// What is to be executed, and where.
pub(crate) struct Request {
    pub(crate) process: Process,
    /// Descriptors after standard error that the process keeps.
    pub(crate) preserved: u32,
    /// `--cgroup`: sub-cgroups below the container's own.
    pub(crate) cgroups: Vec<String>,
}

/// A process that executes its program.
pub(crate) struct Executed {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) terminal: Option<OwnedFd>,
}

/// Executes a process; returns once it runs its program. What is left out is told to `warn`:
/// standard error is the process's own.
pub(crate) fn exec(
    store: &Store,
    container: &Container,
    mut request: Request,
    warn: &dyn Fn(&str),
) -> Outcome<Executed> {
    let init = container.init().ok_or_else(|| {
        fail(
            ErrorClass::Conflict,
            "container not running: cannot exec in a container that has stopped",
        )
    })?;
    let spec = container.spec()?;
    complete_environment(&mut request.process, &init);
    let doors = doors(container, &request.cgroups)?;
    let filter = filter(store, spec)?;
    let session = Session {
        container,
        init,
        spec,
        request,
        doors,
        filter,
        warn,
    };
    session.run()
}

/// HOME, where neither the caller nor the spec says it.
fn complete_environment(process: &mut Process, init: &Init) {
    let mut env = process.env().clone().unwrap_or_default();
    if env.iter().any(|variable| variable.starts_with("HOME=")) {
        return;
    }
    let root = format!("/proc/{}/root", init.pid.as_raw_nonzero());
    let home = home::of(std::path::Path::new(&root), process.user().uid());
    env.push(format!("HOME={home}"));
    process.set_env(Some(env));
}

/// How the process enters the container's cgroups, or sub-cgroups of them.
fn doors(container: &Container, below: &[String]) -> Outcome<JoinDescriptors> {
    let failed = |e: crate::cgroup::CgroupError| fail(e.class(), e.to_string());
    let paths = &container.state.cgroups;
    if !below.is_empty() {
        let cgroup = Cgroup::open_existing(&sub_cgroups(paths, below)?).map_err(failed)?;
        return cgroup.join_descriptors().map_err(failed);
    }
    let cgroup = Cgroup::open_existing(paths).map_err(failed)?;
    match container.state.init.as_ref().map(|init| init.pid) {
        Some(pid) => cgroup.join_descriptors_beside(pid).map_err(failed),
        None => cgroup.join_descriptors().map_err(failed),
    }
}

/// The container's cgroups with `[CONTROLLER[,CONTROLLER]:]PATH` appended.
fn sub_cgroups(paths: &CgroupPaths, below: &[String]) -> Outcome<CgroupPaths> {
    let mut changed = paths.clone();
    for entry in below {
        let (controllers, path) = match entry.split_once(':') {
            Some((controllers, path)) => (Some(controllers), path),
            None => (None, entry.as_str()),
        };
        let path = path.trim_matches('/');
        if path.split('/').any(|part| matches!(part, ".." | ".")) {
            return Err(fail(
                ErrorClass::Invalid,
                format!("--cgroup {entry:?}: the path may not hold . or .."),
            ));
        }
        let extend = |directory: &mut String| {
            if !path.is_empty() {
                directory.push('/');
                directory.push_str(path);
            }
        };
        match controllers {
            None => changed
                .v1
                .values_mut()
                .chain(&mut changed.v2)
                .for_each(extend),
            Some(list) => {
                for name in list.split(',') {
                    let directory = changed.v1.get_mut(name).ok_or_else(|| {
                        fail(
                            ErrorClass::Invalid,
                            format!("--cgroup {entry:?}: the container has no v1 cgroup of {name}"),
                        )
                    })?;
                    extend(directory);
                }
            }
        }
    }
    Ok(changed)
}

/// The container's own filter holds for every process in it.
fn filter(store: &Store, spec: &Spec) -> Outcome<Option<Filter>> {
    let linux = spec.linux().as_ref();
    match linux.and_then(|l| l.seccomp().as_ref()) {
        None => Ok(None),
        Some(profile) => Filter::of(profile, &store.filters()).map(Some),
    }
}

struct Session<'a> {
    container: &'a Container,
    init: Init,
    spec: &'a Spec,
    request: Request,
    doors: JoinDescriptors,
    filter: Option<Filter>,
    warn: &'a dyn Fn(&str),
}

impl Session<'_> {
    fn run(mut self) -> Outcome<Executed> {
        // Before anything of the container can see us (CVE-2016-9962).
        stage::forbid_tracing()?;
        let program = plan::program(&self.request.process, false)
            .map_err(|e| fail(e.class(), e.to_string()))?;
        let pair = || wire::pair().map_err(|e| cannot("make a socket pair", e));
        let ((ours, theirs), (upper, lower)) = (pair()?, pair()?);
        let stage = match Clone3::default()
            .run()
            .map_err(|e| cannot("clone the stage", e))?
        {
            Forked::Child => {
                drop((ours, upper));
                let result = self.stage(&program, theirs, lower.as_fd());
                exit_now(i32::from(
                    super::create::tell(lower.as_fd(), result).is_err(),
                ))
            }
            Forked::Parent { pidfd, .. } => pidfd,
        };
        drop((theirs, lower));
        let heard = self.hear(upper.as_fd(), ours.as_fd(), &program);
        waitid(WaitId::PidFd(stage.as_fd()), WaitIdOptions::EXITED)
            .map_err(|e| cannot("wait for the stage", e))?;
        heard
    }

    /// The stage: enters, clones, shows the process to its parent. The process itself never
    /// returns from here.
    fn stage(&mut self, program: &Program, theirs: OwnedFd, lower: BorrowedFd<'_>) -> Outcome {
        let process = &self.request.process;
        let entered = enter::enter(self.init.pid, self.init.pidfd.as_fd(), process, &[])?;
        let size = console_size(Some(process));
        let wish = Wish {
            process,
            linux: self.spec.linux().as_ref(),
            seccomp: self.filter.is_some(),
            size,
            streams: Streams::Callers,
        };
        let Entrance {
            slots,
            steps,
            warnings,
        } = enter::steps(entered, &wish)?;
        for warning in warnings {
            // The log is the parent's: a path would be the container's here.
            send_text(lower, wire::WARNING, &warning)?;
        }
        if let Some(mask) = plan::initial_affinity(process) {
            berth_sys::set_affinity(&mask).map_err(|e| {
                cannot("set the CPU affinity of process.execCPUAffinity.initial", e)
            })?;
        }
        send_steps(lower, &steps)?;
        let prepared = Prepared {
            steps: &steps,
            argv: ArgVector::new(program.argv.clone()),
            env: ArgVector::new(program.env.clone()),
            program,
            streams: None,
            first_closed: 3 + self.request.preserved,
            report: None,
        };
        let mut context = Context::new(slots.len(), theirs.as_fd());
        context.fill(slots);
        context.tasks = &self.doors.v1;
        context.filter = self.filter.as_ref().map(Filter::loadable);
        let mut clone = Clone3::default().sibling();
        if let Some(directory) = &self.doors.v2 {
            clone = clone.into_cgroup(directory.as_fd());
        }
        match clone.run().map_err(|e| cannot("clone the process", e))? {
            Forked::Child => init::run(&prepared, &mut context),
            Forked::Parent { pidfd, .. } => birth::introduce(lower, pidfd.as_fd()),
        }
    }

    /// Hears stage and process until the program is executed.
    fn hear(
        &self,
        stage: BorrowedFd<'_>,
        process: BorrowedFd<'_>,
        program: &Program,
    ) -> Outcome<Executed> {
        let mut words = Vec::new();
        let mut child = None;
        loop {
            let (packet, length, descriptor) =
                wire::receive(stage).map_err(|e| cannot("hear from the stage", e))?;
            match (
                packet.get(..length).and_then(|p| p.split_first()),
                descriptor,
            ) {
                (Some((&wire::DONE, _)), _) => break,
                (None, _) => {
                    return Err(fail(ErrorClass::Internal, "the stage ended too early"));
                }
                (Some((&wire::STEPS, list)), _) => words = step_words(list),
                (Some((&wire::WARNING, text)), _) => (self.warn)(&String::from_utf8_lossy(text)),
                (Some((&wire::INIT, _)), Some(pidfd)) => {
                    let pid = wire::pid_of(&pidfd)
                        .ok_or_else(|| fail(ErrorClass::Internal, "the process ended at once"))?;
                    child = Some((pid, pidfd));
                    wire::send_byte(stage, wire::KNOWN)
                        .map_err(|e| cannot("answer the stage", e))?;
                }
                (Some((_, json)), _) => {
                    let mut failure: Failure = serde_json::from_slice(json)
                        .map_err(|e| cannot("understand the stage", e))?;
                    failure.exit_code = 1;
                    return Err(failure);
                }
            }
        }
        let (pid, pidfd) =
            child.ok_or_else(|| fail(ErrorClass::Internal, "the stage ended too early"))?;
        match self.accompany(process, (pid, &pidfd), program, &words) {
            Ok(terminal) => Ok(Executed {
                pid,
                pidfd,
                terminal,
            }),
            Err(failure) => {
                if pidfd_send_signal(&pidfd, Signal::KILL).is_ok() {
                    waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
                        .map_err(|e| cannot("end the failed process", e))?;
                }
                Err(failure)
            }
        }
    }

    fn accompany(
        &self,
        process: BorrowedFd<'_>,
        (pid, pidfd): (Pid, &OwnedFd),
        program: &Program,
        words: &[String],
    ) -> Outcome<Option<OwnedFd>> {
        let mut terminal = None;
        if let Some(score) = self.request.process.oom_score_adj() {
            birth::set_oom_score(super::create::host_pid(pid)?, score)?;
        }
        loop {
            let (packet, length, descriptor) =
                wire::receive(process).map_err(|e| cannot("hear from the process", e))?;
            match packet.get(..length).and_then(|p| p.split_first()) {
                None => return Ok(terminal),
                Some((&wire::READY, _)) => wire::send_byte(process, wire::START)
                    .map_err(|e| cannot("start the process", e))?,
                Some((&wire::TERMINAL, _)) => terminal = descriptor,
                Some((&wire::LISTENER, payload)) => Notified {
                    spec: self.spec,
                    state: &self.container.state,
                    status: Status::Running,
                    pid: pid.as_raw_nonzero().get().unsigned_abs(),
                    pidfd: pidfd.as_fd(),
                    socket: process,
                }
                .pass_on(payload)?,
                Some((&wire::EXEC_FAILED, payload)) => {
                    let name = program.argv.first().map(|p| p.to_string_lossy());
                    let name = name.as_deref().unwrap_or("nothing");
                    return Err(super::words::not_executable(name, payload));
                }
                Some((_, payload)) => return Err(step_failed(payload, words)),
            }
        }
    }
}

/// Tells the parent what each step is called: it made no plan of its own.
fn send_steps(parent: BorrowedFd<'_>, steps: &[Step]) -> Outcome {
    let words: Vec<String> = steps.iter().map(Step::describe).collect();
    send_text(parent, wire::STEPS, &words.join("\n"))
}

fn send_text(parent: BorrowedFd<'_>, kind: u8, text: &str) -> Outcome {
    let mut packet = vec![kind];
    packet.extend(text.as_bytes());
    rustix::net::send(parent, &packet, rustix::net::SendFlags::NOSIGNAL)
        .map(drop)
        .map_err(|e| cannot("tell our parent", e))
}

fn step_words(list: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(list)
        .lines()
        .map(str::to_owned)
        .collect()
}

fn step_failed(payload: &[u8], words: &[String]) -> Failure {
    let index = payload.first_chunk().map(|b| u32::from_le_bytes(*b));
    let word = index
        .and_then(|index| usize::try_from(index).ok())
        .and_then(|index| words.get(index));
    let errno = payload.last_chunk().map_or(22, |b| i32::from_le_bytes(*b));
    let errno = rustix::io::Errno::from_raw_os_error(errno);
    fail(
        ErrorClass::Internal,
        format!(
            "cannot {}: {}",
            word.map_or("set up the process", String::as_str),
            crate::failure::describe(errno)
        ),
    )
}
