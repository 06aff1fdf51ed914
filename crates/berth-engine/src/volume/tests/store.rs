//! The use-cases, on folders.

use berth_image::layer::merged::Stack;
use berth_image::layer::tree::{CopyOptions, copy};
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use berth_base::state::{RootSource, STATE_VERSION, SettingsFile, VolumeName};
use berth_base::{ContainerId, ErrorClass, Timestamp};
use rustix::fs::{FlockOperation, flock};

use super::super::{VolumePrune, VolumeRequest};
use crate::options::{MountRequest, VolumeMount};
use crate::{CreateFile, CreateOptions, Engine, EngineConfig};

fn engine(dir: &Path) -> Engine {
    Engine::open(EngineConfig {
        root: dir.join("root"),
        state: dir.join("state"),
        runtime_binary: "/nonexistent".into(),
        engine_binary: "/nonexistent".into(),
        default_network: crate::DefaultNetwork::None,
        network: crate::NetworkSettings::default(),
        cgroup_parent: None,
        image_limits: Default::default(),
        log: Default::default(),
        events: Default::default(),
        cdi_folders: Vec::new(),
    })
    .unwrap()
}

fn request(name: &str) -> VolumeRequest {
    VolumeRequest {
        name: Some(name.parse().unwrap()),
        ..VolumeRequest::default()
    }
}

fn options(mounts: &[MountRequest]) -> CreateOptions {
    CreateOptions {
        mounts: mounts.to_vec(),
        ..CreateOptions::default()
    }
}

fn with_volume(name: &str) -> MountRequest {
    MountRequest::Volume(VolumeMount {
        name: Some(name.parse().unwrap()),
        target: "/data".into(),
        ..VolumeMount::default()
    })
}

fn anonymous() -> MountRequest {
    MountRequest::Volume(VolumeMount {
        target: "/anonymous".into(),
        ..VolumeMount::default()
    })
}

/// The record of a container with these mounts.
fn record(id: &ContainerId, options: CreateOptions) -> CreateFile {
    CreateFile {
        version: STATE_VERSION,
        id: id.clone(),
        created_at: Timestamp::from(SystemTime::now()),
        image: "image".into(),
        source: None,
        argv: vec!["true".into()],
        hostname: "box".into(),
        root: RootSource::Directory {
            path: "/nonexistent".into(),
            writable: false,
        },
        namespaces: BTreeMap::new(),
        cgroups_path: None,
        boot_id: None,
        options,
    }
}

/// Writes a container as it is on disk, as far as volumes are concerned.
fn container(engine: &Engine, number: u8, mounts: &[MountRequest]) -> CreateFile {
    let id = ContainerId::from_bytes([number; 32]);
    let folder = engine.store().persistent_dir(&id);
    std::fs::create_dir_all(&folder).unwrap();
    let options = engine.resolve_mounts(&options(mounts), &[]).unwrap();
    let create = record(&id, options);
    engine.make_volumes(&create).unwrap().keep();
    let restart = berth_base::state::RestartPolicy::No;
    let settings = SettingsFile::new(format!("c{number}").parse().unwrap(), restart);
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    write("create.json", serde_json::to_string(&create).unwrap());
    write("settings.json", serde_json::to_string(&settings).unwrap());
    create
}

fn names(engine: &Engine) -> Vec<String> {
    let volumes = engine.volumes().unwrap();
    volumes.iter().map(|v| v.file.name.to_string()).collect()
}

/// Everything in the folder of the volumes, hidden too.
fn entries(engine: &Engine) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(engine.store().root().join("volumes"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".lock")
        .collect();
    names.sort();
    names
}

#[test]
fn a_volume_is_made_once_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    assert!(names(&engine).is_empty());
    let made = engine.create_volume(&request("data")).unwrap();
    assert_eq!(
        std::fs::metadata(&made.mountpoint).unwrap().mode() & 0o7777,
        0o755
    );
    assert_eq!(engine.create_volume(&request("data")).unwrap(), made);
    assert_eq!(engine.volume("data").unwrap(), made);
    let other = VolumeRequest {
        options: [("type".to_owned(), "tmpfs".to_owned())].into(),
        ..request("data")
    };
    let error = engine.create_volume(&other).unwrap_err();
    insta::assert_snapshot!(error, @"volume data exists with other options; leave them out to use it as it is, or choose another name");
    let anonymous = engine.create_volume(&VolumeRequest::default()).unwrap();
    assert!(anonymous.file.is_anonymous());
    assert_eq!(names(&engine).len(), 2);
    engine.remove_volume("data").unwrap();
    assert_eq!(
        engine.remove_volume("data").unwrap_err().class,
        ErrorClass::NotFound
    );
    assert_eq!(entries(&engine), [anonymous.file.name.as_str()]);
}

#[test]
fn a_volume_in_use_names_its_containers() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    engine.create_volume(&request("data")).unwrap();
    engine.create_volume(&request("free")).unwrap();
    container(&engine, 1, &[with_volume("data")]);
    container(&engine, 2, &[with_volume("data")]);
    let error = engine.remove_volume("data").unwrap_err();
    assert_eq!(error.class, ErrorClass::Conflict);
    insta::assert_snapshot!(error, @r#"cannot remove volume data: it is in use by containers c1 (010101010101), c2 (020202020202); remove them first with "berth rm c1 c2""#);
    assert_eq!(engine.volume_users().unwrap().len(), 1);
    engine.remove_volume("free").unwrap();
    assert_eq!(names(&engine), ["data"]);
}

#[test]
fn prune_takes_what_nobody_has() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    engine.create_volume(&request("free")).unwrap();
    let lost = engine.create_volume(&VolumeRequest::default()).unwrap();
    std::fs::write(lost.mountpoint.join("file"), [0; 100]).unwrap();
    container(&engine, 1, &[with_volume("data"), anonymous()]);
    let prune = |all| VolumePrune {
        all,
        fits: &|_| true,
    };
    let pruned = engine.prune_volumes(&prune(false)).unwrap();
    assert_eq!(pruned.removed, [lost.file.name]);
    assert_eq!(pruned.reclaimed_bytes, 100);
    let none = VolumePrune {
        all: true,
        fits: &|_| false,
    };
    assert!(engine.prune_volumes(&none).unwrap().removed.is_empty());
    let pruned = engine.prune_volumes(&prune(true)).unwrap();
    assert_eq!(pruned.removed, ["free".parse::<VolumeName>().unwrap()]);
    assert_eq!(names(&engine).len(), 2);
}

#[test]
fn a_container_that_cannot_be_read_may_have_any_volume() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    engine.create_volume(&request("free")).unwrap();
    let create = container(&engine, 1, &[]);
    std::fs::write(
        engine
            .store()
            .persistent_dir(&create.id)
            .join("create.json"),
        "",
    )
    .unwrap();
    let error = engine.remove_volume("free").unwrap_err();
    insta::assert_snapshot!(error, @r#"cannot remove volume free: the record of container c1 (010101010101) cannot be read, so that nobody knows which volumes it uses; remove that first with "berth rm -f c1""#);
    let prune = VolumePrune {
        all: true,
        fits: &|_| true,
    };
    assert!(engine.prune_volumes(&prune).is_err());
    assert_eq!(names(&engine), ["free"]);
}

#[test]
fn a_damaged_record_hides_no_other_volume() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    for name in ["torn", "newer", "good"] {
        engine.create_volume(&request(name)).unwrap();
    }
    let path = |name: &str| {
        engine
            .store()
            .root()
            .join("volumes")
            .join(name)
            .join("volume.json")
    };
    std::fs::write(path("torn"), "{").unwrap();
    std::fs::write(path("newer"), r#"{"version":99,"shape":0}"#).unwrap();
    assert_eq!(names(&engine), ["good"]);
    let unreadable = engine.unreadable_volumes().unwrap();
    assert_eq!(unreadable.len(), 2);
    assert_eq!(unreadable[0].1.class, ErrorClass::Unsupported);
    assert!(
        unreadable[1]
            .1
            .message
            .contains("the record of volume torn is damaged")
    );
    // It can still be removed.
    engine.remove_volume("torn").unwrap();
    engine.remove_volume("newer").unwrap();
    assert_eq!(names(&engine), ["good"]);
}

#[test]
fn a_container_that_is_being_made_has_its_volumes() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    engine.create_volume(&request("data")).unwrap();
    let id = ContainerId::from_bytes([7; 32]);
    let hidden = engine.store().hidden_dir(&id);
    std::fs::create_dir_all(&hidden).unwrap();
    let options = engine
        .resolve_mounts(&options(&[with_volume("data")]), &[])
        .unwrap();
    let text = serde_json::to_string(&record(&id, options)).unwrap();
    std::fs::write(hidden.join("create.json"), text).unwrap();
    let folder = std::fs::File::open(&hidden).unwrap();
    flock(&folder, FlockOperation::LockExclusive).unwrap();
    assert!(engine.remove_volume("data").is_err());
    // Its maker died: it never came to be.
    drop(folder);
    engine.remove_volume("data").unwrap();
}

#[test]
fn what_a_failed_create_made_goes_again() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    engine.create_volume(&request("old")).unwrap();
    let mut mounts = vec![with_volume("old"), with_volume("new"), anonymous()];
    if let MountRequest::Volume(volume) = &mut mounts[1] {
        volume.target = "/new".into();
    }
    let options = engine.resolve_mounts(&options(&mounts), &[]).unwrap();
    let create = record(&ContainerId::from_bytes([9; 32]), options);
    let made = engine.make_volumes(&create).unwrap();
    assert_eq!(names(&engine).len(), 3);
    drop(made);
    assert_eq!(entries(&engine), ["old"]);
}

#[test]
fn a_recovery_sweeps_what_is_half_made_and_half_removed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    engine.create_volume(&request("data")).unwrap();
    let volumes = engine.store().root().join("volumes");
    for folder in [".making-x/_data", ".removing-y-1-0/_data/deep"] {
        std::fs::create_dir_all(volumes.join(folder)).unwrap();
    }
    // A container that never came to be, with an anonymous volume.
    let id = ContainerId::from_bytes([8; 32]);
    let hidden = engine.store().hidden_dir(&id);
    std::fs::create_dir_all(&hidden).unwrap();
    let mounts = [anonymous(), with_volume("data")];
    let options = engine.resolve_mounts(&options(&mounts), &[]).unwrap();
    let create = record(&id, options);
    std::fs::write(
        hidden.join("create.json"),
        serde_json::to_string(&create).unwrap(),
    )
    .unwrap();
    engine.make_volumes(&create).unwrap().keep();
    assert_eq!(names(&engine).len(), 2);
    let recovered = engine.recover().unwrap();
    assert!(recovered.errors.is_empty(), "{:?}", recovered.errors);
    assert_eq!(entries(&engine), ["data"]);
    assert!(!hidden.exists());
}

#[test]
fn an_empty_volume_is_filled_once() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let image = dir.path().join("image");
    std::fs::create_dir_all(image.join("data")).unwrap();
    std::fs::write(image.join("data/file"), "image").unwrap();
    let create = |number: u8| {
        let options = engine
            .resolve_mounts(&options(&[with_volume("data")]), &[])
            .unwrap();
        record(&ContainerId::from_bytes([number; 32]), options)
    };
    engine.create_volume(&request("data")).unwrap();
    let fill = |number: u8, crash: bool| {
        let create = create(number);
        let made = engine.make_volumes(&create).unwrap();
        let mut filled = 0;
        for copy_up in made.copy_ups().unwrap() {
            assert_eq!(copy_up.target(), "/data");
            copy_up.begin().unwrap();
            let source = std::fs::File::open(image.join("data")).unwrap();
            let source = Stack::plain(source.into()).unwrap();
            let options = CopyOptions::default();
            copy(&source, Path::new("/"), copy_up.data(), &options).unwrap();
            filled += 1;
            if !crash {
                copy_up.finish().unwrap();
            }
        }
        made.keep();
        filled
    };
    let data = engine.store().root().join("volumes/data/_data");
    // Whoever fills it first dies: what is there is a part, and the next begins anew.
    assert_eq!(fill(1, true), 1);
    std::fs::write(data.join("part"), "").unwrap();
    assert!(data.with_file_name("filling").exists());
    assert_eq!(fill(2, false), 1);
    assert!(data.join("file").exists() && !data.join("part").exists());
    // It is not empty any more.
    std::fs::write(data.join("file"), "mine").unwrap();
    assert_eq!(fill(3, false), 0);
    assert_eq!(std::fs::read(data.join("file")).unwrap(), b"mine");
    assert!(!data.with_file_name("filling").exists());
}

/// Where another container has the empty volume, what it writes meanwhile is its own: a crash leaves
/// a part of the copy, and nobody takes that for worthless.
#[test]
fn a_volume_that_others_have_is_never_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    container(&engine, 1, &[with_volume("data")]);
    let options = engine
        .resolve_mounts(&options(&[with_volume("data")]), &[])
        .unwrap();
    let create = record(&ContainerId::from_bytes([2; 32]), options);
    let made = engine.make_volumes(&create).unwrap();
    let copy_ups = made.copy_ups().unwrap();
    copy_ups[0].begin().unwrap();
    let data = engine.volume("data").unwrap().mountpoint;
    std::fs::write(data.join("theirs"), "").unwrap();
    // Dies.
    drop(copy_ups);
    made.keep();
    engine.recover().unwrap();
    assert!(data.join("theirs").exists());
    assert!(!data.with_file_name("filling").exists());
}

#[test]
fn a_recovery_empties_what_was_half_filled() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let made = engine.create_volume(&request("data")).unwrap();
    std::fs::write(made.mountpoint.join("part"), "").unwrap();
    let marker = made.mountpoint.with_file_name("filling");
    std::fs::write(&marker, "").unwrap();
    let folder = std::fs::File::open(made.mountpoint.parent().unwrap()).unwrap();
    flock(folder.as_fd(), FlockOperation::LockExclusive).unwrap();
    engine.recover().unwrap();
    assert!(marker.exists(), "somebody is filling it");
    drop(folder);
    engine.recover().unwrap();
    assert!(!marker.exists() && !made.mountpoint.join("part").exists());
    assert!(made.mountpoint.exists());
}

/// A crash between the writing of the mark and its renaming.
#[test]
fn a_recovery_removes_a_mark_that_was_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let data = engine.create_volume(&request("data")).unwrap().mountpoint;
    // No process has the greatest number that a PID can be.
    let half = format!(".filling.{}.0", i32::MAX);
    std::fs::write(data.with_file_name(&half), "").unwrap();
    // What containers name so is theirs.
    std::fs::write(data.join(&half), "").unwrap();
    engine.recover().unwrap();
    assert!(!data.with_file_name(&half).exists());
    assert!(data.join(&half).exists());
}

#[test]
fn a_subpath_stays_in_its_volume() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let data = engine.create_volume(&request("data")).unwrap().mountpoint;
    std::fs::create_dir(data.join("in")).unwrap();
    std::os::unix::fs::symlink("in", data.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc", data.join("out")).unwrap();
    std::os::unix::fs::symlink("..", data.join("up")).unwrap();
    let make = |subpath: &str| -> Result<(), String> {
        let mount = MountRequest::Volume(VolumeMount {
            subpath: Some(subpath.into()),
            name: Some("data".parse().unwrap()),
            target: "/data".into(),
            ..VolumeMount::default()
        });
        let options = engine.resolve_mounts(&options(&[mount]), &[]).unwrap();
        let create = record(&ContainerId::from_bytes([3; 32]), options);
        let made = engine.make_volumes(&create).unwrap();
        made.copy_ups().map(|_| ()).map_err(|e| e.message)
    };
    assert_eq!(make("in"), Ok(()));
    assert_eq!(make("link"), Ok(()));
    let errors = ["out", "up", "nothing"].map(|subpath| make(subpath).unwrap_err());
    insta::assert_snapshot!(errors.join("\n"), @r#"
    cannot mount "out" of volume data: it leads out of the volume; name what lies inside
    cannot mount "up" of volume data: it leads out of the volume; name what lies inside
    cannot mount "nothing" of volume data: there is nothing; create it in the volume first
    "#);
}
