//! From a bundle to a plan: everything that is known before anything is made.

use std::fs;
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_base::state::RootSource;
use oci_spec::runtime::{LinuxResources, LinuxSeccomp, Process, Spec};

use super::id::OciId;
use super::store::Store;
use super::{Outcome, cannot, fail, home, notify};
use crate::cgroup::{Access, Bus, Hierarchies, Placement, supplied_device_rules};
use crate::facts::{HostFacts, Source};
use crate::filter::Filter;
use crate::plan::{
    self, CgroupEntry, Keyring, Plan, RootChange, RootPlace, Setup, StartSignal, Supervision,
};
use crate::process::read_proc;
use crate::resctrl;
use crate::spec;

/// Who makes cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// We do.
    Cgroupfs,
    /// systemd does (`--systemd-cgroup`).
    Systemd,
}

/// What the flags of `create` and `run` say.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    /// The container's id.
    pub(crate) id: OciId,
    /// Absolute path of the bundle.
    pub(crate) bundle: PathBuf,
    /// Who makes its cgroups.
    pub(crate) driver: Driver,
    /// `--no-pivot`.
    pub(crate) root_change: RootChange,
    /// `--no-new-keyring`.
    pub(crate) keyring: Keyring,
    /// More variables for the program: LISTEN_FDS and the like.
    pub(crate) env: Vec<String>,
}

/// A bundle, planned.
pub(crate) struct Prepared {
    pub(crate) spec: Spec,
    pub(crate) plan: Plan,
    pub(crate) rootfs: PathBuf,
    pub(crate) hierarchies: Hierarchies,
    pub(crate) access: Access,
    pub(crate) placement: Placement,
    /// Limits and device rules; `None` where the caller may make no cgroup.
    pub(crate) resources: LinuxResources,
    pub(crate) filter: Option<Filter>,
    /// Where resctrl is mounted.
    pub(crate) resctrl: Option<PathBuf>,
    pub(crate) terminal: bool,
    /// Whether a service manager waits for it to be ready.
    pub(crate) notify: bool,
}

/// Reads the configuration of a bundle.
pub(crate) fn read_spec(bundle: &Path) -> Outcome<Spec> {
    let path = bundle.join("config.json");
    let text = fs::read(&path).map_err(|e| {
        fail(
            ErrorClass::NotFound,
            format!("cannot read {}: {e}; is this a bundle?", path.display()),
        )
    })?;
    spec::read(&text, &path).map_err(|e| fail(e.class(), e.to_string()))
}

/// Plans a container. Changes nothing but the cache of filters.
pub(crate) fn prepare(store: &Store, wishes: &Wishes) -> Outcome<Prepared> {
    let mut spec = read_spec(&wishes.bundle)?;
    let rootfs = rootfs(&spec, &wishes.bundle)?;
    complete_environment(&mut spec, &rootfs, &wishes.env);
    let notify = notify::manager().map(|_| notify::folder(&store.folder(&wishes.id)));
    if let Some(folder) = &notify {
        notify::extend(&mut spec, folder);
    }
    let read = |file: &str| read_proc(file).map_err(|e| cannot(&format!("read {file}"), e));
    let mountinfo = read("/proc/self/mountinfo")?;
    let hierarchies = Hierarchies::discover(&mountinfo, &read("/proc/self/cgroup")?);
    let placement = placement(&spec, wishes)?;
    let paths = placement.paths(&hierarchies);
    let terminal = spec.process().as_ref().and_then(|p| p.terminal());
    let terminal = terminal.unwrap_or(false);
    let root = RootSource::Directory {
        path: rootfs.clone(),
        writable: true,
    };
    let setup = Setup {
        bundle: wishes.bundle.clone(),
        root,
        place: RootPlace::OwnPath,
        cgroup: paths.v2.clone().unwrap_or_default(),
        cgroup_entry: match &placement {
            Placement::Cgroupfs(_) => CgroupEntry::Init,
            Placement::Systemd(_) => CgroupEntry::Creator,
        },
        terminal: terminal.then(|| console_size(spec.process().as_ref())),
        supervision: Supervision::Never,
        root_change: wishes.root_change,
        keyring: wishes.keyring,
        start: StartSignal::Socket,
    };
    let mut facts = HostFacts::gather(&spec, &setup, &mountinfo, paths)
        .map_err(|e| cannot("look at this host", e))?;
    // Made with the container's folder, so it is not there yet.
    facts
        .sources
        .extend(notify.clone().map(|folder| (folder, Source::FOLDER)));
    let plan = plan::build(&spec, &setup, &facts).map_err(|e| fail(e.class(), e.to_string()))?;
    let filter = match &plan.seccomp {
        None => None,
        Some(profile) => Some(Filter::of(profile, &store.filters())?),
    };
    if let (Some(profile), Some(filter)) = (&plan.seccomp, &filter)
        && filter.wants_listener()
    {
        check_agent(profile)?;
    }
    let access = if facts.privileged {
        Access::Required
    } else {
        Access::WhereAllowed
    };
    Ok(Prepared {
        resources: resources(&spec, access),
        spec,
        plan,
        rootfs,
        resctrl: resctrl::mount_point(&mountinfo),
        hierarchies,
        access,
        placement,
        filter,
        terminal,
        notify: notify.is_some(),
    })
}

/// Whether the agent for seccomp notifications listens: found out before anything is made.
fn check_agent(profile: &LinuxSeccomp) -> Outcome {
    let path = profile.listener_path().as_deref().ok_or_else(|| {
        fail(
            ErrorClass::Invalid,
            "linux.seccomp.listenerPath: missing, though the profile has SCMP_ACT_NOTIFY",
        )
    })?;
    // Not by connecting: the agent would take that for a container.
    let table =
        fs::read_to_string("/proc/net/unix").map_err(|e| cannot("read /proc/net/unix", e))?;
    if listens(&table, path) {
        return Ok(());
    }
    Err(fail(
        ErrorClass::Unavailable,
        format!(
            "linux.seccomp.listenerPath: no stream socket listens at {}; start the agent first",
            path.display()
        ),
    ))
}

/// Whether /proc/net/unix shows a stream socket at a path (unix(7)).
fn listens(table: &str, path: &Path) -> bool {
    const STREAM: &str = "0001";
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let kind = fields.get(4);
        let shown = line
            .split_once(" /")
            .map(|(_, rest)| Path::new("/").join(rest));
        kind == Some(&STREAM) && shown.as_deref() == Some(path)
    })
}

/// The root filesystem, absolute.
fn rootfs(spec: &Spec, bundle: &Path) -> Outcome<PathBuf> {
    let root = spec
        .root()
        .as_ref()
        .ok_or_else(|| fail(ErrorClass::Invalid, "root: missing"))?;
    let path = bundle.join(root.path());
    let path = path.canonicalize().map_err(|e| {
        fail(
            ErrorClass::NotFound,
            format!("root.path: cannot find {}: {e}", path.display()),
        )
    })?;
    if path == Path::new("/") || !path.is_dir() {
        return Err(fail(
            ErrorClass::Invalid,
            format!(
                "root.path: {} is no directory that can be a root filesystem",
                path.display()
            ),
        ));
    }
    Ok(path)
}

/// HOME as login(1) would set it, where the spec does not; and what the flags add.
fn complete_environment(spec: &mut Spec, rootfs: &Path, more: &[String]) {
    let Some(process) = spec.process_mut() else {
        return;
    };
    let mut env = process.env().clone().unwrap_or_default();
    if !env.iter().any(|variable| variable.starts_with("HOME=")) {
        let home = home::of(rootfs, process.user().uid());
        env.push(format!("HOME={home}"));
    }
    env.extend(more.iter().cloned());
    process.set_env(Some(env));
}

fn placement(spec: &Spec, wishes: &Wishes) -> Outcome<Placement> {
    let linux = spec.linux().as_ref();
    let path = linux.and_then(|l| l.cgroups_path().as_deref());
    let id = wishes.id.as_str();
    match wishes.driver {
        Driver::Cgroupfs => Placement::cgroupfs(path, id),
        Driver::Systemd => {
            let bus = if rustix::process::geteuid().is_root() {
                Bus::System
            } else {
                Bus::User
            };
            Placement::systemd(path, id, bus, spec.annotations().as_ref())
        }
    }
    .map_err(|e| fail(e.class(), format!("linux.cgroupsPath: {e}")))
}

/// Limits and device rules. Device rules are always on: what no rule allows is denied, save the
/// devices that every container has.
fn resources(spec: &Spec, access: Access) -> LinuxResources {
    let linux = spec.linux().as_ref();
    let mut resources = linux
        .and_then(|l| l.resources().clone())
        .unwrap_or_default();
    let rules = match access {
        Access::Required => {
            let mut rules = resources.devices().clone().unwrap_or_default();
            rules.extend(supplied_device_rules());
            Some(rules)
        }
        // Without privilege there are no device nodes to guard.
        Access::WhereAllowed => None,
    };
    resources.set_devices(rules);
    resources
}

/// Rows and columns of a process's terminal: as its configuration says, else as the caller's has.
pub(crate) fn console_size(process: Option<&Process>) -> (u16, u16) {
    let number = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    match process.and_then(|process| process.console_size()) {
        Some(size) => (number(size.height()), number(size.width())),
        None => rustix::termios::tcgetwinsize(rustix::stdio::stdin())
            .map_or((0, 0), |size| (size.ws_row, size.ws_col)),
    }
}
