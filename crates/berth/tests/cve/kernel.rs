//! The kernel's doors: sockets, mappings, cgroups, sysctls, and who may ask systemd for what.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use berth_testkit::{Runtime, mapped_ids};
use serde_json::{Value, json};

use crate::cli::{Berth, finish};
use crate::support::{oci, program};

/// Seen to fail without its guard: a socket with an abstract name in `keeper.rs`, in `oci/cli`.
/// Then: /proc/net/unix had `@berth-test`.
#[test]
fn cve_2020_15257_no_socket_has_an_abstract_name() {
    // In a network namespace with nobody else's sockets, the container's is the host's.
    let list = "cat /proc/net/unix; echo end";
    let runtime = oci();
    let bundle = runtime.bundle().without_namespace("network");
    let bundle = bundle
        .without("/mounts/5")
        .bind(&PathBuf::from("/sys"), "/sys", &["rbind", "ro"]);
    let bundle = bundle.sh(list);
    bundle.write();
    let folder = bundle.path().to_str().unwrap();
    let words = ["run", "--bundle", folder, "a"];
    let script = "exec unshare -n \"$@\"";
    let sockets = runtime.finish(&mut runtime.through_shell(script, &words));
    assert!(sockets.out.ends_with("end\n"), "{sockets:?}");
    assert!(!sockets.out.contains('@'), "{sockets:?}");

    let berth = Berth::new();
    let in_namespace = |arguments: &[&str]| {
        let inner = berth.command(arguments);
        let mut command = Command::new("unshare");
        command
            .arg("-n")
            .arg(inner.get_program())
            .args(inner.get_args());
        command.current_dir(berth.path(""));
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        finish(command.spawn().unwrap())
    };
    let keep = [
        "run", "-d", "--name", "a", "--net", "host", "host", "sleep", "1000",
    ];
    assert_eq!(in_namespace(&keep).code, 0);
    // The monitor listens, and serves this very session.
    let sockets = berth.ok(&["exec", "a", "sh", "-c", list]);
    assert!(sockets.contains("monitor.sock"), "{sockets}");
    assert!(!sockets.contains('@'), "{sockets}");
}

/// Seen to fail without its guard: the limit of lines in `spec/mapping.rs`, and the list cut at 200
/// (2: the kernel takes less than a page). Then: the container ran with a part of its mapping.
#[test]
fn cve_2021_43784_a_mapping_too_long_is_refused_whole() {
    let runtime = oci();
    // 65,536 bytes and some more of netlink payload, or of lines: a length of 16 bits says few.
    for entries in [341u32, 4000, 5000] {
        let list: Vec<Value> = (0..entries)
            .map(|id| json!({"containerID": id, "hostID": 100_000 + id * 2, "size": 1}))
            .collect();
        let bundle = runtime
            .bundle()
            .user_namespace(100_000)
            .set("/linux/uidMappings", list)
            .set("/linux/gidMappings", mapped_ids(100_000, 65_536));
        let said = runtime.run(&format!("a{entries}"), &bundle).refused();
        assert!(said.contains("map"), "{entries}: {said}");
    }
    runtime.assert_nothing_left();
}

/// The seccomp profile that a container gets when nobody asks for another.
fn default_profile() -> Value {
    let berth = Berth::new();
    let id = berth.ok(&["create", "host", "true"]);
    let mut open = vec![berth.path("root")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with(format!("{id}/spec.json")) {
                let spec: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
                return spec["linux"]["seccomp"].clone();
            }
        }
    }
    panic!("no spec.json of {id}");
}

/// Seen to fail without its guard: `Step::Seccomp` does nothing. Then: `unshare -Ur` worked.
#[test]
fn cve_2022_0492_no_hierarchy_is_mounted_anew() {
    let attack = "unshare -Ur true && echo user; \
                  unshare -Urm sh -c 'mount -t cgroup -o memory c /mnt && echo mounted'; \
                  unshare -m true && echo mounts; \
                  mount -t cgroup -o memory c /mnt && echo mounted; \
                  mount -t cgroup2 c /mnt && echo mounted; \
                  (echo /x > /sys/fs/cgroup/memory/release_agent) && echo agent; true";
    let runtime = oci();
    let bundle = runtime
        .bundle()
        .set("/linux/seccomp", default_profile())
        .sh(attack);
    assert_eq!(runtime.run("a", &bundle).ok().text(), "");

    let berth = Berth::new();
    let attack = "unshare -UrmC true 2>/dev/null && echo unshared; \
                  mount -t cgroup -o memory c /mnt 2>/dev/null && echo mounted; \
                  mount -o remount,rw /sys 2>/dev/null && echo remounted; \
                  umount /proc/kcore 2>/dev/null && echo unmasked; true";
    assert_eq!(berth.ok(&["run", "--rm", "host", "sh", "-c", attack]), "");
}

/// Seen to fail without its guard: `..` allowed in `spec/rules.rs`; the look at whose namespace it
/// is (2: spec and plan). Then: `net/../kernel/core_pattern` was set; the host's ip_forward was.
#[test]
fn cve_2022_0811_only_sysctls_of_own_namespaces_are_set() {
    let runtime = oci();
    // Values are those that the host has: what gets through by a defect changes nothing.
    let present = |file: &str| {
        let text = fs::read_to_string(format!("/proc/sys/{file}")).unwrap_or_default();
        text.trim().to_owned()
    };
    for (at, (key, file)) in [
        ("kernel.core_pattern", "kernel/core_pattern"),
        ("kernel/core_pattern", "kernel/core_pattern"),
        (
            "kernel.shm_rmid_forced=0+kernel.core_pattern",
            "kernel/core_pattern",
        ),
        ("kernel.shm/../core_pattern", "kernel/core_pattern"),
        ("kernel.shm...core_pattern", "kernel/core_pattern"),
        ("kernel.shmmni/../core_pattern", "kernel/core_pattern"),
        ("net...kernel.core_pattern", "kernel/core_pattern"),
        ("net/../kernel/core_pattern", "kernel/core_pattern"),
        ("net.ipv4/../../kernel/core_pattern", "kernel/core_pattern"),
        ("vm.overcommit_memory", "vm/overcommit_memory"),
        ("fs.suid_dumpable", "fs/suid_dumpable"),
        ("", "kernel/core_pattern"),
        ("net.", "net/ipv4/ip_forward"),
        (".net.ipv4.ip_forward", "net/ipv4/ip_forward"),
    ]
    .into_iter()
    .enumerate()
    {
        let setting = json!({key: present(file)});
        let bundle = runtime.bundle().set("/linux/sysctl", setting);
        drop(runtime.run(&format!("k{at}"), &bundle).refused());
    }
    // One setting in the value of another, as CRI-O passed them on.
    let value = format!("0+kernel.core_pattern={}", present("kernel/core_pattern"));
    let setting = json!({"kernel.shm_rmid_forced": value});
    let bundle = runtime.bundle().set("/linux/sysctl", setting);
    drop(runtime.run("value", &bundle).refused());
    // Namespaces that are the host's.
    for (key, file, namespace) in [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward", "network"),
        ("kernel.shmmni", "kernel/shmmni", "ipc"),
        ("fs.mqueue.msg_max", "fs/mqueue/msg_max", "ipc"),
        ("kernel.domainname", "kernel/domainname", "uts"),
    ] {
        let mut bundle = runtime
            .bundle()
            .without_namespace(namespace)
            .without("/hostname")
            .set("/linux/sysctl", json!({key: present(file)}));
        // What needs the namespace besides is not the matter here.
        let mounts = bundle.config["mounts"].as_array_mut().unwrap();
        mounts.retain(|m| m["type"] != "sysfs" && m["type"] != "mqueue");
        let said = runtime
            .run(&format!("n{at}", at = key.len()), &bundle)
            .refused();
        assert!(said.contains(key), "{said}");
    }
    runtime.assert_nothing_left();
}

/// Seen to fail without its guard: `ro` dropped in `plan/cgroupfs.rs`. Then: cgroups were made and
/// joined.
#[test]
fn cve_2023_25809_the_hosts_cgroups_cannot_be_written() {
    let attack = "cd /sys/fs/cgroup || exit 0
        for d in . */ */*/; do
            mkdir $d/evil && echo made $d/evil && rmdir $d/evil
            for f in cgroup.procs tasks cgroup.subtree_control release_agent notify_on_release; do
                test -e $d/$f && (echo 0 > $d/$f) && echo wrote $d/$f
            done
        done 2>/dev/null; true";
    let cgroups = |runtime: &Runtime, options: &[&str]| {
        runtime
            .bundle()
            .without_namespace("cgroup")
            .mount("cgroup", "cgroup", "/sys/fs/cgroup", options)
            .sh(attack)
    };
    let runtime = oci();
    let read_only = ["ro", "nosuid", "noexec", "nodev"];
    let done = runtime.run("root", &cgroups(&runtime, &read_only));
    assert_eq!(done.ok().out, "");
    let mapped = cgroups(&runtime, &read_only).user_namespace(100_000);
    assert_eq!(runtime.run("mapped", &mapped).ok().out, "");
    // The CVE's own case: an unprivileged caller, no `ro`, and the host's cgroup namespace.
    let rootless = Runtime::rootless(program(), 1000);
    for (id, options) in [("ro", &read_only[..]), ("rw", &["nosuid"])] {
        let done = rootless.run(id, &cgroups(&rootless, options));
        assert_eq!(done.ok().out, "", "{id}");
    }

    let berth = Berth::new();
    for namespace in ["host", "private"] {
        let run = [
            "run",
            "--rm",
            "--cgroupns",
            namespace,
            "host",
            "sh",
            "-c",
            attack,
        ];
        assert_eq!(berth.ok(&run), "");
    }
}

/// Seen to fail without its guard: ExecStartPre on the list in `cgroup/systemd/annotation.rs`.
/// Then: the order went on to systemd, which was not there to follow it.
#[test]
fn cve_2024_3154_annotations_are_no_orders_for_systemd() {
    let runtime = oci();
    let victim = runtime.path("victim");
    let order = format!("['/bin/touch {}']", victim.display());
    let bundle = runtime.bundle().set(
        "/annotations",
        json!({"org.systemd.property.ExecStartPre": order}),
    );
    // Without systemd nobody asks it anything: an annotation that nobody knows is ignored.
    drop(runtime.run("a", &bundle.sh("true")).ok());
    assert!(!victim.exists());
    let bundle = runtime
        .bundle()
        .set(
            "/annotations",
            json!({"org.systemd.property.ExecStartPre": order}),
        )
        .set("/linux/cgroupsPath", "system.slice:berth-test:a");
    // With it, a property that is not on the list is refused before anything is made.
    bundle.write();
    let folder = bundle.path().to_str().unwrap();
    let done = runtime.invoke(&["--systemd-cgroup", "run", "--bundle", folder, "b"]);
    let said = done.refused();
    assert!(said.contains("org.systemd.property.ExecStartPre"), "{said}");
    assert!(said.contains("may not set this property"), "{said}");
    assert!(!victim.exists());
    runtime.assert_nothing_left();
}
