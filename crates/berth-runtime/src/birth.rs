//! From clone3 to execve: what the stage does for the process it has made.
//!
//! Who we are: the stage, or a session stage. init is setting itself up meanwhile; we give it what
//! it cannot get from inside, put it on record, and pass on what it says.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use berth_base::protocol::Failure;
use berth_base::state::{MonitorConfig, RunFile, STATE_VERSION};
use berth_base::{ErrorClass, HostPid, NamespaceKind, ProcessIdentity, Timestamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::act::{self, Context};
use crate::besides::Besides;
use crate::cgroup::Cgroup;
use crate::plan::{Plan, Program, Step};
use crate::stage::{internal, rootless_mapping};
use crate::wiring::WiringError;
use crate::wiring::helper::{self, Entrance};
use crate::{failure, mapping, namespaces, process, state, wire, wiring};

/// The time from clone3 to execve.
pub(crate) struct Birth<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) config: &'a MonitorConfig,
    pub(crate) cgroup: &'a Cgroup,
    pub(crate) keeper: HostPid,
    pub(crate) pid: Pid,
    pub(crate) besides: Option<&'a Besides>,
    /// Name of its filter in the cache.
    pub(crate) filter: Option<String>,
}

impl Birth<'_> {
    /// Sees init through, from its introduction to its program.
    pub(crate) fn accompany(
        &self,
        monitor: BorrowedFd<'_>,
        init: BorrowedFd<'_>,
        pidfd: BorrowedFd<'_>,
    ) -> Result<(), Failure> {
        let pid = HostPid::new(self.pid.as_raw_nonzero().get().unsigned_abs())
            .ok_or_else(|| failure::engine(ErrorClass::Internal, "init has no PID".into()))?;
        introduce(monitor, pidfd)?;
        // Whatever we could not do to a process that has ended, its own words say more.
        let explained = |failure| self.last_words(init, pidfd).unwrap_or(failure);
        // Once: what it executes may have ended by the time that it is told of.
        let identity = identify(pid).map_err(explained)?;
        let warden = self.equip(&identity, pidfd, init).map_err(explained)?;
        let ended = listen(
            monitor,
            init,
            &self.plan.init,
            &self.plan.program,
            |kind, payload| self.hook(&identity, init, kind, payload),
        );
        ended?;
        let again = || identify(pid).and_then(|identity| self.record(&identity, warden));
        if rootless_mapping(self.plan) && again().is_err() {
            // Without privilege its namespaces can be read only now that it has executed its
            // program. It has ended already: the first record holds.
        }
        if let Some(besides) = self.besides {
            besides.after_start(&identity)?;
        }
        wire::send_byte(monitor, wire::RUNNING)
            .map_err(|e| internal("tell the monitor that the container runs", &e.into()))
    }

    /// Everything that init needs from outside: mappings, root, score, its record, its network.
    /// Answers who ends the program that carries its packets, where there is one.
    fn equip(
        &self,
        identity: &ProcessIdentity,
        pidfd: BorrowedFd<'_>,
        init: BorrowedFd<'_>,
    ) -> Result<Option<ProcessIdentity>, Failure> {
        let pid = identity.pid;
        // Before it knows of its ids: then it is no longer ours to write to, without root.
        if let Some(score) = self.plan.oom_score_adj {
            set_oom_score(pid, score)?;
        }
        if let Some(besides) = self.besides {
            besides.equip(pid)?;
        }
        let mut helper = None;
        if let Some(mappings) = &self.plan.mappings {
            mapping::write(pid, mappings)?;
            let entrance = match &self.config.helper {
                // Once it knows of its ids it forbids being looked at.
                Some(helper) => Some((helper, Entrance::open(pid).map_err(unconnected)?)),
                None => None,
            };
            wire::send_byte(init, wire::MAPPED)
                .map_err(|e| internal("reach the first process", &e.into()))?;
            if !self.plan.host.is_empty() {
                // by path: procfs
                let user = fs::File::open(format!("/proc/{pid}/ns/user"))
                    .map_err(|e| internal("open the user namespace", &e))?;
                hand_over_root(self.plan, user.as_fd(), init)?;
            }
            if let Some((program, entrance)) = entrance {
                let folder = &self.config.volatile_dir;
                let started = helper::start(program, entrance, folder, pidfd);
                helper = Some(started.map_err(unconnected)?);
            }
        }
        if self.config.helper.is_some() && helper.is_none() {
            let why = "its network is not its user namespace's; this is a defect of berth";
            return Err(failure::engine(ErrorClass::Internal, why.into()));
        }
        let warden = helper.as_ref().map(|started| started.warden);
        let warden = warden.and_then(|pid| process::identify(pid).ok());
        // On record before it has anything that could outlive it.
        self.record(identity, warden.clone())?;
        let resolver = self.config.resolver.as_ref();
        wiring::connect(pid, pidfd, &self.config.wiring, resolver).map_err(unconnected)?;
        if let Some(started) = helper {
            started.finish().map_err(unconnected)?;
        }
        Ok(warden)
    }

    /// What init says of hooks: those of the host's side are to run, or one of its own failed.
    fn hook(
        &self,
        identity: &ProcessIdentity,
        init: BorrowedFd<'_>,
        kind: u8,
        payload: &[u8],
    ) -> Result<Heard, Failure> {
        match (kind, self.besides) {
            (wire::HOOKS, Some(besides)) => {
                besides.before_pivot(identity)?;
                wire::send_byte(init, wire::HOOKED)
                    .map_err(|e| internal("reach the first process", &e.into()))?;
                Ok(Heard::Yes)
            }
            (wire::HOOK_FAILED, Some(besides)) => {
                besides.explain(payload).map_or(Ok(Heard::No), Err)
            }
            _ => Ok(Heard::No),
        }
    }

    /// What init said before it ended; `None` while it lives.
    fn last_words(&self, init: BorrowedFd<'_>, pidfd: BorrowedFd<'_>) -> Option<Failure> {
        let mut polled = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
        // Its namespaces are gone a moment before it is, and that may be why we failed.
        let moment = Timespec {
            tv_sec: 0,
            tv_nsec: 100_000_000,
        };
        let ended = poll(&mut polled, Some(&moment)).is_ok_and(|ready| ready > 0);
        if !ended {
            return None;
        }
        loop {
            let (packet, length, _) = wire::receive(init).ok()?;
            let (kind, payload) = packet.get(..length)?.split_first()?;
            if matches!(*kind, wire::STEP_FAILED | wire::EXEC_FAILED) {
                let plan = self.plan;
                return Some(wire::explain(*kind, payload, &plan.init, &plan.program));
            }
        }
    }

    /// Writes run.json while init is still setting up.
    fn record(
        &self,
        identity: &ProcessIdentity,
        warden: Option<ProcessIdentity>,
    ) -> Result<(), Failure> {
        let pid = identity.pid;
        let run = RunFile {
            version: STATE_VERSION,
            id: self.config.id.clone(),
            name: self.config.name.clone(),
            run: self.config.run,
            init: identity.clone(),
            keeper: self.keeper,
            network_warden: warden,
            own_pid_namespace: self.plan.own_pid_namespace,
            namespaces: self.settled_namespaces(pid),
            made_namespaces: namespaces::kinds_of(self.plan.new_namespaces),
            filter: self.filter.clone(),
            namespace_ids: self.namespace_ids(pid),
            cgroups: self.cgroup.paths(),
            started_at: Timestamp::from(std::time::SystemTime::now()),
            protocol: berth_base::protocol::VERSION,
        };
        state::replace(&self.config.volatile_dir.join("run.json"), &run)
            .map_err(|e| internal("write run.json", &e))
    }

    /// init's namespaces, less the cgroup namespace, which it unshares by itself a little later.
    fn settled_namespaces(&self, pid: HostPid) -> Vec<berth_base::NamespaceId> {
        let mut all = process::namespaces(pid);
        all.retain(|id| id.kind != NamespaceKind::Cgroup);
        all
    }

    fn namespace_ids(&self, pid: HostPid) -> BTreeMap<NamespaceKind, u64> {
        if self.plan.own_pid_namespace {
            return BTreeMap::new();
        }
        [NamespaceKind::Mnt, NamespaceKind::User]
            .into_iter()
            .filter_map(|kind| Some((kind, process::unique_namespace(pid, kind)?)))
            .collect()
    }
}

fn identify(pid: HostPid) -> Result<ProcessIdentity, Failure> {
    process::identify(pid).map_err(|e| internal("identify the first process", &e))
}

/// Whether a packet was meant for whoever was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Yes,
    No,
}

/// A container that is not connected to its network, in the words of a start that failed.
fn unconnected(error: WiringError) -> Failure {
    failure::engine(error.class(), error.to_string())
}

/// Composes the root with the id mapping of a user namespace and sends it to init.
///
/// We are in a mount namespace of our own from here on; nothing later needs the host's.
pub(crate) fn hand_over_root(
    plan: &Plan,
    user_namespace: BorrowedFd<'_>,
    init: BorrowedFd<'_>,
) -> Result<(), Failure> {
    let cannot = |e: Errno| internal("hand over the root", &e.into());
    berth_sys::unshare_namespaces(namespaces::NEW_MOUNT).map_err(cannot)?;
    let mut context = Context::new(plan.slots, init);
    context.user_namespace = Some(user_namespace);
    act::run(&[Step::IsolateMounts], &mut context)
        .and_then(|()| act::run(&plan.host, &mut context))
        .map_err(|failed| failure::step(plan.host.get(failed.index), failed.errno))?;
    let root = act::clone_root(&context).map_err(cannot)?;
    act::terminal::send_descriptor(init, wire::ROOT, root.as_fd()).map_err(cannot)
}

/// Hears init out until it executes its program (the connection then closes by itself).
pub(crate) fn listen(
    monitor: BorrowedFd<'_>,
    init: BorrowedFd<'_>,
    steps: &[Step],
    program: &Program,
    mut hook: impl FnMut(u8, &[u8]) -> Result<Heard, Failure>,
) -> Result<(), Failure> {
    loop {
        let (packet, length, descriptor) =
            wire::receive(init).map_err(|e| internal("hear from the first process", &e.into()))?;
        match packet.get(..length).and_then(|p| p.split_first()) {
            None => return Ok(()),
            Some((&wire::READY, _)) => wire::send_byte(init, wire::START)
                .map_err(|e| internal("start the first process", &e.into()))?,
            Some((&wire::TERMINAL, _)) => {
                let master = descriptor.ok_or_else(|| {
                    failure::engine(ErrorClass::Internal, "init sent no terminal".into())
                })?;
                act::terminal::send_descriptor(monitor, wire::TERMINAL, master.as_fd())
                    .map_err(|e| internal("pass the terminal on", &e.into()))?;
            }
            Some((kind, payload)) if hook(*kind, payload)? == Heard::Yes => {}
            Some((kind, payload)) => return Err(wire::explain(*kind, payload, steps, program)),
        }
    }
}

/// Shows our child to the monitor and waits until it is known there.
pub(crate) fn introduce(monitor: BorrowedFd<'_>, pidfd: BorrowedFd<'_>) -> Result<(), Failure> {
    act::terminal::send_descriptor(monitor, wire::INIT, pidfd)
        .and_then(|()| wire::await_byte(monitor, wire::KNOWN))
        .map_err(|e| internal("tell the monitor about the first process", &e.into()))
}

/// oom_score_adj of init, before it runs anything.
pub(crate) fn set_oom_score(pid: HostPid, score: i32) -> Result<(), Failure> {
    let path = format!("/proc/{pid}/oom_score_adj");
    // by path: procfs
    fs::write(&path, score.to_string()).map_err(|e| {
        failure::engine(
            ErrorClass::Denied,
            format!("cannot set oom_score_adj to {score}: {e}; a lower value than the caller's own needs CAP_SYS_RESOURCE"),
        )
    })
}

/// Waits for a first process that failed to end by itself, as it does once it has reaped its own
/// child. Killed before, it would leave that child to a PID 1 which may reap nothing.
pub(crate) fn let_end(pidfd: BorrowedFd<'_>) {
    const PATIENCE: Timespec = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let mut polled = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    if poll(&mut polled, Some(&PATIENCE)).is_err() {
        // Interrupted: the caller's SIGKILL ends it all the same.
    }
}
