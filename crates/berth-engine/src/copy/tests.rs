//! Which mount of a stopped container a path belongs to.

use oci_spec::runtime::MountBuilder;

use super::*;

fn mount(kind: &str, source: &Path, target: &str, options: &[&str]) -> Mount {
    MountBuilder::default()
        .typ(kind)
        .source(source)
        .destination(target)
        .options(options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>())
        .build()
        .unwrap()
}

#[test]
fn the_longest_target_wins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    std::fs::write(&file, "").unwrap();
    let mounts = [
        mount("proc", Path::new("proc"), "/proc", &[]),
        mount("bind", folder.path(), "/data", &["rbind"]),
        mount("none", folder.path(), "/data/ro/", &["rbind", "ro"]),
        mount("bind", &file, "/etc/hosts", &["rbind"]),
    ];
    let at = |path: &str| {
        mounted(&mounts, Path::new("/nowhere"), Path::new(path)).map(|spot| {
            let below = spot.below.unwrap().display().to_string();
            let is_file = matches!(spot.place, Place::File(_));
            (below, is_file, spot.read_only.is_some())
        })
    };
    let found = |below: &str, is_file, is_ro| Some((below.to_owned(), is_file, is_ro));
    assert_eq!(at("/proc/1"), None);
    assert_eq!(at("/database"), None);
    assert_eq!(at("/data"), found("/", false, false));
    assert_eq!(at("data/a/../b/."), found("/b", false, false));
    assert_eq!(at("/data/ro/x"), found("/x", false, true));
    assert_eq!(at("/data/ro/../x"), found("/x", false, false));
    assert_eq!(at("/etc/hosts"), found("/", true, false));
    assert_eq!(at("/etc"), None);
}
