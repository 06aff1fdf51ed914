//! From requests to mounts.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use berth_base::state::{ANONYMOUS_LABEL, VolumeFile, VolumeName};
use berth_base::{ContainerId, ErrorClass};

use super::super::create::new_file;
use super::super::resolve::{Lookups, resolve};
use crate::EngineError;
use crate::options::{MountOrigin, MountRequest, VolumeBacking, VolumeMount};

/// A world with the container `web`, and volumes with these options.
#[derive(Default)]
struct World {
    web: Vec<MountRequest>,
    volumes: BTreeMap<&'static str, BTreeMap<String, String>>,
    drawn: Cell<u8>,
}

impl Lookups for World {
    fn mounts_of(&self, container: &str) -> Result<Vec<MountRequest>, EngineError> {
        match container {
            "web" => Ok(self.web.clone()),
            "empty" => Ok(Vec::new()),
            other => Err(EngineError::new(ErrorClass::NotFound, other)),
        }
    }

    fn volume(&self, name: &VolumeName) -> Result<Option<VolumeFile>, EngineError> {
        let options = self.volumes.get(name.as_str());
        Ok(options.map(|options| new_file(name.clone(), BTreeMap::new(), options.clone())))
    }

    fn draw(&self) -> Result<VolumeName, EngineError> {
        self.drawn.set(self.drawn.get() + 1);
        Ok(VolumeName::from_id(&ContainerId::from_bytes(
            [self.drawn.get(); 32],
        )))
    }

    fn folder(&self, name: &VolumeName) -> PathBuf {
        PathBuf::from(format!("/v/{name}/_data"))
    }
}

fn named(name: &str, target: &str) -> VolumeMount {
    VolumeMount {
        name: Some(name.parse().unwrap()),
        target: target.into(),
        ..VolumeMount::default()
    }
}

fn anonymous(target: &str) -> MountRequest {
    MountRequest::Volume(VolumeMount {
        target: target.into(),
        ..VolumeMount::default()
    })
}

fn bind(source: &str, target: &str) -> MountRequest {
    MountRequest::Bind {
        source: source.into(),
        target: target.into(),
        read_only: false,
        writable_below: false,
        options: vec![],
        create_source: false,
        origin: MountOrigin::User,
    }
}

fn from(container: &str, read_only: bool) -> MountRequest {
    MountRequest::From {
        container: container.into(),
        read_only,
    }
}

/// The mounts, one a line: `volume NAME TARGET ro origin`.
fn lines(world: &World, requests: &[MountRequest], image: &[&str]) -> String {
    let image: Vec<String> = image.iter().map(|path| (*path).to_owned()).collect();
    let mounts = resolve(requests, &image, world).unwrap();
    let line = |mount: &MountRequest| match mount {
        MountRequest::Bind {
            source,
            target,
            read_only,
            origin,
            ..
        } => {
            format!("bind {} {target} {read_only} {origin:?}", source.display())
        }
        MountRequest::Volume(volume) => {
            let name = volume.name.as_ref().unwrap().as_str();
            let name = name.get(..4).unwrap_or(name);
            let (ro, origin) = (volume.read_only, volume.origin);
            format!("volume {name} {} {ro} {origin:?}", volume.target)
        }
        MountRequest::Tmpfs { target, .. } => format!("tmpfs {target}"),
        MountRequest::From { container, .. } => format!("from {container}"),
    };
    mounts.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_the_user_asks_for_goes_over_the_image_and_other_containers() {
    let world = World {
        web: vec![
            from("older", false),
            bind("/srv", "/srv"),
            MountRequest::Volume(named("data", "/data")),
            MountRequest::Volume(VolumeMount {
                read_only: true,
                ..named("conf", "/conf/")
            }),
            MountRequest::Tmpfs {
                target: "/tmp".into(),
                options: vec![],
            },
        ],
        ..World::default()
    };
    let requests = [
        from("web", false),
        MountRequest::Volume(named("mine", "//data/.")),
        anonymous("/cache"),
    ];
    insta::assert_snapshot!(lines(&world, &requests, &["/data", "/cache/", "/srv", "/new"]), @r"
    from web
    volume conf /conf/ true Container
    bind /srv /srv false Container
    volume mine //data/. false User
    volume 0101 /cache false User
    volume 0202 /new false Image
    ");
    insta::assert_snapshot!(lines(&world, &[from("empty", false), from("web", true)], &[]), @r"
    from empty
    from web
    volume conf /conf/ true Container
    volume data /data true Container
    bind /srv /srv true Container
    ");
}

#[test]
fn an_anonymous_volume_is_marked() {
    let mounts = resolve(&[anonymous("/a")], &["/b".to_owned()], &World::default()).unwrap();
    for mount in mounts {
        let MountRequest::Volume(volume) = mount else {
            panic!("{mount:?}");
        };
        let name = volume.name.unwrap();
        assert!(volume.anonymous);
        assert!(volume.labels.contains_key(ANONYMOUS_LABEL));
        assert_eq!(name.as_str().len(), 64);
        let folder = VolumeBacking::Folder {
            path: format!("/v/{name}/_data").into(),
            options: vec![],
        };
        assert_eq!(volume.backing, Some(folder));
    }
}

#[test]
fn a_volume_that_exists_is_what_it_is() {
    let options = [("type".to_owned(), "tmpfs".to_owned())].into();
    let world = World {
        volumes: [("mem", options)].into(),
        ..World::default()
    };
    let mounts = resolve(&[MountRequest::Volume(named("mem", "/a"))], &[], &world).unwrap();
    let [MountRequest::Volume(volume)] = mounts.as_slice() else {
        panic!("{mounts:?}");
    };
    assert_eq!(
        volume.backing,
        Some(VolumeBacking::Memory { options: vec![] })
    );
    assert_eq!(volume.driver_options.len(), 1);
}

#[test]
fn what_cannot_be_is_said() {
    let options = [("type".to_owned(), "tmpfs".to_owned())].into();
    let world = World {
        volumes: [("mem", options)].into(),
        ..World::default()
    };
    let error = |requests: &[MountRequest], image: &[String]| {
        resolve(requests, image, &world).unwrap_err().message
    };
    let with = |volume: VolumeMount| error(&[MountRequest::Volume(volume)], &[]);
    let subpath = |path: &str| {
        with(VolumeMount {
            subpath: Some(path.into()),
            ..named("v", "/a")
        })
    };
    let messages = [
        error(&[bind("/a", "/x"), anonymous("/x/")], &[]),
        error(&[anonymous("x")], &[]),
        error(&[anonymous("/proc/sys")], &[]),
        error(&[], &["/".to_owned()]),
        error(&[from("nosuch", false)], &[]),
        subpath(""),
        subpath("/a"),
        subpath("a/../../b"),
        with(VolumeMount {
            subpath: Some("a".into()),
            ..named("mem", "/a")
        }),
        with(VolumeMount {
            driver_options: [("type".to_owned(), "none".to_owned())].into(),
            ..named("mem", "/a")
        }),
        with(VolumeMount {
            driver_options: [("size".to_owned(), "1".to_owned())].into(),
            ..named("v", "/a")
        }),
    ];
    insta::assert_snapshot!(messages.join("\n"), @r#"
    two mounts have the target /x; remove one of them
    the mount target "x" is not an absolute path below /; write one such as /data
    cannot mount over /proc/sys: the isolation of the container depends on it; choose another target
    the mount target "/" is not an absolute path below /; write one such as /data
    nosuch
    invalid volume-subpath "" of volume v: it is a path below the volume, without .., such as logs/web
    invalid volume-subpath "/a" of volume v: it is a path below the volume, without .., such as logs/web
    invalid volume-subpath "a/../../b" of volume v: it is a path below the volume, without .., such as logs/web
    invalid volume-subpath "a" of volume mem: the volume is a tmpfs, which begins empty
    volume mem exists with other options; leave them out to use it as it is, or choose another name
    unknown volume option "size"; the driver local knows type, device and o
    "#);
}
