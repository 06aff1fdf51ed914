//! Containers as the components of a cgroup path name them.

use crate::model::{Container, Engine};

/// One component of a cgroup path that names a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathMatch<'a> {
    /// The engine that makes such names; `None` for 64 bare hex digits that any engine may own.
    pub(crate) engine: Option<Engine>,
    /// The id, or the name where the engine uses names.
    pub(crate) id: &'a str,
    /// The path up to and including the component.
    pub(crate) prefix: &'a str,
}

/// Finds the containers that a cgroup path names, from the outside in.
pub(crate) fn containers_in_path(path: &str) -> impl Iterator<Item = PathMatch<'_>> {
    prefixes(path).filter_map(|step| {
        let (engine, id) = recognise(step.parent, step.component)?;
        let prefix = step.prefix;
        Some(PathMatch { engine, id, prefix })
    })
}

/// One component of a path with what surrounds it.
pub(super) struct Step<'a> {
    /// The component above.
    parent: &'a str,
    /// The component.
    component: &'a str,
    /// The path up to and including it.
    pub(super) prefix: &'a str,
}

impl<'a> Step<'a> {
    /// The container that the component names.
    pub(super) fn recognise(&self) -> Option<(Option<Engine>, &'a str)> {
        recognise(self.parent, self.component)
    }
}

/// The components of a path, from the outside in.
pub(super) fn prefixes(path: &str) -> impl Iterator<Item = Step<'_>> {
    let mut parent = "";
    let mut end = 0;
    path.split('/').filter_map(move |component| {
        let parent = std::mem::replace(&mut parent, component);
        let component_end = end + component.len();
        end = component_end + 1;
        Some(Step {
            parent,
            component,
            prefix: path.get(..component_end)?,
        })
    })
}

/// Recognises one component, given the one above it.
fn recognise<'a>(parent: &str, component: &'a str) -> Option<(Option<Engine>, &'a str)> {
    if is_long_id(component) {
        let engine = match parent {
            "berth" => Some(Engine::Berth),
            "docker" => Some(Engine::Docker),
            "libpod_parent" => Some(Engine::Podman),
            pod if pod.starts_with("pod") => Some(Engine::Kubernetes),
            _ => None,
        };
        return Some((engine, component));
    }
    if let Some(name) = component.strip_prefix("lxc.payload.") {
        return named(Engine::Lxc, name);
    }
    if parent == "lxc" {
        return named(Engine::Lxc, component);
    }
    if let Some(unit) = component.strip_prefix("systemd-nspawn@") {
        return named(Engine::Nspawn, unit.strip_suffix(".service")?);
    }
    if let Some(name) = component.strip_prefix("snap.") {
        let unit = name.strip_suffix(".scope");
        return named(
            Engine::Snap,
            unit.or_else(|| name.strip_suffix(".service"))?,
        );
    }
    let bare = component.strip_suffix(".scope").unwrap_or(component);
    if let (Some(name), true) = (bare.strip_prefix("machine-"), bare != component) {
        // systemd-machined's scopes; libvirt registers its virtual machines there too.
        return (!name.starts_with("qemu")).then(|| named(Engine::Nspawn, name))?;
    }
    let (prefix, id) = bare.rsplit_once('-')?;
    if !is_long_id(id) {
        return None;
    }
    // Conmon's own cgroups (libpod-conmon-ID, crio-conmon-ID) hold no container process.
    let engine = match prefix {
        "berth" => Engine::Berth,
        "docker" => Engine::Docker,
        "libpod" => Engine::Podman,
        "cri-containerd" => Engine::Containerd,
        "crio" => Engine::Crio,
        _ => return None,
    };
    Some((Some(engine), id))
}

/// The name of a container of which a cgroup path alone tells: the short id; of a snap without
/// the uuid that tells its runs apart; of a machine without systemd's escapes (systemd.unit(5)).
pub(crate) fn name_by_path(engine: Engine, id: &str) -> String {
    match engine {
        Engine::Snap => strip_uuid(id).to_owned(),
        Engine::Nspawn => id.replace("\\x2d", "-"),
        _ => Container::shorten_id(id).to_owned(),
    }
}

/// A text without the uuid at its end.
fn strip_uuid(text: &str) -> &str {
    const LENGTH: usize = 36;
    let at = text.len().checked_sub(LENGTH + 1);
    let split = at.and_then(|at| text.split_at_checked(at));
    match split.map(|(front, back)| (front, back.strip_prefix('-'))) {
        Some((front, Some(uuid))) if is_uuid(uuid) => front,
        _ => text,
    }
}

/// Whether a text is a uuid of 8, 4, 4, 4 and 12 hex digits.
fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// A container whose engine names it by name.
fn named(engine: Engine, name: &str) -> Option<(Option<Engine>, &str)> {
    (!name.is_empty()).then_some((Some(engine), name))
}

/// Whether a text is 64 lower-case hex digits.
pub(super) fn is_long_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn found(path: &str) -> Vec<(Option<Engine>, String, String)> {
        containers_in_path(path)
            .map(|m| (m.engine, m.id.to_owned(), m.prefix.to_owned()))
            .collect()
    }

    #[test]
    fn each_engine_is_recognised() {
        let table = [
            (format!("/berth/{ID}"), Engine::Berth),
            (format!("/docker/{ID}"), Engine::Docker),
            (format!("/system.slice/docker-{ID}.scope"), Engine::Docker),
            (
                format!("/machine.slice/libpod-{ID}.scope/container"),
                Engine::Podman,
            ),
            (format!("/libpod_parent/libpod-{ID}"), Engine::Podman),
            (
                format!("/kubepods/besteffort/pod0a1b/{ID}"),
                Engine::Kubernetes,
            ),
            (
                format!("/kubepods.slice/x.slice/cri-containerd-{ID}.scope"),
                Engine::Containerd,
            ),
            (
                format!("/kubepods.slice/x.slice/crio-{ID}.scope"),
                Engine::Crio,
            ),
        ];
        for (path, engine) in table {
            let all = found(&path);
            assert_eq!(all.len(), 1, "{path}");
            assert_eq!((all[0].0, all[0].1.as_str()), (Some(engine), ID), "{path}");
        }
        assert_eq!(found("/lxc.payload.web")[0].1, "web");
        assert_eq!(found("/lxc/web/x")[0].1, "web");
        assert_eq!(
            found("/machine.slice/systemd-nspawn@deb.service/payload")[0].1,
            "deb"
        );
        let scope = found("/machine.slice/machine-deb.scope/payload");
        assert_eq!(
            (scope[0].0, scope[0].1.as_str()),
            (Some(Engine::Nspawn), "deb")
        );
        for (unit, id) in [
            ("a.b-1f.scope", "a.b-1f"),
            ("lxd.daemon.service", "lxd.daemon"),
        ] {
            let snap = found(&format!("/user.slice/snap.{unit}"));
            assert_eq!((snap[0].0, snap[0].1.as_str()), (Some(Engine::Snap), id));
        }
    }

    #[test]
    fn conmon_shims_and_lookalikes_are_not_containers() {
        for path in [
            "/".to_owned(),
            String::new(),
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            format!("/docker/{}", &ID[1..]),
            format!("/docker/{}", ID.to_uppercase()),
            "/docker/buildkit/x".to_owned(),
            "/lxc.payload.".to_owned(),
            "/snap.web".to_owned(),
            "/machine.slice/machine-qemu\\x2d1.scope".to_owned(),
            "/machine-deb".to_owned(),
        ] {
            assert!(found(&path).is_empty(), "{path}");
        }
        assert_eq!(found(&format!("/custom/{ID}"))[0].0, None);
    }

    #[test]
    fn names_are_what_people_call_them() {
        let uuid = "4a5f2c1e-7d5b-4a0e-9d4f-0123456789ab";
        let table = [
            (Engine::Docker, ID.to_owned(), &ID[..12]),
            (Engine::Snap, format!("a.b-{uuid}"), "a.b"),
            (
                Engine::Snap,
                format!("a.b-{}", &uuid[1..]),
                &*format!("a.b-{}", &uuid[1..]),
            ),
            (Engine::Snap, "lxd.daemon".to_owned(), "lxd.daemon"),
            (Engine::Snap, "é".repeat(20), &*"é".repeat(20)),
            (Engine::Nspawn, "deb\\x2d1".to_owned(), "deb-1"),
            (Engine::Lxc, "web".to_owned(), "web"),
        ];
        for (engine, id, name) in table {
            assert_eq!(name_by_path(engine, &id), name);
        }
    }

    #[test]
    fn nested_containers_come_outermost_first_with_their_prefixes() {
        let inner = ID.replace('0', "f");
        let path = format!("/docker/{ID}/kubelet/pod7/{inner}/sub");
        let all = found(&path);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].2, format!("/docker/{ID}"));
        assert_eq!(all[1].2, format!("/docker/{ID}/kubelet/pod7/{inner}"));
    }
}
