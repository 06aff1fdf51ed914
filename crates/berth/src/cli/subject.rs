//! What the commands around the map are about: a process, a container, a namespace; and how the
//! host is read for them.

use berth_base::{ErrorClass, HostPid, NamespaceId, NamespaceKind, escape_untrusted};
use berth_map::Sources;
use berth_map::lookup::{Found, LookupError, find};
use berth_map::model::{Wanted, World};
use berth_map::translate::{PidError, PidSpec};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::Context;
use super::failure::Failure;
use super::pid::check_runs;

/// Reads the host, and of the details what a command shows.
pub(super) fn discover(sources: &Sources, wanted: &Wanted) -> Result<World, Failure> {
    Ok(World::discover_with(sources, wanted)?)
}

/// Tells the user what could not be read, and of whom nothing is shown.
pub(super) fn warn(context: &Context, world: &World) {
    context.warn_all(world.warnings());
    if let Some(unseen) = berth_map::ns_table::unseen(world) {
        context.console.warn(&unseen);
    }
}

/// What a user means by a process: a PID as `berth pid` takes it, or a container for its first
/// process.
pub(super) fn process_spec(
    context: &Context,
    sources: &Sources,
    text: &str,
) -> Result<PidSpec, Failure> {
    let not_a_pid = match text.parse::<PidSpec>() {
        Ok(spec) => {
            if let PidSpec::Inside { container, .. } = &spec {
                check_runs(context, container)?;
            }
            return Ok(spec);
        }
        Err(error) => error,
    };
    if text.contains(':') || !matches!(not_a_pid, PidError::NotAPid { .. }) {
        return Err(LookupError::from(not_a_pid).into());
    }
    if text.contains('/') {
        return first_process(sources, text);
    }
    let id = match context.engine.resolve(text) {
        Ok(id) => id,
        Err(error) if error.class == ErrorClass::NotFound => {
            return Err(LookupError::from(not_a_pid).into());
        }
        Err(error) => return Err(error.into()),
    };
    let container = context.engine.inspect(&id)?;
    match &container.live {
        Some(live) => Ok(PidSpec::Host(live.init.pid)),
        None => Err(super::pid::not_running(container.name.as_str())),
    }
}

/// Finds a process; says of one that is there but may not be seen what hides it.
pub(super) fn find_process(sources: &Sources, spec: &PidSpec) -> Result<Found, Failure> {
    find(sources, spec).map_err(|error| match error {
        LookupError::Pid(PidError::NoProcess { pid }) if exists(pid) => hidden(pid),
        error => error.into(),
    })
}

/// A process that is there and may not be seen.
fn hidden(pid: HostPid) -> Failure {
    Failure::new(
        ErrorClass::Denied,
        format!(
            "process {pid} is there, but /proc hides it: it is mounted with hidepid (proc(5)), or belongs to another PID namespace; try again as root, or with a /proc of your own"
        ),
    )
    .on(pid.to_string())
}

/// What a process that a snapshot lacks is: hidden; `None` when it is not there.
pub(super) fn hidden_from(world: &World, pid: HostPid) -> Option<Failure> {
    (world.process(pid).is_none() && exists(pid)).then(|| hidden(pid))
}

/// Whether a process exists in our PID namespace. pidfd_open(2) asks for no right to see it; a
/// thread's id, for which there is no pidfd, is EINVAL or, since 6.9, ENOENT.
fn exists(pid: HostPid) -> bool {
    let pid = i32::try_from(pid.get()).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| pidfd_open(pid, PidfdFlags::empty()).is_ok())
}

/// The first process of another engine's container.
fn first_process(sources: &Sources, container: &str) -> Result<PidSpec, Failure> {
    let world = discover(sources, &Wanted::default())?;
    let index = world.find_container(container).map_err(LookupError::from)?;
    match world.container(index).and_then(|c| c.init) {
        Some(pid) => Ok(PidSpec::Host(pid)),
        None => Err(Failure::new(
            ErrorClass::Denied,
            format!(
                "the first process of container {} cannot be told; name one of its processes by host PID (\"berth top {0}\" lists them)",
                escape_untrusted(container)
            ),
        )
        .on(container)),
    }
}

/// A namespace by number, as `4026532193` or `net:[4026532193]`; `None` when the text is neither.
pub(super) fn parse_namespace(text: &str) -> Option<u64> {
    let digits = match text.split_once(":[") {
        Some((kind, rest)) if !kind.contains(':') => rest.strip_suffix(']')?,
        _ => text,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// A namespace that is not there.
pub(super) fn no_namespace(text: &str) -> Failure {
    Failure::new(
        ErrorClass::NotFound,
        format!(
            "no namespace {} exists, or none that you may see: its last process may have ended; \"berth ns\" lists those there are, \"berth ns -p PID\" those of a process",
            escape_untrusted(text)
        ),
    )
    .on(text)
}

/// The namespaces of a number; the kernel never gives one number to two kinds at a time.
pub(super) fn find_namespace(
    world: &World,
    text: &str,
    inode: u64,
) -> Result<NamespaceId, Failure> {
    let mut all = world.namespaces().map(|namespace| namespace.id);
    let found = all.find(|id| id.inode == inode);
    found.ok_or_else(|| no_namespace(text))
}

/// The CLONE_NEW* flag of a kind (clone(2)).
pub(super) const fn flag_of_kind(kind: NamespaceKind) -> u64 {
    match kind {
        NamespaceKind::Time => 0x0000_0080,
        NamespaceKind::Mnt => 0x0002_0000,
        NamespaceKind::Cgroup => 0x0200_0000,
        NamespaceKind::Uts => 0x0400_0000,
        NamespaceKind::Ipc => 0x0800_0000,
        NamespaceKind::User => 0x1000_0000,
        NamespaceKind::Pid => 0x2000_0000,
        NamespaceKind::Net => 0x4000_0000,
    }
}

/// The kind of a CLONE_NEW* flag.
pub(super) fn kind_of_flag(flag: u64) -> Option<NamespaceKind> {
    let mut kinds = NamespaceKind::ALL.into_iter();
    kinds.find(|kind| flag_of_kind(*kind) == flag)
}

/// A process as the world has it; an error when it ended meanwhile.
pub(super) fn existing(world: &World, pid: HostPid) -> Result<HostPid, Failure> {
    match world.process(pid) {
        Some(_) => Ok(pid),
        None => Err(hidden_from(world, pid)
            .unwrap_or_else(|| LookupError::from(PidError::NoProcess { pid }).into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_written_as_numbers_or_as_links() {
        assert_eq!(parse_namespace("4026532193"), Some(4_026_532_193));
        assert_eq!(parse_namespace("net:[4026532193]"), Some(4_026_532_193));
        for text in ["", "web", "net:[", "net:[]", "a:b:[1]", "-1", "net:[1"] {
            assert_eq!(parse_namespace(text), None, "{text}");
        }
    }
}
