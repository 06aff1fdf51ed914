//! What devices ask for besides a container of the engine: hooks, and a resctrl group.
//!
//! Hooks on the host side need the host's namespaces, and the stage leaves them: it joins some for
//! good, and takes a mount namespace of its own to compose a root. So a fork of it, made before, runs
//! them. poststop is the monitor's, once nobody of the container is left, and the engine's where
//! neither monitor nor keeper has lived to see that.
//!
//! Nothing here is called, and no file is made, for a container whose spec asks for neither.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use berth_base::protocol::Failure;
use berth_base::state::{CgroupPaths, MonitorConfig};
use berth_base::{ErrorClass, HostPid, ProcessIdentity, Timestamp};
use berth_sys::{Clone3, Forked, exit_now};
use oci_spec::runtime::Spec;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::act::start::Lifecycle;
use crate::oci::hooks::{self, Point};
use crate::oci::state::{STATE_FILE_VERSION, StateFile, Status, annotations};
use crate::oci::waiting::InitParts;
use crate::plan::Plan;
use crate::resctrl::Group;
use crate::stage::internal;
use crate::{failure, wire};

/// The configuration as hooks look for it (runtime-spec, bundle.md), in the volatile folder.
const CONFIG: &str = "config.json";
/// Where they find the root, beside it.
pub(crate) const ROOTFS: &str = "rootfs";
/// The resctrl group, for whoever removes it.
const GROUP: &str = "resctrl.json";
/// A poststop hook that gives no time of its own gets this: else it could keep the container from
/// ever being recorded as ended.
const LAST_SECONDS: i64 = 30;

/// What a start has besides.
pub(crate) struct Besides {
    spec: Spec,
    parts: InitParts,
    runner: Option<Runner>,
    group: Option<Group>,
}

impl Besides {
    /// Makes everything ready, before any namespace is entered. `None` where nothing is asked for.
    pub(crate) fn prepare(
        config: &MonitorConfig,
        spec: &Spec,
        resctrl: Option<&Path>,
    ) -> Result<Option<Self>, Failure> {
        let rdt = spec.linux().as_ref().and_then(|l| l.intel_rdt().as_ref());
        if spec.hooks().is_none() && rdt.is_none() {
            return Ok(None);
        }
        let folder = &config.volatile_dir;
        leave_bundle(folder, spec).map_err(|e| internal("write what hooks read", &e))?;
        let state = state_of(config, spec);
        let group = match rdt {
            None => None,
            Some(rdt) => {
                let group = Group::prepare(resctrl, rdt, &state.id)
                    .map_err(|e| failure::engine(e.class(), e.to_string()))?;
                crate::state::replace(&folder.join(GROUP), &group)
                    .map_err(|e| internal("write resctrl.json", &e))?;
                Some(group)
            }
        };
        Ok(Some(Self {
            parts: InitParts::new(spec, &state).map_err(of_engine)?,
            runner: Runner::start(spec, &state)?,
            spec: spec.clone(),
            group,
        }))
    }

    /// What init needs for the hooks that it runs.
    pub(crate) fn lifecycle<'a>(&'a self, plan: &'a Plan) -> Lifecycle<'a> {
        self.parts.lifecycle(plan, None)
    }

    /// Puts the first process, which waits, into the resctrl group.
    pub(crate) fn equip(&self, pid: HostPid) -> Result<(), Failure> {
        match &self.group {
            None => Ok(()),
            Some(group) => group
                .enter(pid)
                .map_err(|e| failure::engine(e.class(), e.to_string())),
        }
    }

    /// prestart and createRuntime, for a first process that waits.
    pub(crate) fn before_pivot(&self, init: &ProcessIdentity) -> Result<(), Failure> {
        [Point::Prestart, Point::CreateRuntime]
            .into_iter()
            .try_for_each(|point| self.run(point, Some(init)))
    }

    /// poststart: the program runs.
    pub(crate) fn after_start(&self, init: &ProcessIdentity) -> Result<(), Failure> {
        self.run(Point::Poststart, Some(init))
    }

    /// A hook that init ran and that failed, in words.
    pub(crate) fn explain(&self, payload: &[u8]) -> Option<Failure> {
        crate::oci::words::hook_failure(&self.spec, payload).map(of_engine)
    }

    /// Unmakes what a start made that failed; what cannot be unmade is added to the failure.
    pub(crate) fn undo(&self, failure: &mut Failure) {
        let stopped = self.run(Point::Poststop, None).err().map(|f| f.message);
        let left = self.group.as_ref().and_then(|group| group.remove().err());
        for besides in stopped.into_iter().chain(left.map(|e| e.to_string())) {
            failure.message = format!("{}; besides, {besides}", failure.message);
        }
    }

    fn run(&self, point: Point, init: Option<&ProcessIdentity>) -> Result<(), Failure> {
        match &self.runner {
            None => Ok(()),
            Some(runner) => runner.run(point, init),
        }
    }
}

/// How long [`finish`] may take for the run of a volatile folder; `None` where it has nothing to do.
pub fn due_within(volatile_dir: &Path) -> Option<Duration> {
    // by path: the volatile folder of a container
    let text = fs::read(volatile_dir.join(CONFIG)).ok()?;
    let spec = serde_json::from_slice::<Spec>(&text).ok();
    let hooks = spec.as_ref().and_then(|spec| spec.hooks().as_ref());
    let poststop = hooks.and_then(|hooks| hooks.poststop().as_ref());
    let seconds = poststop.into_iter().flatten().map(|hook| {
        let seconds = hook.timeout().unwrap_or(LAST_SECONDS);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    });
    Some(seconds.fold(Duration::ZERO, Duration::saturating_add))
}

/// What is due once nobody of the container is left: poststop hooks, the resctrl group. Answers what
/// failed; whatever that is, the container has ended. It is done until an exit record is written:
/// whoever finds a run without one and nobody who serves it does it, under the container's lock, so
/// that hooks run at least once, and more often only where somebody died between them and the record.
pub fn finish(config: &MonitorConfig) -> Option<String> {
    let folder = &config.volatile_dir;
    // by path: the volatile folder of a container
    let text = fs::read(folder.join(CONFIG)).ok()?;
    let mut failed = Vec::new();
    match serde_json::from_slice::<Spec>(&text) {
        Err(e) => failed.push(format!("cannot read {}/{CONFIG}: {e}", folder.display())),
        Ok(mut spec) => {
            limit_poststop(&mut spec);
            let state = state_of(config, &spec);
            let failures = hooks::run_all(&spec, Point::Poststop, &state, Status::Stopped);
            failed.extend(failures.into_iter().map(|failure| failure.message));
        }
    }
    // by path: the same
    let group = fs::read(folder.join(GROUP)).ok();
    let group = group.and_then(|text| serde_json::from_slice::<Group>(&text).ok());
    failed.extend(group.and_then(|g| g.remove().err()).map(|e| e.to_string()));
    (!failed.is_empty()).then(|| failed.join("; "))
}

fn limit_poststop(spec: &mut Spec) {
    let Some(hooks) = spec.hooks_mut() else {
        return;
    };
    for hook in hooks.poststop_mut().iter_mut().flatten() {
        if hook.timeout().is_none() {
            hook.set_timeout(Some(LAST_SECONDS));
        }
    }
}

/// The configuration, and the folder over which the root is attached: hooks look for both by the
/// bundle that their state names.
fn leave_bundle(folder: &Path, spec: &Spec) -> std::io::Result<()> {
    // by path: the volatile folder of a container
    match fs::create_dir(folder.join(ROOTFS)) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    crate::state::replace(&folder.join(CONFIG), spec)
}

fn state_of(config: &MonitorConfig, spec: &Spec) -> StateFile {
    StateFile {
        version: STATE_FILE_VERSION,
        id: config.id.as_str().to_owned(),
        bundle: config.volatile_dir.clone(),
        rootfs: config.volatile_dir.join(ROOTFS),
        created: Timestamp::from(std::time::SystemTime::now()),
        owner: rustix::process::getuid().as_raw(),
        init: None,
        own_pid_namespace: true,
        cgroups: CgroupPaths::default(),
        intended: CgroupPaths::default(),
        scope: None,
        resctrl: None,
        annotations: annotations(spec),
    }
}

/// With the exit code of an engine's own failure.
fn of_engine(failure: Failure) -> Failure {
    failure::engine(failure.class, failure.message)
}

/// A process that runs hooks in the namespaces the stage came from.
struct Runner {
    pid: Pid,
    socket: OwnedFd,
}

/// Says that no more hooks come.
const NO_MORE: u8 = b'-';
/// Says that all went well.
const DONE: u8 = b'+';

impl Runner {
    fn start(spec: &Spec, state: &StateFile) -> Result<Option<Self>, Failure> {
        let Some(listed) = spec.hooks() else {
            return Ok(None);
        };
        let host_side = [
            listed.prestart(),
            listed.create_runtime(),
            listed.poststart(),
            listed.poststop(),
        ];
        if host_side.into_iter().all(Option::is_none) {
            return Ok(None);
        }
        let cannot = |e: Errno| internal("start the process that runs hooks", &e.into());
        let (ours, theirs) = wire::pair().map_err(cannot)?;
        match Clone3::default().run().map_err(cannot)? {
            Forked::Child => {
                drop(ours);
                serve(&theirs, spec, state.clone());
                exit_now(0)
            }
            Forked::Parent { pid, .. } => Ok(Some(Self { pid, socket: ours })),
        }
    }

    fn run(&self, point: Point, init: Option<&ProcessIdentity>) -> Result<(), Failure> {
        let cannot = |e: Errno| internal("reach the process that runs hooks", &e.into());
        let mut packet = vec![byte_of(point)];
        packet.extend(serde_json::to_vec(&init).unwrap_or_default());
        send(&self.socket, &packet, SendFlags::NOSIGNAL).map_err(cannot)?;
        let (answer, length, _) = wire::receive(self.socket.as_fd()).map_err(cannot)?;
        match answer.get(..length).unwrap_or_default() {
            [DONE] => Ok(()),
            [] => Err(cannot(Errno::CONNRESET)),
            text => Err(failure::engine(
                ErrorClass::Conflict,
                String::from_utf8_lossy(text).into_owned(),
            )),
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Not by closing alone: the first process has a copy of our end, and may keep it.
        if wire::send_byte(self.socket.as_fd(), NO_MORE).is_err() {
            // It has ended.
        }
        while matches!(
            waitpid(Some(self.pid), WaitOptions::empty()),
            Err(Errno::INTR)
        ) {}
    }
}

const fn byte_of(point: Point) -> u8 {
    match point {
        Point::Prestart => b'p',
        Point::CreateRuntime => b'c',
        Point::Poststart => b's',
        Point::Poststop => b'e',
    }
}

/// The runner's life: hooks of the point that is asked for, an answer, the next.
fn serve(socket: &OwnedFd, spec: &Spec, mut state: StateFile) {
    while let Ok((packet, length, _)) = wire::receive(socket.as_fd()) {
        let Some((kind, payload)) = packet.get(..length).and_then(|p| p.split_first()) else {
            return;
        };
        let (point, status) = match kind {
            b'p' => (Point::Prestart, Status::Creating),
            b'c' => (Point::CreateRuntime, Status::Creating),
            b's' => (Point::Poststart, Status::Running),
            b'e' => (Point::Poststop, Status::Stopped),
            _ => return,
        };
        state.init = serde_json::from_slice(payload).unwrap_or_default();
        let failed: Vec<String> = if point == Point::Poststop {
            let failures = hooks::run_all(spec, point, &state, status);
            failures
                .into_iter()
                .map(|failure| failure.message)
                .collect()
        } else {
            let failure = hooks::run(spec, point, &state, status).err();
            failure.into_iter().map(|failure| failure.message).collect()
        };
        let answer = match failed.is_empty() {
            true => vec![DONE],
            false => failed.join("; ").into_bytes(),
        };
        // What does not fit into a packet is cut off by the receiver.
        if send(socket, &answer, SendFlags::NOSIGNAL).is_err() {
            return;
        }
    }
}
