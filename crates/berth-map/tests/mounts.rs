//! The mounts of mount namespaces, compared with mountinfo.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

#[path = "support/real.rs"]
mod real;

use std::collections::BTreeSet;
use std::fs;

use berth_base::NamespaceKind;
use berth_map::model::{Mount, Wanted};
use real::discover;

#[test]
fn mounts_by_statmount_are_those_of_mountinfo() {
    let wanted = |mounts| Wanted {
        mounts,
        ..Wanted::default()
    };
    let samples: Vec<_> = {
        let world = discover(&Wanted::default());
        let readable = world
            .processes()
            .iter()
            .filter(|p| !p.kernel_thread && fs::read(format!("/proc/{}/mountinfo", p.pid)).is_ok());
        let mut ids = BTreeSet::new();
        readable
            .filter_map(|p| Some((p.namespaces.of(NamespaceKind::Mnt)?, p.pid)))
            .filter(|(id, _)| ids.insert(*id))
            .collect()
    };
    assert!(!samples.is_empty());
    for (id, pid) in samples {
        // Others may mount meanwhile: the text must be the same before and after.
        let text = || fs::read_to_string(format!("/proc/{pid}/mountinfo"));
        let (Ok(before), world, Ok(after)) = (text(), discover(&wanted(vec![id])), text()) else {
            continue;
        };
        if before != after {
            continue;
        }
        let Some(ours) = world.details().mounts.get(&id) else {
            assert!(!world.warnings().is_empty());
            continue;
        };
        let ours: BTreeSet<String> = ours.iter().map(describe).collect();
        let theirs: BTreeSet<String> = before.lines().map(describe_line).collect();
        // A process with a root of its own sees fewer.
        assert!(theirs.is_subset(&ours), "{:#?}", theirs.difference(&ours));
    }
    let none = berth_base::NamespaceId {
        kind: NamespaceKind::Mnt,
        inode: 1,
    };
    let world = discover(&wanted(vec![none]));
    let said = |line: &String| line.starts_with("mounts: those of mnt:[1] cannot be read");
    assert!(world.warnings().iter().any(said), "{:?}", world.warnings());
}

fn describe(mount: &Mount) -> String {
    let source = mount.source.as_deref().unwrap_or("none");
    let escape = |text: &str| {
        let text = text.replace('\\', "\\134").replace(' ', "\\040");
        text.replace('\n', "\\012").replace('\t', "\\011")
    };
    format!(
        "{} {} {} {} {} {}",
        escape(&mount.root),
        escape(&mount.point),
        mount.options,
        mount.propagation,
        mount.kind,
        escape(source)
    )
}

fn describe_line(line: &str) -> String {
    let (head, tail) = line.split_once(" - ").unwrap();
    let head: Vec<&str> = head.split(' ').collect();
    let tail: Vec<&str> = tail.split(' ').collect();
    let source = if tail[1].is_empty() { "none" } else { tail[1] };
    format!(
        "{} {} {} {} {} {}",
        head[3],
        head[4],
        head[5],
        head[6..].join(" "),
        tail[0],
        source
    )
}
