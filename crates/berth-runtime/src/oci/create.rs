//! From a plan to an init that waits for its start.
//!
//! Who we are: `berth-runtime create` or `run`, single-threaded, with the caller's privilege. init
//! is our child; it outlives us after `create`, and the caller's subreaper gets it. Where
//! namespaces are joined, offsets set or the root handed over, a stage does that in a process of
//! its own and makes init our child all the same (CLONE_PARENT).
//!
//! Whatever we made is unmade when a creation fails. SIGKILL of us ends init, which waits on our
//! socket until it is set up; the folder and the cgroup then are `delete --force`'s to remove.

mod by_stage;

use std::fs;
use std::mem::{self, ManuallyDrop};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use berth_base::protocol::Failure;
use berth_base::state::CgroupPaths;
use berth_base::{ErrorClass, HostPid, Timestamp};
use berth_sys::{ArgVector, Forked, exit_now};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::container::Container;
use super::hooks::{self, Point};
use super::prepare::{Prepared, Wishes};
use super::state::{STATE_FILE_VERSION, StateFile, Status, annotations};
use super::store::{Folder, Lock, Store};
use super::waiting::{InitParts, start_socket};
use super::{Outcome, cannot, fail, notify, words};
use crate::act::Context;
use crate::cgroup::{Cgroup, Existing, JoinDescriptors, Placement, Scope, field_of};
use crate::filter::Filter;
use crate::init::{self, Prepared as PreparedInit};
use crate::resctrl::Group;
use crate::stage::{self, Parent};
use crate::{birth, mapping, process, wire};

pub(crate) use by_stage::tell;

/// Who gives the signal to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starter {
    /// A later `start`, through the start socket.
    Command,
    /// We do, through init's own socket (`run`).
    Us,
}

/// A container whose init has set everything up and waits.
pub(crate) struct Newborn {
    pub(crate) container: Container,
    pub(crate) init: Waiting,
    /// What the caller's rights did not allow.
    pub(crate) warning: Option<String>,
}

/// An init that waits, and what its creator holds for it.
pub(crate) struct Waiting {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    /// Our end of its socket.
    pub(crate) socket: OwnedFd,
    /// The master of its terminal.
    pub(crate) terminal: Option<OwnedFd>,
    pub(crate) lock: Lock,
}

/// Creates a container up to the point at which only its start is missing.
pub(crate) fn create(
    store: &Store,
    wishes: &Wishes,
    prepared: Prepared,
    starter: Starter,
    preserved: u32,
) -> Outcome<Newborn> {
    // Never freed: that would write to pages which init shares with us until it executes, each
    // write a copy, and we end soon after.
    let mut prepared = ManuallyDrop::new(prepared);
    let (folder, lock) = store.claim(&wishes.id)?;
    let state = StateFile {
        version: STATE_FILE_VERSION,
        id: wishes.id.as_str().to_owned(),
        bundle: wishes.bundle.clone(),
        rootfs: prepared.rootfs.clone(),
        created: Timestamp::from(SystemTime::now()),
        owner: rustix::process::getuid().as_raw(),
        init: None,
        own_pid_namespace: prepared.plan.own_pid_namespace,
        cgroups: CgroupPaths::default(),
        intended: prepared.placement.paths(&prepared.hierarchies),
        scope: match &prepared.placement {
            Placement::Cgroupfs(_) => None,
            Placement::Systemd(place) => Some(place.scope.clone()),
        },
        resctrl: None,
        annotations: annotations(&prepared.spec),
    };
    let mut creation = Creation {
        folder: &folder,
        prepared: &prepared,
        state,
        cgroup: None,
        init: None,
    };
    match creation.perform(starter, preserved) {
        Ok((socket, terminal)) => {
            let state = creation.state;
            let warning = creation.cgroup.as_ref().and_then(Cgroup::warning);
            let (pid, pidfd) = creation
                .init
                .ok_or_else(|| fail(ErrorClass::Internal, "init is missing"))?;
            let container = Container::new(wishes.id.clone(), folder, state);
            Ok(Newborn {
                container: container.with_config(mem::take(&mut prepared.spec)),
                init: Waiting {
                    pid,
                    pidfd,
                    socket,
                    terminal,
                    lock,
                },
                warning,
            })
        }
        Err(failure) => Err(creation.undo(failure)),
    }
}

/// A creation under way: what there is to unmake.
struct Creation<'a> {
    folder: &'a Folder,
    prepared: &'a Prepared,
    state: StateFile,
    cgroup: Option<Cgroup>,
    init: Option<(Pid, OwnedFd)>,
}

impl Creation<'_> {
    fn perform(&mut self, starter: Starter, preserved: u32) -> Outcome<(OwnedFd, Option<OwnedFd>)> {
        self.save_config()?;
        if self.prepared.notify {
            notify::make_folder(self.folder)?;
        }
        // Intent before effect: whoever finds us dead knows where to look.
        self.folder.write(&self.state)?;
        let doors = self.make_cgroup()?;
        // From here on they are surely ours, and so is whoever is inside: if we die before init is
        // recorded, delete ends it by them.
        self.folder.write(&self.state)?;
        self.make_resctrl_group()?;
        let listener = match starter {
            Starter::Command => Some(start_socket(self.folder.path())?),
            Starter::Us => None,
        };
        let (ours, theirs) = wire::pair().map_err(|e| cannot("make a socket pair", e))?;
        self.clone_init(&doors, listener, (ours.as_fd(), theirs), preserved)?;
        // While init is busy, not while it waits for us.
        drop(doors);
        self.enter_resctrl_group()?;
        let terminal = self.accompany(ours.as_fd())?;
        Ok((ours, terminal))
    }

    /// Later commands go by the configuration as it is now (runtime-spec, runtime.md, "Create").
    fn save_config(&self) -> Outcome {
        let path = self.folder.config();
        let text = serde_json::to_vec(&self.prepared.spec)
            .map_err(|e| cannot("encode the configuration", e))?;
        fs::write(&path, text).map_err(|e| cannot(&format!("write {}", path.display()), e))
    }

    /// The cgroup with its limits in place, before anybody enters.
    fn make_cgroup(&mut self) -> Outcome<JoinDescriptors> {
        let prepared = self.prepared;
        let Placement::Cgroupfs(place) = &prepared.placement else {
            return Ok(JoinDescriptors::default());
        };
        let failed = |field: &'static str| {
            move |e: crate::cgroup::CgroupError| fail(e.class(), format!("{field}: {e}"))
        };
        let cgroup = Cgroup::create_at(
            &prepared.hierarchies,
            place,
            prepared.access,
            Existing::Empty,
        )
        .map_err(failed("linux.cgroupsPath"))?;
        let cgroup = self.cgroup.insert(cgroup);
        self.state.cgroups = cgroup.paths();
        cgroup
            .apply(&prepared.resources)
            .map_err(|e| fail(e.class(), format!("{}: {e}", field_of(&e))))?;
        let mut doors = cgroup
            .join_descriptors()
            .map_err(failed("linux.cgroupsPath"))?;
        let joins_cgroup_namespace = prepared
            .plan
            .joins
            .iter()
            .any(|join| join.kind == berth_base::NamespaceKind::Cgroup);
        if joins_cgroup_namespace {
            doors
                .enter_v2_by_file()
                .map_err(|e| cannot("open cgroup.procs of the container", e))?;
        }
        Ok(doors)
    }

    /// The resctrl group with its schemata, before anybody enters.
    fn make_resctrl_group(&mut self) -> Outcome {
        let linux = self.prepared.spec.linux().as_ref();
        let Some(rdt) = linux.and_then(|linux| linux.intel_rdt().as_ref()) else {
            return Ok(());
        };
        let mount = self.prepared.resctrl.as_deref();
        let group = Group::prepare(mount, rdt, &self.state.id)
            .map_err(|e| fail(e.class(), e.to_string()))?;
        self.state.resctrl = Some(group);
        self.folder.write(&self.state)
    }

    /// init has forked nothing yet that would stay outside.
    fn enter_resctrl_group(&self) -> Outcome {
        let (Some(group), Some((pid, _))) = (&self.state.resctrl, &self.init) else {
            return Ok(());
        };
        group
            .enter(host_pid(*pid)?)
            .map_err(|e| fail(e.class(), e.to_string()))
    }

    fn clone_init(
        &mut self,
        doors: &JoinDescriptors,
        listener: Option<OwnedFd>,
        (ours, theirs): (BorrowedFd<'_>, OwnedFd),
        preserved: u32,
    ) -> Outcome {
        let plan = &self.prepared.plan;
        if !stage::rootless_mapping(plan) {
            stage::forbid_tracing()?;
        }
        let parts = InitParts::new(&self.prepared.spec, &self.state)?;
        let lifecycle = parts.lifecycle(plan, listener.as_ref().map(AsFd::as_fd));
        let prepared = PreparedInit {
            steps: &plan.init,
            program: &plan.program,
            argv: ArgVector::new(plan.program.argv.clone()),
            env: ArgVector::new(plan.program.env.clone()),
            streams: None,
            first_closed: 3 + preserved,
            report: None,
        };
        let mut context = Context::new(plan.slots, theirs.as_fd());
        stage::open_before(plan, &mut context)?;
        context.tasks = &doors.v1;
        context.lifecycle = Some(&lifecycle);
        context.filter = self.prepared.filter.as_ref().map(Filter::loadable);
        let needs_stage =
            !plan.joins.is_empty() || !plan.time_offsets.is_empty() || !plan.host.is_empty();
        if needs_stage {
            return self.clone_by_stage(doors, ours, &prepared, &mut context);
        }
        match stage::clone_init(plan, doors, Parent::Us)? {
            Forked::Child => become_init(ours, &prepared, &mut context),
            Forked::Parent { pid, pidfd } => {
                self.init = Some((pid, pidfd));
                self.start_scope(ours)?;
                self.map_ids(pid, ours)
            }
        }
    }

    /// Has systemd make its scope around init, which waits for that.
    fn start_scope(&mut self, init: BorrowedFd<'_>) -> Outcome {
        let prepared = self.prepared;
        let Placement::Systemd(place) = &prepared.placement else {
            return Ok(());
        };
        let (pid, _) = self
            .init
            .as_ref()
            .ok_or_else(|| fail(ErrorClass::Internal, "init is missing"))?;
        let cgroup = place
            .start_scope(
                &prepared.hierarchies,
                prepared.access,
                host_pid(*pid)?,
                &prepared.resources,
            )
            .map_err(|e| fail(e.class(), e.to_string()))?;
        self.state.cgroups = cgroup.paths();
        self.cgroup = Some(cgroup);
        self.folder.write(&self.state)?;
        wire::send_byte(init, wire::ENTERED).map_err(|e| cannot("reach the first process", e))
    }

    /// Writes the id mappings of a new user namespace.
    fn map_ids(&self, pid: Pid, init: BorrowedFd<'_>) -> Outcome {
        let Some(mappings) = &self.prepared.plan.mappings else {
            return Ok(());
        };
        mapping::write(host_pid(pid)?, mappings)?;
        wire::send_byte(init, wire::MAPPED).map_err(|e| cannot("reach the first process", e))
    }

    /// From the clone until init waits for its start.
    fn accompany(&mut self, init: BorrowedFd<'_>) -> Outcome<Option<OwnedFd>> {
        let (pid, _) = self
            .init
            .as_ref()
            .ok_or_else(|| fail(ErrorClass::Internal, "init is missing"))?;
        let pid = host_pid(*pid)?;
        let mut equipped = self.equip(pid);
        let mut terminal = None;
        loop {
            let (packet, length, descriptor) =
                wire::receive(init).map_err(|e| cannot("hear from the first process", e))?;
            match packet.get(..length).and_then(|p| p.split_first()) {
                Some((&wire::READY, _)) => break,
                Some((&wire::TERMINAL, _)) => terminal = descriptor,
                Some((&wire::HOOKS, _)) => {
                    // init is alive and waits: nothing it could have said explains this better.
                    std::mem::replace(&mut equipped, Ok(()))?;
                    self.run_hooks(init)?;
                }
                Some((kind, payload)) => {
                    return Err(words::explain(
                        &self.prepared.spec,
                        &self.prepared.plan,
                        *kind,
                        payload,
                    ));
                }
                None => {
                    equipped?;
                    return Err(fail(
                        ErrorClass::Internal,
                        "the first process ended while it was set up",
                    ));
                }
            }
        }
        equipped?;
        Ok(terminal)
    }

    /// What init gets from outside while it sets itself up, and its record.
    fn equip(&mut self, pid: HostPid) -> Outcome {
        if let Some(score) = self.prepared.plan.oom_score_adj {
            birth::set_oom_score(pid, score)?;
        }
        let identity =
            process::identify(pid).map_err(|e| cannot("identify the first process", e))?;
        self.state.init = Some(identity);
        self.folder.write(&self.state)
    }

    fn run_hooks(&self, init: BorrowedFd<'_>) -> Outcome {
        for point in [Point::Prestart, Point::CreateRuntime] {
            hooks::run(&self.prepared.spec, point, &self.state, Status::Creating)?;
        }
        wire::send_byte(init, wire::HOOKED).map_err(|e| cannot("reach the first process", e))
    }

    /// Unmakes everything; what cannot be unmade is added to the failure.
    fn undo(self, mut failure: Failure) -> Failure {
        let mut leftovers = Vec::new();
        if let Some((_, pidfd)) = &self.init {
            let killed = pidfd_send_signal(pidfd, Signal::KILL);
            if !matches!(killed, Ok(()) | Err(Errno::SRCH)) || !reap(pidfd.as_fd()) {
                leftovers.push("the first process did not end within 5 s".to_owned());
            }
            let state = &self.state;
            let failed =
                hooks::run_all(&self.prepared.spec, Point::Poststop, state, Status::Stopped);
            leftovers.extend(failed.into_iter().map(|failure| failure.message));
        }
        if let Some(cgroup) = &self.cgroup {
            let deadline = Instant::now() + Duration::from_secs(5);
            let removed = cgroup.end(deadline).and_then(|()| cgroup.remove());
            leftovers.extend(removed.err().map(|e| e.to_string()));
            // Only a scope that was started here: another of its name is not ours to stop.
            let stopped = self.state.scope.as_ref().map(Scope::stop);
            leftovers.extend(stopped.and_then(Result::err).map(|e| e.to_string()));
        }
        let removed = self.state.resctrl.as_ref().map(Group::remove);
        leftovers.extend(removed.and_then(Result::err).map(|e| e.to_string()));
        leftovers.extend(self.folder.remove().err().map(|f| f.message));
        if !leftovers.is_empty() {
            failure.message = format!("{}; besides, {}", failure.message, leftovers.join("; "));
        }
        failure
    }
}

/// In the child: without our end of its socket, so that it hears of our death and does not outlive
/// a creation that nobody records.
fn become_init(ours: BorrowedFd<'_>, prepared: &PreparedInit<'_>, context: &mut Context<'_>) -> ! {
    if berth_sys::release(ours).is_err() {
        exit_now(1)
    }
    init::run(prepared, context)
}

/// Reaps a child that was killed; false when it has not ended after five seconds.
fn reap(pidfd: BorrowedFd<'_>) -> bool {
    const PATIENCE: Timespec = Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    let mut polled = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    let ended = poll(&mut polled, Some(&PATIENCE)).is_ok_and(|ready| ready > 0);
    ended && waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED).is_ok()
}

/// A PID that clone3 gave.
pub(crate) fn host_pid(pid: Pid) -> Outcome<HostPid> {
    HostPid::new(pid.as_raw_nonzero().get().unsigned_abs())
        .ok_or_else(|| fail(ErrorClass::Internal, "the first process has no PID"))
}
