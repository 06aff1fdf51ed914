//! Starting a keeper: the one way from an engine to a running container.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use berth_base::state::MonitorConfig;
use berth_sys::{
    ArgVector, Clone3, Forked, MountAttributes, close_on_exec_from, execve_at, exit_now,
    mount_setattr, place_at, signal,
};
use rustix::fs::{Access as FileAccess, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

use crate::cgroup::{Access, CgroupError, Hierarchies, JoinDescriptors, KEEPERS, keeper_group};
use crate::{keeper, state};

/// What an engine wants started.
pub struct LaunchRequest<'a> {
    /// The program `berth-runtime`.
    pub runtime_binary: &'a Path,
    /// What the monitor is to do; written to `monitor.json` in its volatile folder.
    pub config: &'a MonitorConfig,
    /// Descriptors that keeper and monitor hold for as long as they live; as many as
    /// [`MonitorConfig::held`] says.
    pub held: &'a [OwnedFd],
}

/// A keeper could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The runtime program is not there or not executable.
    #[error("cannot execute the runtime {path}: {source}; name it with --runtime")]
    Runtime {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the container could not be written or read.
    #[error("cannot write {path}: {source}")]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The cgroup of the keepers is not to be had.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The kernel refused.
    #[error("cannot start the keeper: {0}")]
    Kernel(#[from] Errno),
}

/// The place of our end of the launch connection among the fixed descriptors.
const LAUNCHER: usize = 3;

/// Starts keeper and monitor and returns the launch connection.
///
/// The first packet on it is STARTED or FAILED; what follows depends on
/// [`MonitorConfig::stdio`]. The caller must have one thread.
pub fn launch(request: &LaunchRequest<'_>) -> Result<OwnedFd, LaunchError> {
    let config = request.config;
    let path = config.volatile_dir.join("monitor.json");
    let in_state = |source| LaunchError::State {
        path: path.clone(),
        source,
    };
    state::replace(&path, config).map_err(in_state)?;
    let json: OwnedFd = fs::File::open(&path).map_err(in_state)?.into();
    let program = open_program(request.runtime_binary)?;
    let doors = keepers_doors()?;
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let argv = ArgVector::new(
        ["berth-keeper", config.id.short(), &config.name]
            .into_iter()
            .filter_map(|text| CString::new(text).ok())
            .collect(),
    );
    // Nothing of the caller's environment; what tests of crashes ask for alone.
    let env = ArgVector::new(faults());
    let mut fixed = vec![
        (&null, 0),
        (&null, 1),
        (&null, 2),
        (&theirs, keeper::LAUNCH),
        (&json, keeper::CONFIG),
    ];
    fixed.extend(request.held.iter().zip(keeper::HELD..));
    let mut moved = Vec::with_capacity(fixed.len());
    // Made before the clone: nothing allocates after it.
    let refusals = [
        keeper::refusal(format!(
            "cannot set up the keeper of container {}: it needs more open files than \"ulimit -n\" allows, or its cgroup is gone",
            config.name
        )),
        keeper::refusal(format!(
            "cannot execute the runtime {}: it is no program of this machine; name the right one with --runtime",
            request.runtime_binary.display()
        )),
    ];
    let mut clone = Clone3::default();
    if let Some(directory) = &doors.v2 {
        clone = clone.into_cgroup(directory.as_fd());
    }
    match clone.run()? {
        Forked::Parent { .. } => Ok(ours),
        Forked::Child => {
            berth_sys::forbid_allocation();
            let undone = become_keeper(&doors, &program, &fixed, &mut moved, &argv, &env);
            // At its own number something else may lie by now.
            let launcher = moved.get(LAUNCHER).unwrap_or(&theirs);
            let [setup, execution] = &refusals;
            let refusal = match undone {
                Undone::SetUp => setup,
                Undone::Execution => execution,
            };
            send(launcher, refusal, SendFlags::NOSIGNAL).ok();
            exit_now(1)
        }
    }
}

/// What a keeper has of our environment: nothing. Tests crash keeper and monitor, or what the monitor
/// executes alone.
fn faults() -> Vec<CString> {
    let beyond = faults_beyond();
    if !beyond.is_empty() {
        return beyond;
    }
    let given = berth_persist::fault_environment().into_iter();
    given.filter_map(|text| CString::new(text).ok()).collect()
}

fn faults_beyond() -> Vec<CString> {
    if !cfg!(debug_assertions) {
        return Vec::new();
    }
    let names = ["", "_NOTE", "_TRACE"];
    let given = names.iter().filter_map(|name| {
        let value = std::env::var(format!("BERTH_BEYOND{name}")).ok()?;
        CString::new(format!("BERTH_FAULT{name}={value}")).ok()
    });
    given.collect()
}

/// What the child that was to become the keeper could not do.
enum Undone {
    SetUp,
    Execution,
}

/// In the child: the keepers' cgroup, the fixed descriptors, the program. Returns on failure.
fn become_keeper(
    doors: &JoinDescriptors,
    program: &OwnedFd,
    fixed: &[(&OwnedFd, i32)],
    moved: &mut Vec<OwnedFd>,
    argv: &ArgVector,
    env: &ArgVector,
) -> Undone {
    if doors.enter_v1().is_err() {
        return Undone::SetUp;
    }
    signal::reset_all();
    if signal::unblock_all().is_err() {
        return Undone::SetUp;
    }
    // Sources may sit at the very numbers that are about to be filled: move them up first.
    let end = fixed.last().map_or(keeper::HELD, |(_, number)| number + 1);
    let above = end.max(16);
    for (source, _) in fixed {
        match rustix::io::fcntl_dupfd_cloexec(source, above) {
            // There is room: nothing is allocated.
            Ok(fd) => moved.push(fd),
            Err(_) => return Undone::SetUp,
        }
    }
    let Ok(program) = rustix::io::fcntl_dupfd_cloexec(program, above) else {
        return Undone::SetUp;
    };
    for (source, (_, number)) in moved.iter().zip(fixed) {
        if place_at(source.as_fd(), *number).is_err() {
            return Undone::SetUp;
        }
    }
    let Ok(first) = u32::try_from(end) else {
        return Undone::SetUp;
    };
    if close_on_exec_from(first).is_err() {
        return Undone::SetUp;
    }
    execve_at(program.as_fd(), argv, env);
    Undone::Execution
}

/// Opens the program on a read-only clone of its mount: whatever is cloned from it inside a
/// container has no writable file behind /proc/PID/exe (CVE-2019-5736).
pub(crate) fn open_program(path: &Path) -> Result<OwnedFd, LaunchError> {
    let failed = |errno: Errno| LaunchError::Runtime {
        path: path.to_owned(),
        source: errno.into(),
    };
    rustix::fs::accessat(CWD, path, FileAccess::EXEC_OK, rustix::fs::AtFlags::empty())
        .map_err(failed)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    match open_tree(CWD, path, flags) {
        Ok(clone) => {
            let read_only = MountAttributes {
                set: MountAttributes::RDONLY,
                ..MountAttributes::default()
            };
            mount_setattr(clone.as_fd(), c"", read_only, None).map_err(failed)?;
            Ok(clone)
        }
        // Without privilege no mount can be cloned. A program that its caller cannot write is
        // safe all the same; one that the caller owns could be changed from inside.
        Err(Errno::PERM) if !is_writable(path) => {
            rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed)
        }
        Err(Errno::PERM) => sealed_copy(path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

/// Whether the caller owns the file, or may write it.
fn is_writable(path: &Path) -> bool {
    let owned =
        rustix::fs::stat(path).is_ok_and(|stat| stat.st_uid == rustix::process::geteuid().as_raw());
    owned
        || rustix::fs::accessat(
            CWD,
            path,
            FileAccess::WRITE_OK,
            rustix::fs::AtFlags::empty(),
        )
        .is_ok()
}

/// A sealed copy in memory: costs its size per container, so only where nothing else is safe.
fn sealed_copy(path: &Path) -> Result<OwnedFd, Errno> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use std::io::Write;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let copy = memfd_create(c"berth-runtime", flags)?;
    let bytes = fs::read(path).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    let mut file = fs::File::from(copy);
    file.write_all(&bytes)
        .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    let copy = OwnedFd::from(file);
    fcntl_add_seals(
        &copy,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(copy)
}

/// The cgroup of the keepers. Without privilege a keeper stays in its caller's, which is the
/// delegated subtree where there is one.
/// Moves the calling process into the cgroup of the keepers, so that it outlives the session it was
/// started in. Its caller has one thread.
///
/// # Errors
/// The cgroup is not to be had.
pub fn enter_keepers_cgroup() -> Result<(), LaunchError> {
    let mut doors = keepers_doors()?;
    doors.enter_v2_by_file()?;
    Ok(doors.enter_v1()?)
}

fn keepers_doors() -> Result<JoinDescriptors, LaunchError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(JoinDescriptors::default());
    }
    let read = |path: &str| {
        fs::read_to_string(path).map_err(|source| LaunchError::State {
            path: path.into(),
            source,
        })
    };
    let hierarchies =
        Hierarchies::discover(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
    Ok(keeper_group(&hierarchies, KEEPERS, Access::Required)?)
}
