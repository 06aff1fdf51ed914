//! BM001 to BM010: containers that live in namespaces of the host.

use berth_base::NamespaceKind;

use super::{Finding, Object, Rule, Severity, rules};
use crate::model::{Confidence, Container, Engine, IdRange, Process, World};

/// Looks at the first process of each container.
pub(super) fn find(world: &World, findings: &mut Vec<Finding>) {
    for (index, container) in world.indexed_containers() {
        // What only looks like a container may share what it likes: nobody said that it is one.
        let is_guess = container.confidence() == Confidence::Guess;
        let init = container.init.and_then(|pid| world.process(pid));
        let Some(init) = init.filter(|_| !is_guess) else {
            continue;
        };
        let object = Object::Container(index);
        for kind in init.namespaces.shared_with(&world.host().namespaces) {
            let Some((rule, severity, remedy)) = of_kind(container, init, world, kind) else {
                continue;
            };
            findings.push(Finding {
                rule,
                severity,
                object,
                reason: format!("it shares the {} namespace of the host", kind.as_str()),
                remedy,
            });
        }
        findings.extend(same_root(world, init).map(|(severity, reason)| Finding {
            rule: &rules::SAME_ROOT,
            severity,
            object,
            reason,
            remedy: remedy_of_user(container.engine),
        }));
    }
}

fn of_kind(
    container: &Container,
    init: &Process,
    world: &World,
    kind: NamespaceKind,
) -> Option<(&'static Rule, Severity, String)> {
    let host_root = host_user(world, init);
    let (rule, severity) = match kind {
        // Another user namespace keeps it from signalling and tracing what it sees.
        NamespaceKind::Pid if host_root => (&rules::SHARED_PID, Severity::Error),
        NamespaceKind::Pid => (&rules::SHARED_PID, Severity::Warning),
        NamespaceKind::Mnt => (&rules::SHARED_MNT, Severity::Error),
        NamespaceKind::Net => (&rules::SHARED_NET, Severity::Warning),
        NamespaceKind::Ipc => (&rules::SHARED_IPC, Severity::Warning),
        NamespaceKind::Uts => (&rules::SHARED_UTS, Severity::Info),
        NamespaceKind::Cgroup => (&rules::SHARED_CGROUP, Severity::Info),
        // The other engines make none.
        NamespaceKind::Time if container.engine == Engine::Berth => {
            (&rules::SHARED_TIME, Severity::Info)
        }
        NamespaceKind::Time | NamespaceKind::User => return None,
    };
    Some((rule, severity, remedy(container.engine, kind)))
}

/// Whether a process lives in the host's user namespace.
fn host_user(world: &World, process: &Process) -> bool {
    let host = world.host().namespaces.of(NamespaceKind::User);
    host.is_some() && process.namespaces.of(NamespaceKind::User) == host
}

fn remedy(engine: Engine, kind: NamespaceKind) -> String {
    let flag = match (engine, kind) {
        (Engine::Berth | Engine::Podman | Engine::Docker, NamespaceKind::Pid) => Some("--pid host"),
        (Engine::Berth | Engine::Podman | Engine::Docker, NamespaceKind::Net) => Some("--net host"),
        (Engine::Berth | Engine::Podman | Engine::Docker, NamespaceKind::Ipc) => Some("--ipc host"),
        (Engine::Berth | Engine::Podman | Engine::Docker, NamespaceKind::Uts) => Some("--uts host"),
        (Engine::Docker | Engine::Podman, NamespaceKind::Cgroup) => Some("--cgroupns host"),
        (Engine::Berth, NamespaceKind::Cgroup) => Some("--cgroupns host"),
        (Engine::Berth, NamespaceKind::Time) => Some("--timens host"),
        _ => None,
    };
    let field = match kind {
        NamespaceKind::Pid => Some("hostPID"),
        NamespaceKind::Net => Some("hostNetwork"),
        NamespaceKind::Ipc => Some("hostIPC"),
        _ => None,
    };
    let is_pod = matches!(
        engine,
        Engine::Kubernetes | Engine::Containerd | Engine::Crio
    );
    match (flag, field) {
        (Some(flag), _) => format!("make it anew without {flag}"),
        (None, Some(field)) if is_pod => format!("leave {field} out of the pod's specification"),
        _ => format!("give it its own {} namespace", kind.as_str()),
    }
}

/// Whether uid 0 of a container is uid 0 of the host, and how bad that is.
fn same_root(world: &World, init: &Process) -> Option<(Severity, String)> {
    if host_user(world, init) {
        let severity = match init.uid {
            0 => Severity::Warning,
            // It gave root up; setuid programs would bring it back.
            _ => Severity::Info,
        };
        let reason = "it lives in the user namespace of the host: uid 0 inside is uid 0 outside";
        return Some((severity, reason.to_owned()));
    }
    let user = init.namespaces.of(NamespaceKind::User)?;
    let maps = world.details().id_maps.get(&user)?;
    let is_root = |range: &IdRange| range.inside == 0 && range.outside == 0 && range.count > 0;
    let maps_root = maps.uids.iter().any(is_root);
    maps_root.then(|| {
        let reason = format!("its user namespace {user} maps uid 0 to uid 0 of the host");
        (Severity::Warning, reason)
    })
}

fn remedy_of_user(engine: Engine) -> String {
    match engine {
        Engine::Berth => "make it anew with --userns private",
        Engine::Docker => "set userns-remap in the daemon's configuration, or run Docker rootless",
        Engine::Podman => "make it anew with --userns auto, or run podman as a user",
        Engine::Kubernetes | Engine::Containerd | Engine::Crio => {
            "set hostUsers: false in the pod's specification"
        }
        Engine::Lxc | Engine::Incus => {
            "give it lxc.idmap lines, or make it unprivileged (security.privileged=false)"
        }
        Engine::Nspawn => "start it with --private-users=pick",
        _ => "give it a user namespace whose uid 0 is another uid outside",
    }
    .to_owned()
}
