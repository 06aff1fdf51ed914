//! Files and what becomes of them.

use std::path::Path;

use super::*;

const FILE: &str = r#"{"cdiVersion": "0.7.0", "kind": "vendor.com/thing",
    "annotations": {"vendor.com/made-by": "a tool"},
    "devices": [
        {"name": "one", "annotations": {"note": "x"}, "containerEdits": {
            "env": ["ONE=1"],
            "deviceNodes": [{"path": "/dev/one", "hostPath": "/dev/null", "permissions": "r", "fileMode": 384, "uid": 7}],
            "mounts": [{"hostPath": "/etc", "containerPath": "/host-etc", "options": ["ro", "nosuid"]}],
            "additionalGids": [0, 44]}},
        {"name": "hooked", "containerEdits": {
            "hooks": [{"hookName": "createContainer", "path": "/bin/true", "args": ["true", "x"], "env": ["A=1"], "timeout": 3},
                      {"hookName": "poststop", "path": "/bin/true"}],
            "intelRdt": {"closID": "gold", "l3CacheSchema": "L3:0=f", "enableCMT": true}}}
    ],
    "containerEdits": {"env": ["ALL=1"]}}"#;

const YAML: &str = "---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
- name: 0
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      hostPath: /dev/null
      fileMode: 438
      permissions: rw
- name: all
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      type: c
      major: 195
      minor: 0
    - {path: /dev/shown, hostPath: /dev/zero, permissions: none}
containerEdits:
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  mounts:
  - hostPath: /usr/bin/env
    containerPath: /usr/bin/nvidia-smi
    options: [ro, nosuid, nodev, bind]
";

struct World {
    early: tempfile::TempDir,
    late: tempfile::TempDir,
}

impl World {
    fn new(early: &[(&str, &str)], late: &[(&str, &str)]) -> Self {
        let folder = |files: &[(&str, &str)]| {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in files {
                fs::write(folder.path().join(name), text).unwrap();
            }
            folder
        };
        Self {
            early: folder(early),
            late: folder(late),
        }
    }

    fn inject(&self, names: &[&str]) -> Result<Injected, String> {
        let mut injected = Injected::default();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let folders = [self.early.path(), self.late.path()].map(Path::to_owned);
        let user = ResolvedUser {
            uid: 1000,
            gid: 100,
            ..ResolvedUser::default()
        };
        match inject(&names, &folders, &user, &mut injected) {
            Ok(()) => Ok(injected),
            Err(error) => Err(error
                .message
                .replace(&self.early.path().display().to_string(), "EARLY")
                .replace(&self.late.path().display().to_string(), "LATE")),
        }
    }
}

/// What is said of a file when a device of another name is asked for.
fn unusable(name: &str, text: &str) -> String {
    let world = World::new(&[(name, text)], &[]);
    let error = world.inject(&["a.b/c=d"]).unwrap_err();
    let (_, why) = error.split_once("; EARLY/").unwrap_or(("", &error));
    why.to_owned()
}

#[test]
fn a_device_brings_what_its_file_says() {
    let world = World::new(
        &[("a.json", FILE), ("notes.txt", "x"), ("broken.json", "{")],
        &[],
    );
    let got = world
        .inject(&["vendor.com/thing=one", "vendor.com/thing=hooked"])
        .unwrap();
    assert_eq!(got.env, ["ALL=1", "ONE=1"]);
    assert_eq!(got.groups, [44]);
    let [grant] = got.devices.as_slice() else {
        panic!("{got:?}")
    };
    assert_eq!(
        (grant.device.path.as_str(), grant.access.as_str()),
        ("/dev/one", "r")
    );
    assert_eq!((grant.device.major, grant.device.minor), (1, 3));
    let owner = (grant.device.mode, grant.device.uid, grant.device.gid);
    assert_eq!(owner, (0o600, 7, 100));
    let [mount] = got.mounts.as_slice() else {
        panic!("{got:?}")
    };
    assert_eq!(
        serde_json::to_string(mount).unwrap(),
        r#"{"destination":"/host-etc","type":"bind","source":"/etc","options":["rbind","ro","nosuid"]}"#
    );
    assert_eq!(
        serde_json::to_string(&got.hooks).unwrap(),
        r#"{"createContainer":[{"path":"/bin/true","args":["true","x"],"env":["A=1"],"timeout":3}],"poststop":[{"path":"/bin/true"}]}"#
    );
    assert_eq!(
        serde_json::to_string(&got.intel_rdt).unwrap(),
        r#"{"closID":"gold","l3CacheSchema":"L3:0=f"}"#
    );
}

#[test]
fn yaml_as_nvidias_tool_writes_it() {
    let world = World::new(&[("n.yaml", YAML)], &[]);
    let got = world
        .inject(&["nvidia.com/gpu=0", "nvidia.com/gpu=all"])
        .unwrap();
    let nodes = got.devices.iter().map(|grant| {
        let device = &grant.device;
        (
            device.path.as_str(),
            device.major,
            device.minor,
            device.mode,
            grant.access.as_str(),
        )
    });
    assert_eq!(
        nodes.collect::<Vec<_>>(),
        [
            ("/dev/nvidia0", 1, 3, 0o666, "rw"),
            ("/dev/nvidia0", 195, 0, 0o666, "rwm"),
            ("/dev/shown", 1, 5, 0o666, ""),
        ]
    );
    assert_eq!(got.env, ["NVIDIA_VISIBLE_DEVICES=void"]);
    assert_eq!(got.mounts.len(), 1);
}

#[test]
fn the_later_folder_wins_and_two_files_of_one_do_not() {
    let other = FILE.replace("ONE=1", "ONE=2");
    let world = World::new(&[("a.json", FILE)], &[("z.yaml", &other)]);
    let got = world.inject(&["vendor.com/thing=one"]).unwrap();
    assert_eq!(got.env, ["ALL=1", "ONE=2"]);
    let world = World::new(&[("a.json", &other), ("b.json", &other)], &[]);
    insta::assert_snapshot!(world.inject(&["vendor.com/thing=one"]).unwrap_err(), @"cannot use the device vendor.com/thing=one: EARLY/a.json and EARLY/b.json all define it; leave it in one");
}

#[test]
fn a_device_that_is_not_there() {
    let world = World::new(&[("a.json", FILE)], &[]);
    insta::assert_snapshot!(world.inject(&["vendor.com/thing=on"]).unwrap_err(), @"cannot use the device vendor.com/thing=on: EARLY and LATE do not define it; did you mean vendor.com/thing=one?");
    insta::assert_snapshot!(world.inject(&["nvidia.com/gpu=0"]).unwrap_err(), @"cannot use the device nvidia.com/gpu=0: EARLY and LATE define vendor.com/thing=hooked, vendor.com/thing=one");
    let none = World::new(&[], &[]);
    insta::assert_snapshot!(none.inject(&["nvidia.com/gpu=all"]).unwrap_err(), @r#"cannot use the device nvidia.com/gpu=all: no file in EARLY and LATE defines a device; its vendor's tool writes one, such as "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml""#);
    let absent = FILE.replace("/dev/null", "/dev/none-such");
    let absent = World::new(&[("a.json", &absent)], &[]);
    insta::assert_snapshot!(absent.inject(&["vendor.com/thing=one"]).unwrap_err(), @r#"cannot use the device /dev/none-such: the host has none of that path; "ls /dev" and lsblk list them, as EARLY/a.json asks for it"#);
    for (from, to, said) in [
        (
            "\"/etc\"",
            "\"/none-such\"",
            "asks for /none-such, which this host does not have",
        ),
        (
            "/bin/true",
            "/bin/none-such",
            "asks for the hook /bin/none-such, which this host does not have",
        ),
        (
            "\"permissions\"",
            "\"type\": \"b\", \"permissions\"",
            "asks for /dev/null as a block device",
        ),
        (
            "\"permissions\"",
            "\"type\": \"p\", \"permissions\"",
            "asks for the FIFO /dev/one",
        ),
    ] {
        let world = World::new(&[("a.json", &FILE.replace(from, to))], &[]);
        let names = ["vendor.com/thing=one", "vendor.com/thing=hooked"];
        let error = world.inject(&names).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    let moved = FILE.replace("\"env\": [\"ONE=1\"]", "\"netDevices\": [{}]");
    let moved = World::new(&[("a.json", &moved.replace("0.7.0", "1.1.0"))], &[]);
    insta::assert_snapshot!(moved.inject(&["vendor.com/thing=one"]).unwrap_err(), @"cannot use the device vendor.com/thing=one: EARLY/a.json asks for network interfaces of the host, which berth does not move into containers");
}

#[test]
fn files_that_cannot_be_used() {
    insta::assert_snapshot!(unusable("a.yaml", "cdiVersion: 0.6.0\nkind: [a\n"), @"a.yaml: line 3: while parsing a flow sequence, expected ',' or ']'");
    insta::assert_snapshot!(unusable("a.yaml", &YAML.replace("fileMode: 438", "fileModes: 438")), @"a.yaml: line 10: devices[0].containerEdits.deviceNodes[0].fileModes: unknown field `fileModes`, expected one of `path`, `hostPath`, `type`, `major`, `minor`, `fileMode`, `permissions`, `uid`, `gid`");
    insta::assert_snapshot!(unusable("a.json", &FILE.replace("\"ONE=1\"", "1")), @"a.json: invalid type: integer `1`, expected a string at line 5 column 21");
}

#[test]
fn fields_that_make_no_sense() {
    for (from, to, said) in [
        (
            "\"0.7.0\"",
            "\"2.0.0\"",
            "cdiVersion 2.0.0 is not known; berth reads up to 1.1, newer files need a newer berth",
        ),
        (
            "\"0.7.0\"",
            "\"x\"",
            "cdiVersion \"x\" is no version such as 0.6.0",
        ),
        (
            "\"0.7.0\"",
            "\"0.6.0\"",
            "cdiVersion is 0.6.0, but intelRdt came with 0.7.0",
        ),
        (
            "vendor.com/thing",
            "thing",
            "the kind \"thing\" is no vendor/class such as vendor.com/gpu",
        ),
        (
            "vendor.com/thing",
            "1x/thing",
            "the kind \"1x/thing\" is no vendor/class such as vendor.com/gpu",
        ),
        (
            "\"one\"",
            "\"-one\"",
            "device \"-one\": the name has letters",
        ),
        (
            "\"one\"",
            "\"hooked\"",
            "device \"hooked\": it is there twice",
        ),
        ("ALL=1", "ALL", "\"ALL\" of env is no NAME=VALUE"),
        (
            "\"r\"",
            "\"rx\"",
            "device \"one\": the device node /dev/one has the permissions \"rx\"",
        ),
        (
            "\"timeout\": 3",
            "\"timeout\": 0",
            "the timeout of the hook /bin/true is not above zero",
        ),
        (
            "\"createContainer\"",
            "\"later\"",
            "unknown variant `later`, expected one of `prestart`",
        ),
        (
            "\"/bin/true\"",
            "\"true\"",
            "the path true of a hook is not absolute",
        ),
        (
            "vendor.com/made-by",
            "vendor.com/",
            "the annotation \"vendor.com/\" is no name",
        ),
    ] {
        let why = unusable("a.json", &FILE.replace(from, to));
        assert!(why.contains(said), "{to}: {why}");
    }
    let empty = r#"{"cdiVersion": "0.5.0", "kind": "a.b/c", "devices": []}"#;
    assert_eq!(unusable("a.json", empty), "a.json: it has no device");
}

#[test]
fn names() {
    for name in [
        "vendor.com/net=eth0",
        "a/b=c",
        "nvidia.com/gpu=GPU-1:2.0",
        "v_1.x/c-l=0",
    ] {
        assert!(is_cdi_name(name), "{name}");
    }
    for bad in [
        "", "a=b", "a/b", "a/b=", "1a/b=c", "a/b=c/d", "a b/c=d", "-a/b=c", "a/b-=c",
    ] {
        assert!(!is_cdi_name(bad), "{bad}");
    }
}
