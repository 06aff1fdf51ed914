//! Devices of the Container Device Interface: hooks, files of YAML, what cannot be used, `--gpus`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::cli::Done;
use crate::rootless::UID;
use crate::support::World;
use crate::user::User;

/// Notes its point and what it is told, and does what the points allow.
const HOOK: &str = r#"#!/bin/sh
read -r state
echo "$1 $state" >>FOLDER/said
case $1 in
createContainer)
    bundle=$(echo "$state" | sed 's/.*"bundle":"\([^"]*\)".*/\1/')
    grep -q '"path":"rootfs"' "$bundle/config.json" || exit 3
    echo made >"$bundle/rootfs/by-hook"
    mount -t tmpfs none "$bundle/rootfs/mnt" && echo mounted >"$bundle/rootfs/mnt/by-hook" ;;
poststop)
    # Whose PID the test left here must have ended; a zombie has.
    for pid in $(cat FOLDER/pids); do
        ! grep -q '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$pid/status" || echo "$pid" >>FOLDER/alive
    done ;;
esac 2>/dev/null
[ "$1 FAILS" != "poststop slow" ] || sleep 16
case $1 in
FAILS) echo "no such thing"; exit 7 ;;
esac
"#;

const POINTS: [&str; 5] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "poststart",
    "poststop",
];

pub struct Cdi {
    pub world: World,
}

impl Cdi {
    /// An engine whose configuration names a folder of files.
    pub fn new() -> Self {
        let cdi = Self {
            world: World::new(),
        };
        for folder in ["cdi", "config/berth"] {
            fs::create_dir_all(cdi.path(folder)).unwrap();
        }
        let text = format!("cdi-spec-dirs = [{:?}]\n", cdi.path("cdi"));
        fs::write(cdi.path("config/berth/config.toml"), text).unwrap();
        cdi
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.world.berth.path(name)
    }

    /// Files whose one device, `test.com/thing=one`, has hooks; that of `fails` fails.
    pub fn hooks(&self, fails: &str) {
        let folder = self.path("").display().to_string();
        let hook = self.path("hook");
        let text = HOOK
            .replace("FOLDER", folder.trim_end_matches('/'))
            .replace("FAILS", fails);
        fs::write(&hook, text).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        let mut text = "cdiVersion: 0.3.0\nkind: test.com/thing\ndevices:\n- name: one\n  containerEdits:\n    hooks:\n".to_owned();
        for point in POINTS {
            text += &format!(
                "    - hookName: {point}\n      path: {}\n      args: [hook, {point}]\n      env: [PATH=/usr/sbin:/usr/bin:/sbin:/bin]\n",
                hook.display()
            );
        }
        // A program of the image, without the means to do harm.
        text += "    - hookName: startContainer\n      path: /bin/sh\n      args: [sh, -c, 'echo started >/tmp/by-hook']\n";
        fs::write(self.path("cdi/thing.yaml"), text).unwrap();
    }

    /// The points of which hooks have run, with the status that each was told.
    pub fn said(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("said")).unwrap_or_default();
        let line = |line: &str| {
            let (point, state) = line.split_once(' ').unwrap();
            let state: serde_json::Value = serde_json::from_str(state).unwrap();
            assert_eq!(state["id"].as_str().unwrap().len(), 64);
            assert_eq!(state["pid"].is_null(), point == "poststop", "{state}");
            format!("{point} {}", state["status"].as_str().unwrap())
        };
        text.lines().map(line).collect()
    }

    pub fn run(&self, words: &[&str]) -> Done {
        let mut command = self.world.berth.command(words);
        command.env("XDG_CONFIG_HOME", self.path("config"));
        let output = command.output().unwrap();
        Done {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn fails(&self, words: &[&str]) -> String {
        let done = self.run(words);
        assert_eq!(done.code, 125, "{done:?}");
        let folder = self.path("").display().to_string();
        done.err.trim_end().replace(&folder, "FOLDER/")
    }
}

pub const ONE: [&str; 3] = ["--device", "test.com/thing=one", "host"];

#[test]
fn hooks_run_at_their_points() {
    let cdi = Cdi::new();
    cdi.hooks("never");
    let script = "cat /by-hook /mnt/by-hook /tmp/by-hook; grep -c . /proc/self/mounts >/dev/null";
    let words = [&["run", "--name", "a"], &ONE[..], &["sh", "-c", script]].concat();
    let done = cdi.run(&words);
    assert_eq!(
        (done.code, done.out.as_str()),
        (0, "made\nmounted\nstarted\n"),
        "{done:?}"
    );
    let once = [
        "prestart creating",
        "createRuntime creating",
        "createContainer creating",
        "poststart running",
        "poststop stopped",
    ];
    assert_eq!(cdi.said(), once);
    // What a run mounted is gone with it, and the next has its hooks again.
    assert_eq!(
        cdi.run(&["start", "-a", "a"]).out,
        "made\nmounted\nstarted\n"
    );
    assert_eq!(cdi.said(), [once, once].concat());
    cdi.world.berth.ok(&["rm", "a"]);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&*cdi.path("").to_string_lossy()));
}

#[test]
fn hooks_see_the_host_where_namespaces_are_shared() {
    let cdi = Cdi::new();
    cdi.hooks("never");
    cdi.world.start("other", "--net none");
    for flags in [
        &["--pid", "container:other"][..],
        &["--userns", "private", "--init"],
    ] {
        let words = [&["run", "--rm"], flags, &ONE[..], &["true"]].concat();
        fs::write(cdi.path("said"), "").unwrap();
        let done = cdi.run(&words);
        // Root of a user namespace does not reach the host's folders.
        match flags[0] {
            "--userns" => assert!(done.err.contains("hooks.createContainer[0]"), "{done:?}"),
            _ => assert_eq!(done.code, 0, "{done:?}"),
        }
        assert!(cdi.said().starts_with(&["prestart creating".to_owned()]));
    }
}

#[test]
fn a_hook_that_fails_ends_the_start() {
    for point in POINTS {
        let cdi = Cdi::new();
        cdi.hooks(point);
        if point == "createContainer" {
            // The first pattern of that name is what the hook does otherwise.
            let text = fs::read_to_string(cdi.path("hook")).unwrap();
            fs::write(
                cdi.path("hook"),
                text.replacen("createContainer)", "other)", 1),
            )
            .unwrap();
        }
        let words = [&["run", "--name", "a"], &ONE[..], &["true"]].concat();
        let said = format!(
            "hooks.{point}[0]: the hook FOLDER/hook failed: it ended with exit code 7; it said: no such thing"
        );
        if point == "poststop" {
            // Nothing that has run is undone; it is told of.
            assert_eq!(cdi.run(&words).code, 0);
            let error = cdi.world.inspect("a", "{{.State.Error}}");
            let folder = cdi.path("").display().to_string();
            assert_eq!(error.replace(&folder, "FOLDER/"), said);
            continue;
        }
        let error = cdi.fails(&words);
        assert!(error.contains(&said), "{point}: {error}");
        let last = cdi.said().pop().unwrap();
        assert_eq!(last, "poststop stopped", "{point}");
    }
}

#[test]
fn what_cannot_be_used_is_said() {
    let cdi = Cdi::new();
    let thing = |text: &str| fs::write(cdi.path("cdi/thing.yaml"), text).unwrap();
    let gpus = cdi.fails(&["run", "--rm", "--gpus", "all", "host", "true"]);
    insta::assert_snapshot!(gpus, @r#"berth: cannot use the device nvidia.com/gpu=all: no file in FOLDER/cdi defines a device; its vendor's tool writes one, such as "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml""#);
    thing(
        "kind: test.com/thing\ncdiVersion: 0.5.0\ndevices:\n- name: one\n  containerEdits:\n    deviceNode: []\n",
    );
    let words = [&["run", "--rm"], &ONE[..], &["true"]].concat();
    insta::assert_snapshot!(cdi.fails(&words), @"berth: cannot use the device test.com/thing=one: no file in FOLDER/cdi defines a device; FOLDER/cdi/thing.yaml: line 6: devices[0].containerEdits.deviceNode: unknown field `deviceNode`, expected one of `env`, `deviceNodes`, `mounts`, `hooks`, `additionalGids`, `intelRdt`, `netDevices`");
    thing(
        "kind: test.com/thing\ncdiVersion: 0.7.0\ndevices:\n- name: oen\n  containerEdits: {intelRdt: {closID: gold}}\n",
    );
    insta::assert_snapshot!(cdi.fails(&words), @"berth: cannot use the device test.com/thing=one: FOLDER/cdi do not define it; did you mean test.com/thing=oen?");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    if !mounts.contains(" - resctrl ") {
        let words = [
            "run",
            "--rm",
            "--device",
            "test.com/thing=oen",
            "host",
            "true",
        ];
        insta::assert_snapshot!(cdi.fails(&words), @"berth: cannot set linux.intelRdt: resctrl is not mounted, or not supported by this machine; try mount -t resctrl resctrl /sys/fs/resctrl");
    }
}

#[test]
fn graphics_cards_are_cdis() {
    let cdi = Cdi::new();
    let devices = ["0", "1", "all", "GPU-7"].map(|name| {
        format!("- name: \"{name}\"\n  containerEdits:\n    env: [\"GPU_{}=yes\"]\n    deviceNodes: [{{path: /dev/gpu{name}, hostPath: /dev/null}}]\n", name.replace('-', "_"))
    });
    let text = format!(
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n{}",
        devices.concat()
    );
    fs::write(cdi.path("cdi/nvidia.yaml"), text).unwrap();
    for (gpus, nodes) in [
        ("all", "/dev/gpuall\n"),
        ("2", "/dev/gpu0\n/dev/gpu1\n"),
        ("\"device=1,GPU-7\"", "/dev/gpu1\n/dev/gpuGPU-7\n"),
    ] {
        let done = cdi.run(&[
            "run",
            "--rm",
            "--gpus",
            gpus,
            "host",
            "sh",
            "-c",
            "ls /dev/gpu*",
        ]);
        assert_eq!(done.out, nodes, "{done:?}");
    }
    let error = cdi.fails(&["run", "--rm", "--gpus", "3", "host", "true"]);
    insta::assert_snapshot!(error, @"berth: cannot use the device nvidia.com/gpu=2: FOLDER/cdi do not define it; did you mean nvidia.com/gpu=0?");
}

#[test]
fn a_user_without_root_has_a_folder_of_files_too() {
    let cdi = Cdi::new();
    let user = User::new(&cdi.world.berth, UID);
    cdi.hooks("never");
    let own = cdi.path("home/.config/cdi");
    fs::create_dir_all(&own).unwrap();
    fs::rename(cdi.path("cdi/thing.yaml"), own.join("thing.yaml")).unwrap();
    fs::write(cdi.path("said"), "").unwrap();
    fs::set_permissions(cdi.path("said"), fs::Permissions::from_mode(0o666)).unwrap();
    let line = "run --rm --tmpfs /tmp --device test.com/thing=one host true";
    let done = user.run_line(line);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(cdi.said().len(), POINTS.len());
    let done = user.run_line("run --rm --device test.com/thing=two host true");
    let err = String::from_utf8_lossy(&done.stderr);
    assert!(err.contains("did you mean test.com/thing=one?"), "{err}");
}
