//! Device files, and the rules for using them.

use berth_testkit::{CgroupParent, covers};
use serde_json::json;

use crate::{output_of, refused, runtime};

#[test]
fn default_devices_are_there_and_work() {
    covers!(
        "config-linux/default-device-null",
        "config-linux/default-device-zero",
        "config-linux/default-device-full",
        "config-linux/default-device-random",
        "config-linux/default-device-urandom",
        "config-linux/default-device-tty",
        "config-linux/default-device-ptmx",
    );
    let said = output_of(|b| {
        b.sh(
            "for d in null zero full random urandom tty; do stat -c '%n %t:%T %a' /dev/$d; done; \
              echo x > /dev/null; head -c 4 /dev/zero | od -An -tx1; \
              echo x 2>&1 > /dev/full | cut -c 1-2; head -c 8 /dev/random | wc -c; \
              head -c 8 /dev/urandom | wc -c; readlink /dev/ptmx || stat -c %t:%T /dev/ptmx",
        )
    });
    for device in [
        "null 1:3",
        "zero 1:5",
        "full 1:7",
        "random 1:8",
        "urandom 1:9",
        "tty 5:0",
    ] {
        assert!(
            said.contains(&format!("/dev/{device} 666\n")),
            "{device}: {said}"
        );
    }
    assert!(said.contains(" 00 00 00 00\n"), "{said}");
    assert_eq!(
        said.matches("\n8\n").count() + usize::from(said.contains("8\n8\n")),
        2,
        "{said}"
    );
    assert!(
        said.ends_with("pts/ptmx\n") || said.ends_with("5:2\n"),
        "{said}"
    );
}

#[test]
fn listed_devices_are_made() {
    covers!("config-linux/device-available");
    let said = output_of(|b| {
        b.set(
            "/linux/devices",
            json!([
                {"type": "c", "path": "/dev/my/kmsg", "major": 1, "minor": 11,
                 "fileMode": 0o640, "uid": 5, "gid": 6},
                {"type": "b", "path": "/dev/loopy", "major": 7, "minor": 0, "fileMode": 0o600},
                {"type": "p", "path": "/dev/pipe", "fileMode": 0o622},
                {"type": "u", "path": "/opt/zero", "major": 1, "minor": 5},
            ]),
        )
        .sh("stat -c '%F %t:%T %a %u:%g' /dev/my/kmsg /dev/loopy /dev/pipe /opt/zero")
    });
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "character special file 1:b 640 5:6");
    assert_eq!(lines[1], "block special file 7:0 600 0:0");
    assert_eq!(lines[2], "fifo 0:0 622 0:0");
    assert!(
        lines[3].starts_with("character special file 1:5 "),
        "{said}"
    );
}

#[test]
fn a_device_that_lacks_its_parts_is_refused() {
    covers!("config-linux/device-required");
    for device in [
        json!({"path": "/dev/x", "major": 1, "minor": 3}),
        json!({"type": "c", "major": 1, "minor": 3}),
        json!({"type": "c", "path": "/dev/x", "minor": 3}),
        json!({"type": "b", "path": "/dev/x", "major": 7}),
        json!({"type": "z", "path": "/dev/x", "major": 1, "minor": 3}),
    ] {
        refused("linux.devices", |b| b.push("/linux/devices", device));
    }
}

#[test]
fn another_file_in_a_devices_place_is_refused() {
    covers!("config-linux/device-mismatch");
    refused("linux.devices", |b| {
        std::fs::write(b.rootfs().join("opt-file"), "x").unwrap();
        b.push(
            "/linux/devices",
            json!({"type": "c", "path": "/opt-file", "major": 1, "minor": 3}),
        )
    });
}

#[test]
fn a_device_that_is_there_already_is_taken() {
    let said = output_of(|b| {
        let path = b.rootfs().join("null");
        let made = std::process::Command::new("mknod")
            .args([path.to_str().unwrap(), "c", "1", "3"])
            .status();
        assert!(made.unwrap().success());
        b.push(
            "/linux/devices",
            json!({"type": "c", "path": "/null", "major": 1, "minor": 3}),
        )
        .sh("echo x > /null; stat -c %t:%T /null")
    });
    assert_eq!(said, "1:3\n");
}

/// What a container with these rules can do with two devices that it has: memory's zero and full
/// are default devices and always allowed, so these are kmsg (1:11) and loop-control (10:237).
fn access(rules: serde_json::Value) -> String {
    output_of(|b| {
        b.all_capabilities()
            .set("/process/noNewPrivileges", false)
            .set(
                "/linux/devices",
                json!([{"type": "c", "path": "/dev/kmsg", "major": 1, "minor": 11},
                       {"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229}]),
            )
            .set("/linux/resources/devices", rules)
            .sh("for d in kmsg fuse; do \
                   (exec 3< /dev/$d) 2>/dev/null && echo $d reads; \
                   (exec 3>> /dev/$d) 2>/dev/null && echo $d writes; done; \
                 (exec 3< /dev/null) && echo null")
    })
}

#[test]
fn rules_apply_in_order() {
    covers!("config-linux/device-rules-in-order");
    let deny = json!({"allow": false, "access": "rwm"});
    let kmsg = |access: &str| json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": access});
    assert_eq!(access(json!([deny])), "null\n");
    assert_eq!(access(json!([deny, kmsg("r")])), "kmsg reads\nnull\n");
    assert_eq!(
        access(json!([deny, kmsg("rwm")])),
        "kmsg reads\nkmsg writes\nnull\n"
    );
    assert_eq!(access(json!([kmsg("rwm"), deny])), "null\n");
    let fuse = json!({"allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm"});
    let all = json!({"allow": true, "access": "rwm"});
    assert_eq!(
        access(json!([all, fuse])),
        "kmsg reads\nkmsg writes\nnull\n"
    );
    assert_eq!(
        access(json!([fuse, all])),
        "kmsg reads\nkmsg writes\nfuse reads\nfuse writes\nnull\n"
    );
}

#[test]
fn without_rules_only_listed_devices_work() {
    let said = output_of(|b| {
        b.without("/linux/resources").all_capabilities().sh(
            "mknod /tmp/kmsg c 1 11 && (exec 3< /tmp/kmsg) 2>/dev/null && echo reads; \
                 (exec 3< /dev/null) && echo null",
        )
    });
    assert_eq!(said, "null\n");
}

#[test]
fn a_rule_without_allow_or_of_no_kind_is_refused() {
    covers!("config-linux/device-rule-allow-required");
    for rule in [
        json!({"access": "rwm"}),
        json!({"allow": true, "type": "x", "access": "rwm"}),
        json!({"allow": true, "access": "rwx"}),
    ] {
        refused("linux.resources.devices", |b| {
            b.push("/linux/resources/devices", rule)
        });
    }
}

#[test]
fn rules_are_in_place_before_the_program_runs() {
    let runtime = runtime();
    let bundle = runtime.bundle();
    let path = bundle.config["linux"]["cgroupsPath"]
        .as_str()
        .unwrap()
        .to_owned();
    let container = runtime.created("one", &bundle);
    if let Some(folder) = CgroupParent::folder("devices", &path) {
        let list = std::fs::read_to_string(folder.join("devices.list")).unwrap();
        assert!(!list.contains("a *:*"), "{list}");
        assert!(list.contains("c 1:3 "), "{list}");
    }
    container.end();
}
