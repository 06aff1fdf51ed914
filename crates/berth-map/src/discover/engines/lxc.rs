//! LXC and Incus (LXD): a container's first process is the child of its monitor, whose command
//! line liblxc sets to `[lxc monitor] LXCPATH NAME`.
//!
//! That both are so is the kernel's word; that it is LXC's container is believed as far as the
//! container's `config` below LXCPATH belongs to whom the monitor runs as. Seen with LXC 5.0.

use super::record::{Record, is_plain};
use super::tree::Tree;
use crate::model::{Engine, Evidence, EvidenceKind, Process};

/// How liblxc calls its monitor.
const TITLE: &str = "[lxc monitor] ";

/// Programs that are monitors of containers, by name: the command, and the daemons that fork one.
pub(super) const MONITORS: [&str; 6] = [
    "lxc-start",
    "lxc-execute",
    "lxc monitor",
    "lxd",
    "incusd",
    "[lxc monitor]",
];

/// Where hierarchies of cgroups are mounted.
const CGROUPS: &str = "sys/fs/cgroup";

/// No line of an Incus container's backup file further down is read.
const MAX_LINES: usize = 400;

/// What a monitor says of its child; `None` when it is no monitor.
pub(super) fn read(
    tree: Option<&Tree>,
    arguments: &[String],
    monitor: &Process,
    init: &Process,
) -> Option<Record> {
    let (path, name) = parse_title(arguments)?;
    let engine = match path.split('/').any(|part| part == "incus" || part == "lxd") {
        true => Engine::Incus,
        false => Engine::Lxc,
    };
    let own = |file: &str| {
        let path = format!("{path}/{name}/{file}");
        let read = tree?.read(&path).ok().flatten()?;
        let trusted = read.uid == 0 || read.uid == monitor.uid;
        trusted.then(|| (tree.map_or_else(String::new, |tree| tree.name(&path)), read))
    };
    let config = match engine {
        Engine::Incus => own("backup.yaml"),
        _ => own("config"),
    };
    let image = config
        .as_ref()
        .filter(|_| engine == Engine::Incus)
        .and_then(|(_, file)| find_image(&String::from_utf8_lossy(&file.bytes)));
    let evidence = match &config {
        Some((path, _)) => Evidence {
            kind: EvidenceKind::StateFile,
            detail: path.clone(),
        },
        None => Evidence {
            kind: EvidenceKind::Program,
            detail: format!("{TITLE}{path} {name}"),
        },
    };
    Some(Record {
        engine,
        id: name.to_owned(),
        name: name.to_owned(),
        pid: init.pid.get(),
        cgroup: None,
        image,
        pod: None,
        evidence,
        // The child is there now, and has been since it was cloned.
        written_s: i64::MAX,
        uid: monitor.uid,
        nested: tree.is_some_and(|tree| tree.nested.is_some()),
    })
}

/// A process of a running container, by the cgroup that liblxc makes at the root of each
/// hierarchy it uses.
pub(super) fn find_member(tree: &Tree, name: &str) -> Option<u32> {
    if !is_plain(name) {
        return None;
    }
    let mut folders = tree.list(CGROUPS).ok()?;
    folders.insert(0, ".".to_owned());
    folders.iter().find_map(|hierarchy| {
        let path = format!("{CGROUPS}/{hierarchy}/lxc.payload.{name}/cgroup.procs");
        let file = tree.read(&path).ok().flatten()?;
        let text = String::from_utf8_lossy(&file.bytes).into_owned();
        text.lines().find_map(|line| line.parse().ok())
    })
}

/// Path and name out of a monitor's title.
fn parse_title(arguments: &[String]) -> Option<(&str, &str)> {
    let title = arguments.first()?.strip_prefix(TITLE)?;
    let (path, name) = title.trim_end().rsplit_once(' ')?;
    (is_plain(name) && path.starts_with('/')).then_some((path, name))
}

/// What Incus says of the image a container was made from.
fn find_image(backup: &str) -> Option<String> {
    let value = backup.lines().take(MAX_LINES).find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        (key.trim() == "image.description").then(|| value.trim().trim_matches(['"', '\'']))
    });
    value.filter(|value| !value.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_path_and_name() {
        let parse = |title: &str| {
            let arguments = [title.to_owned()];
            parse_title(&arguments).map(|(path, name)| (path.to_owned(), name.to_owned()))
        };
        let expected = ("/var/lib/my lxc".to_owned(), "web".to_owned());
        assert_eq!(parse("[lxc monitor] /var/lib/my lxc web"), Some(expected));
        for wrong in [
            "[lxc monitor] ",
            "[lxc monitor] rel web",
            "[lxc monitor] /x ..",
            "lxc",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_image_is_what_incus_describes() {
        let backup = "container:\n  config:\n    image.description: Debian bookworm amd64\n";
        assert_eq!(find_image(backup).as_deref(), Some("Debian bookworm amd64"));
        assert_eq!(find_image("config: {}\n"), None);
    }
}
