//! The stage: reads the spec, prepares the host side, clones init, and goes away.
//!
//! Who we are: a short-lived fork of the monitor with the caller's full privilege. init is made
//! our sibling (CLONE_PARENT), so the monitor is its parent. Whatever we made is unmade when a
//! start fails; nothing of the container runs before it is on record.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use berth_base::protocol::Failure;
use berth_base::state::{CgroupPaths, MonitorConfig};
use berth_base::{ErrorClass, HostPid, NamespaceKind, ProcessIdentity};
use berth_sys::{ArgVector, Clone3, Forked};
use oci_spec::runtime::Spec;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Signal, pidfd_send_signal, set_dumpable_behavior};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::act::{self, Context};
use crate::besides::Besides;
use crate::birth::{Birth, hand_over_root, let_end};
use crate::cgroup::{Access, Cgroup, Hierarchies, JoinDescriptors};
use crate::facts::{HostFacts, forget_volatile};
use crate::filter::Filter;
use crate::init::{self, Prepared};
use crate::plan::{self, Join, Plan, Setup};
use crate::{failure, namespaces, process, resctrl, wire};

/// What the monitor gives a stage.
pub(crate) struct StageInput<'a> {
    /// What to start.
    pub(crate) config: &'a MonitorConfig,
    /// The connection to the monitor.
    pub(crate) monitor: OwnedFd,
    /// The container's side of the streams; none with a terminal.
    pub(crate) streams: Option<[OwnedFd; 3]>,
    /// Where a session init reports the end of the main process.
    pub(crate) report: OwnedFd,
    /// The keeper, for the record.
    pub(crate) keeper: HostPid,
}

/// Starts a container and reports to the monitor. The caller ends the process.
pub(crate) fn run(input: StageInput<'_>) -> Result<(), ()> {
    let monitor = input.monitor.as_fd().try_clone_to_owned();
    let Err(failure) = start(input) else {
        return Ok(());
    };
    if let Ok(monitor) = monitor {
        wire::send_failure(monitor.as_fd(), failure).map_err(drop)?;
    }
    Err(())
}

/// Everything that is known before anything is changed.
struct Prelude {
    plan: Plan,
    hierarchies: Hierarchies,
    access: Access,
    filter: Option<Filter>,
    spec: Spec,
    /// Where resctrl is mounted.
    resctrl: Option<PathBuf>,
}

fn start(input: StageInput<'_>) -> Result<(), Failure> {
    let prelude = prepare(input.config)?;
    let cgroup = Cgroup::create(
        &prelude.hierarchies,
        &prelude.plan.cgroup.path,
        prelude.access,
    )
    .map_err(|e| failure::engine(e.class(), e.to_string()))?;
    let root = &input.config.root;
    match launch(input, &prelude, &cgroup) {
        Ok(()) => Ok(()),
        Err(mut failure) => {
            if let Err(leftover) = cgroup.remove() {
                failure.message = format!("{}; besides, {leftover}", failure.message);
            }
            // Nothing of the container ran, and the host lives: its layer is as good as new.
            if let Err(error) = forget_volatile(root) {
                let what = "the container's own layer cannot be used again";
                failure.message = format!("{}; besides, {what}: {error}", failure.message);
            }
            Err(failure)
        }
    }
}

/// Reads the spec, looks at the host, plans, compiles the filter. Changes nothing.
fn prepare(config: &MonitorConfig) -> Result<Prelude, Failure> {
    let invalid = |message| failure::engine(ErrorClass::Invalid, message);
    let internal = |message| failure::engine(ErrorClass::Internal, message);
    let path = config.spec.display();
    // by path: a state folder
    let text = berth_persist::read(&config.spec)
        .map_err(|e| internal(format!("cannot read {path}: {e}")))?;
    let spec: Spec =
        serde_json::from_slice(&text).map_err(|e| invalid(format!("cannot parse {path}: {e}")))?;
    let read = |file: &str| {
        // by path: procfs of the host
        fs::read_to_string(file).map_err(|e| internal(format!("cannot read {file}: {e}")))
    };
    let mountinfo = read("/proc/self/mountinfo")?;
    let hierarchies = Hierarchies::discover(&mountinfo, &read("/proc/self/cgroup")?);
    let setup = Setup::of_engine(&spec, config);
    let facts = HostFacts::gather(
        &spec,
        &setup,
        &mountinfo,
        paths_of(&hierarchies, &setup.cgroup),
    )
    .map_err(|e| internal(format!("cannot look at this host: {e}")))?;
    let plan = plan::build(&spec, &setup, &facts)
        .map_err(|e| failure::engine(e.class(), e.to_string()))?;
    let filter = match &plan.seccomp {
        None => None,
        Some(profile) => Some(Filter::without_agent(profile, &config.cache_dir)?),
    };
    let access = if facts.privileged {
        Access::Required
    } else {
        Access::WhereAllowed
    };
    Ok(Prelude {
        plan,
        hierarchies,
        access,
        filter,
        spec,
        resctrl: resctrl::mount_point(&mountinfo),
    })
}

/// Where the container's cgroups will be.
pub(crate) fn paths_of(hierarchies: &Hierarchies, path: &str) -> CgroupPaths {
    let below = |mount: &std::path::Path| format!("{}{path}", mount.display());
    let v1 = hierarchies.v1.iter().flat_map(|h| {
        h.controllers
            .iter()
            .map(move |name| (name.clone(), below(&h.mount)))
    });
    CgroupPaths {
        v2: hierarchies.v2.as_ref().map(|h| below(&h.mount)),
        v1: v1.collect(),
    }
}

/// Limits, namespaces, init.
fn launch(input: StageInput<'_>, prelude: &Prelude, cgroup: &Cgroup) -> Result<(), Failure> {
    let plan = &prelude.plan;
    if let Some(resources) = &plan.cgroup.resources {
        cgroup
            .apply(resources)
            .map_err(|e| failure::engine(e.class(), e.to_string()))?;
    }
    let mut doors = cgroup
        .join_descriptors()
        .map_err(|e| failure::engine(e.class(), e.to_string()))?;
    if plan.joins.iter().any(|j| j.kind == NamespaceKind::Cgroup) {
        doors
            .enter_v2_by_file()
            .map_err(|e| internal("open cgroup.procs of the container", &e.into()))?;
    }
    // While we are still in the host's namespaces.
    let besides = Besides::prepare(input.config, &prelude.spec, prelude.resctrl.as_deref())?;
    let mut result = bear(input, prelude, cgroup, &doors, besides.as_ref());
    if let (Err(failure), Some(besides)) = (&mut result, &besides) {
        besides.undo(failure);
    }
    result
}

/// Clones init and sees it through.
fn bear(
    input: StageInput<'_>,
    prelude: &Prelude,
    cgroup: &Cgroup,
    doors: &JoinDescriptors,
    besides: Option<&Besides>,
) -> Result<(), Failure> {
    let plan = &prelude.plan;
    if !rootless_mapping(plan) {
        forbid_tracing()?;
    }
    let (ours, theirs) = wire::pair().map_err(|e| internal("make a socket pair", &e.into()))?;
    let mut context = Context::new(plan.slots, theirs.as_fd());
    let lifecycle = besides.map(|besides| besides.lifecycle(plan));
    context.lifecycle = lifecycle.as_ref();
    open_before(plan, &mut context)?;
    enter_namespaces(plan, &input.config.joined, ours.as_fd())?;
    let prepared = Prepared {
        steps: &plan.init,
        program: &plan.program,
        argv: ArgVector::new(plan.program.argv.clone()),
        env: ArgVector::new(plan.program.env.clone()),
        streams: input.streams,
        first_closed: 3,
        report: (!plan.own_pid_namespace && plan.program.supervised).then_some(input.report),
    };
    context.tasks = &doors.v1;
    context.filter = prelude.filter.as_ref().map(Filter::loadable);
    let (pid, pidfd) = match clone_init(plan, doors, Parent::Callers)? {
        Forked::Child => init::run(&prepared, &mut context),
        Forked::Parent { pid, pidfd } => (pid, pidfd),
    };
    drop(context);
    drop(prepared);
    drop(theirs);
    let birth = Birth {
        plan,
        config: input.config,
        cgroup,
        keeper: input.keeper,
        pid,
        besides,
        filter: prelude.filter.as_ref().and_then(Filter::name),
    };
    let result = birth.accompany(input.monitor.as_fd(), ours.as_fd(), pidfd.as_fd());
    if result.is_err() {
        let_end(pidfd.as_fd());
    }
    if result.is_err() && pidfd_send_signal(&pidfd, Signal::KILL).is_ok() && !cgroup.is_nowhere() {
        // The monitor reaps it; the cgroup is removed once it is empty.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        if let Err(error) = cgroup.wait_empty(deadline) {
            return Err(failure::engine(error.class(), error.to_string()));
        }
    }
    result
}

/// Opens for init what only the host's side can, before anything is joined.
pub(crate) fn open_before(plan: &Plan, context: &mut Context<'_>) -> Result<(), Failure> {
    act::prepare(&plan.before, context).map_err(|failed| {
        let mut failure = failure::step(plan.before.get(failed.index), failed.errno);
        if let Some(field) = plan.field_before(failed.index) {
            failure.message = format!("{field}: {}", failure.message);
        }
        failure
    })
}

/// Joins what is to be joined and prepares the time namespace of the child.
///
/// Before a user namespace is joined, our last privileged moment, the root is composed with its
/// mapping and waits for `init` in its socket.
pub(crate) fn enter_namespaces(
    plan: &Plan,
    joined: &[ProcessIdentity],
    init: BorrowedFd<'_>,
) -> Result<(), Failure> {
    let mut opened = Vec::with_capacity(plan.joins.len());
    for join in &plan.joins {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        // by path: a namespace that the caller names; setns(2) checks its kind
        let fd = rustix::fs::open(join.path.as_c_str(), flags, rustix::fs::Mode::empty())
            .map_err(|errno| cannot_join(join, errno))?;
        opened.push((join, fd));
    }
    // The paths name processes by PID; only now is it certain whose namespaces were opened.
    if let Some(gone) = joined.iter().find(|identity| !process::is_same(identity)) {
        return Err(failure::engine(
            ErrorClass::Conflict,
            format!(
                "cannot join the namespaces of process {}: it has ended",
                gone.pid
            ),
        ));
    }
    if !plan.time_offsets.is_empty() {
        set_time_offsets(&plan.time_offsets)?;
    }
    for (join, fd) in opened {
        if join.kind == NamespaceKind::User && !plan.host.is_empty() {
            hand_over_root(plan, fd.as_fd(), init)?;
        }
        let kind = link_type(join.kind);
        move_into_link_name_space(fd.as_fd(), Some(kind))
            .map_err(|errno| cannot_join(join, errno))?;
    }
    Ok(())
}

fn cannot_join(join: &Join, errno: Errno) -> Failure {
    let class = match errno {
        Errno::NOENT => ErrorClass::NotFound,
        Errno::PERM | Errno::ACCESS => ErrorClass::Denied,
        _ => ErrorClass::Invalid,
    };
    let why = match errno {
        Errno::INVAL => "it is not a namespace of that kind, or this process is in it".to_owned(),
        other => failure::describe(other),
    };
    failure::engine(
        class,
        format!(
            "cannot join the {} namespace at {}: {why}",
            join.kind.as_str(),
            join.path.to_string_lossy()
        ),
    )
}

/// Offsets can only be written while nobody is in the namespace: unshare, write, clone.
fn set_time_offsets(lines: &[String]) -> Result<(), Failure> {
    berth_sys::unshare_namespaces(namespaces::NEW_TIME)
        .map_err(|e| internal("make a time namespace", &e.into()))?;
    // by path: procfs of the host; no mount namespace has been entered
    fs::write("/proc/self/timens_offsets", lines.join("\n") + "\n")
        .map_err(|e| internal("set the clock offsets", &e))
}

/// Whose child init becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    /// Ours.
    Us,
    /// Our own parent's (CLONE_PARENT).
    Callers,
}

/// Clones the first process into its namespaces and its v2 cgroup.
pub(crate) fn clone_init(
    plan: &Plan,
    doors: &JoinDescriptors,
    parent: Parent,
) -> Result<Forked, Failure> {
    let mut flags = plan.new_namespaces;
    if !plan.time_offsets.is_empty() {
        // The child enters the time namespace that was unshared for it.
        flags &= !namespaces::NEW_TIME;
    }
    let mut clone = Clone3::default().namespaces(flags);
    if parent == Parent::Callers {
        clone = clone.sibling();
    }
    if let Some(directory) = &doors.v2 {
        clone = clone.into_cgroup(directory.as_fd());
    }
    clone.run().map_err(|errno| {
        let hint = match errno {
            Errno::PERM => "; an unprivileged caller needs --userns private",
            Errno::NOSPC => "; the limit in /proc/sys/user/max_*_namespaces is reached",
            Errno::AGAIN => "; a limit on processes is reached",
            _ => "",
        };
        failure::engine(
            ErrorClass::Unavailable,
            format!(
                "cannot clone the first process: {}{hint}",
                failure::describe(errno)
            ),
        )
    })
}

/// An undumpable process's map files belong to root; init forbids tracing once they are written.
pub(crate) fn rootless_mapping(plan: &Plan) -> bool {
    plan.mappings.is_some() && !rustix::process::geteuid().is_root()
}

/// Keeps whoever shares a namespace with us from tracing us (CVE-2016-9962).
pub(crate) fn forbid_tracing() -> Result<(), Failure> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| internal("forbid tracing of the stage", &e.into()))
}

const fn link_type(kind: NamespaceKind) -> LinkNameSpaceType {
    use NamespaceKind as Kind;
    match kind {
        Kind::Cgroup => LinkNameSpaceType::ControlGroup,
        Kind::Ipc => LinkNameSpaceType::InterProcessCommunication,
        Kind::Mnt => LinkNameSpaceType::Mount,
        Kind::Net => LinkNameSpaceType::Network,
        Kind::Pid => LinkNameSpaceType::ProcessID,
        Kind::Time => LinkNameSpaceType::Time,
        Kind::User => LinkNameSpaceType::User,
        Kind::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
    }
}

/// An unexpected answer of the kernel while doing `what`.
pub(crate) fn internal(what: &str, error: &std::io::Error) -> Failure {
    failure::engine(ErrorClass::Internal, format!("cannot {what}: {error}"))
}
