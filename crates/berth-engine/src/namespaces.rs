//! Where each namespace of a container comes from.
//!
//! Decided at create, so that a bad request fails early; which process holds the namespace of
//! another container is looked up again at every start.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use berth_base::state::NamespaceSource;
use berth_base::{ContainerId, ErrorClass, NamespaceKind};
use berth_runtime::namespaces::flag_of;

use crate::options::{NamespaceMode, NamespaceModes};
use crate::{CreateFile, EngineError};

/// The kinds that can be chosen, with their flags; the mount namespace is always private.
const CHOICES: [(NamespaceKind, &str); 7] = [
    (NamespaceKind::Cgroup, "--cgroupns"),
    (NamespaceKind::Ipc, "--ipc"),
    (NamespaceKind::Net, "--net"),
    (NamespaceKind::Pid, "--pid"),
    (NamespaceKind::Time, "--timens"),
    (NamespaceKind::User, "--userns"),
    (NamespaceKind::Uts, "--uts"),
];

/// Decides the source of all eight namespaces. `find` looks up the container of a
/// `container:NAME`.
pub(crate) fn decide(
    modes: &NamespaceModes,
    rootless: bool,
    mut find: impl FnMut(&str) -> Result<(ContainerId, CreateFile), EngineError>,
) -> Result<BTreeMap<NamespaceKind, NamespaceSource>, EngineError> {
    let mut sources = BTreeMap::from([(NamespaceKind::Mnt, NamespaceSource::Private)]);
    let mut neighbour = None;
    for (kind, flag) in CHOICES {
        let source = match mode_of(modes, kind) {
            NamespaceMode::Default if kind == NamespaceKind::User && !rootless => {
                NamespaceSource::Host
            }
            NamespaceMode::Default | NamespaceMode::Private => NamespaceSource::Private,
            NamespaceMode::Host => NamespaceSource::Host,
            NamespaceMode::Path(path) => {
                check_path(path, kind, flag)?;
                NamespaceSource::Path(path.clone())
            }
            NamespaceMode::Container(reference) => {
                let (id, create) = find(reference)?;
                let source = shared_with(kind, &id, &create);
                neighbour.get_or_insert((id, create));
                source
            }
        };
        sources.insert(kind, source);
    }
    // The namespaces of a rootless container belong to its user namespace: who joins one of them
    // must be in there first (user_namespaces(7)).
    if rootless
        && modes.user == NamespaceMode::Default
        && let Some((id, create)) = &neighbour
    {
        let source = shared_with(NamespaceKind::User, id, create);
        sources.insert(NamespaceKind::User, source);
    }
    if rootless && sources.get(&NamespaceKind::User) == Some(&NamespaceSource::Host) {
        return Err(EngineError::new(
            ErrorClass::Denied,
            "cannot use the host's user namespace without root; leave out \"--userns host\"",
        ));
    }
    refuse_strangers(&sources)?;
    Ok(sources)
}

/// What a container mounts of a namespace, it must have the rights to: the namespace has to belong to
/// the user namespace that it is in, or to one below (user_namespaces(7)).
fn refuse_strangers(sources: &BTreeMap<NamespaceKind, NamespaceSource>) -> Result<(), EngineError> {
    if sources.get(&NamespaceKind::User) != Some(&NamespaceSource::Private) {
        return Ok(());
    }
    let mounted = [NamespaceKind::Ipc, NamespaceKind::Net, NamespaceKind::Pid];
    let is_joined = |kind: &NamespaceKind| {
        matches!(
            sources.get(kind),
            Some(NamespaceSource::Container(_) | NamespaceSource::Path(_))
        )
    };
    let Some(kind) = mounted.into_iter().find(is_joined) else {
        return Ok(());
    };
    let flag = CHOICES.iter().find(|(known, _)| *known == kind);
    let flag = flag.map_or("--ns", |(_, flag)| flag);
    let text = format!(
        "{flag} cannot be joined from a user namespace of its own: what belongs to the {} namespace \
         could not be mounted; leave out --userns private, or share that container's with \
         --userns container:NAME",
        word(kind)
    );
    Err(EngineError::new(ErrorClass::Invalid, text).on(flag))
}

/// A user namespace cannot be joined by who is in it already: sharing with a container that lives
/// in the host's is living in the host's.
fn shared_with(kind: NamespaceKind, id: &ContainerId, create: &CreateFile) -> NamespaceSource {
    let hosts = create.namespaces.get(&kind) == Some(&NamespaceSource::Host);
    if kind == NamespaceKind::User && hosts {
        NamespaceSource::Host
    } else {
        NamespaceSource::Container(id.clone())
    }
}

const fn mode_of(modes: &NamespaceModes, kind: NamespaceKind) -> &NamespaceMode {
    match kind {
        NamespaceKind::Cgroup => &modes.cgroup,
        NamespaceKind::Ipc => &modes.ipc,
        NamespaceKind::Net => &modes.net,
        NamespaceKind::Pid => &modes.pid,
        NamespaceKind::Time => &modes.time,
        NamespaceKind::User => &modes.user,
        NamespaceKind::Uts => &modes.uts,
        NamespaceKind::Mnt => &NamespaceMode::Private,
    }
}

/// Checks that a path is an nsfs file of the right kind (NS_GET_NSTYPE, ioctl_nsfs(2)).
fn check_path(path: &Path, kind: NamespaceKind, flag: &str) -> Result<(), EngineError> {
    let shown = path.display();
    let error = |class, why: String| {
        let text = format!(
            "cannot use {shown} for {flag}: {why}; give a file such as /proc/PID/ns/{} or one of \"ip netns\"",
            kind.as_str()
        );
        EngineError::new(class, text).on(shown.to_string())
    };
    if !path.is_absolute() {
        return Err(error(ErrorClass::Invalid, "it is not absolute".into()));
    }
    // A FIFO or a device must not block us.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = File::options()
        .read(true)
        .custom_flags(i32::from_ne_bytes(flags.bits().to_ne_bytes()))
        .open(path)
        .map_err(|e| {
            let class = match e.kind() {
                std::io::ErrorKind::NotFound => ErrorClass::NotFound,
                std::io::ErrorKind::PermissionDenied => ErrorClass::Denied,
                _ => ErrorClass::Invalid,
            };
            error(class, e.to_string())
        })?;
    match berth_sys::namespace_flag(file.as_fd()) {
        Ok(found) if found == flag_of(kind) => Ok(()),
        Ok(found) => {
            let names = berth_runtime::namespaces::names_of(found);
            let why = format!("it is a {} namespace", names.join(""));
            Err(error(ErrorClass::Invalid, why))
        }
        Err(_) => Err(error(ErrorClass::Invalid, "it is no namespace".into())),
    }
}

/// The path by which a process's namespace is joined.
pub(crate) fn path_of(pid: berth_base::HostPid, kind: NamespaceKind) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/{}", kind.as_str()))
}

/// What users call a namespace kind.
pub(crate) const fn word(kind: NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::Cgroup => "cgroup",
        NamespaceKind::Ipc => "IPC",
        NamespaceKind::Mnt => "mount",
        NamespaceKind::Net => "network",
        NamespaceKind::Pid => "PID",
        NamespaceKind::Time => "time",
        NamespaceKind::User => "user",
        NamespaceKind::Uts => "UTS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody(reference: &str) -> Result<(ContainerId, CreateFile), EngineError> {
        Err(EngineError::new(ErrorClass::NotFound, reference))
    }

    fn decide_net(mode: NamespaceMode) -> Result<NamespaceSource, String> {
        let modes = NamespaceModes {
            net: mode,
            ..NamespaceModes::default()
        };
        decide(&modes, false, nobody)
            .map(|sources| sources[&NamespaceKind::Net].clone())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn the_default_is_private_but_for_roots_user_namespace() {
        for (rootless, user) in [
            (false, NamespaceSource::Host),
            (true, NamespaceSource::Private),
        ] {
            let sources = decide(&NamespaceModes::default(), rootless, nobody).unwrap();
            assert_eq!(sources.len(), 8);
            for (kind, source) in sources {
                let expected = if kind == NamespaceKind::User {
                    &user
                } else {
                    &NamespaceSource::Private
                };
                assert_eq!(source, *expected, "{kind:?}");
            }
        }
    }

    #[test]
    fn a_path_must_be_a_namespace_of_the_kind() {
        let path = PathBuf::from("/proc/self/ns/net");
        let decided = decide_net(NamespaceMode::Path(path.clone()));
        assert_eq!(decided, Ok(NamespaceSource::Path(path)));
        let message = |path: &str| decide_net(NamespaceMode::Path(path.into())).unwrap_err();
        insta::assert_snapshot!(message("/proc/self/ns/uts"), @r#"cannot use /proc/self/ns/uts for --net: it is a uts namespace; give a file such as /proc/PID/ns/net or one of "ip netns""#);
        insta::assert_snapshot!(message("/dev/null"), @r#"cannot use /dev/null for --net: it is no namespace; give a file such as /proc/PID/ns/net or one of "ip netns""#);
        insta::assert_snapshot!(message("/run/netns/no-such"), @r#"cannot use /run/netns/no-such for --net: No such file or directory (os error 2); give a file such as /proc/PID/ns/net or one of "ip netns""#);
        insta::assert_snapshot!(message("ns/net"), @r#"cannot use ns/net for --net: it is not absolute; give a file such as /proc/PID/ns/net or one of "ip netns""#);
    }

    #[test]
    fn what_belongs_to_others_is_not_joined_from_a_user_namespace_of_ones_own() {
        let path = NamespaceMode::Path("/proc/self/ns/net".into());
        for (user, net, is_refused) in [
            (NamespaceMode::Private, path.clone(), true),
            (NamespaceMode::Host, path, false),
            (NamespaceMode::Private, NamespaceMode::Host, false),
        ] {
            let modes = NamespaceModes {
                user,
                net,
                ..NamespaceModes::default()
            };
            let decided = decide(&modes, false, nobody);
            assert_eq!(decided.is_err(), is_refused, "{modes:?}");
        }
    }

    #[test]
    fn without_root_the_hosts_user_namespace_is_refused() {
        let modes = NamespaceModes {
            user: NamespaceMode::Host,
            ..NamespaceModes::default()
        };
        let error = decide(&modes, true, nobody).unwrap_err();
        assert_eq!(error.class, ErrorClass::Denied);
    }
}
