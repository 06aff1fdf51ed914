//! Against a folder that looks like resctrl; no machine of ours has the real one.

use berth_testkit::covers;

use super::*;

fn fake() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let put = |file: &str, text: &str| {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("schemata", "    MB:0=100;1=100\n    L3:0=fff;1=fff\n");
    put("tasks", "");
    put("info/L3/cbm_mask", "fff\n");
    put("info/L3/min_cbm_bits", "1\n");
    put("info/L3/num_closids", "16\n");
    put("info/MB/bandwidth_gran", "10\n");
    put("info/MB/delay_linear", "1\n");
    put("info/MB/min_bandwidth", "10\n");
    put("info/MB/num_closids", "8\n");
    put(
        "info/L3_MON/mon_features",
        "llc_occupancy\nmbm_total_bytes\n",
    );
    put("info/last_cmd_status", "ok\n");
    put("mon_groups/.keep", "");
    put("shared/schemata", "    MB:0= 20;1= 70\n    L3:0=0f;1=f0\n");
    put("shared/tasks", "");
    put("shared/mon_groups/.keep", "");
    root
}

fn rdt(json: &str) -> LinuxIntelRdt {
    serde_json::from_str(json).unwrap()
}

fn prepare(root: &tempfile::TempDir, json: &str) -> Result<Group, ResctrlError> {
    Group::prepare(Some(root.path()), &rdt(json), "box")
}

fn read(root: &tempfile::TempDir, file: &str) -> String {
    fs::read_to_string(root.path().join(file)).unwrap()
}

/// runtime-spec config-linux IntelRdt: without closID the container's id names a group.
#[test]
fn a_group_of_its_own_is_made_filled_entered_and_removed() {
    covers!(
        "config-linux/rdt-clos-from-id",
        "config-linux/rdt-tasks",
        "config-linux/rdt-schemata-written",
        "config-linux/rdt-removed"
    );
    let root = fake();
    let group = prepare(
        &root,
        r#"{"l3CacheSchema": "L3:0=7f0;1=1f\nMB:0=5", "memBwSchema": "MB:0=20;1=70", "schemata": ["L2:0=f"]}"#,
    )
    .unwrap();
    // `schemata` last; a plain file keeps only that.
    assert_eq!(read(&root, "box/schemata"), "L2:0=f\n");
    let pid = HostPid::new(42).unwrap();
    group.enter(pid).unwrap();
    assert_eq!(read(&root, "box/tasks"), "42");
    let kept: Group = serde_json::from_str(&serde_json::to_string(&group).unwrap()).unwrap();
    for file in ["schemata", "tasks"] {
        fs::remove_file(root.path().join("box").join(file)).unwrap();
    }
    kept.remove().unwrap();
    assert!(!root.path().join("box").exists());
    kept.remove().unwrap();
}

#[test]
fn bandwidth_comes_from_its_own_field_where_both_are_set() {
    covers!("config-linux/rdt-schemas-written");
    let lines = |json| Wanted::of(&rdt(json)).unwrap();
    let both = lines(r#"{"l3CacheSchema": "L3:0=f\nMB:0=5", "memBwSchema": "MB:0=20"}"#);
    assert_eq!(both.shared, ["L3:0=f", "MB:0=20"]);
    let one = lines(r#"{"l3CacheSchema": "L3:0=f\nMB:0=5"}"#);
    assert_eq!(one.shared, ["L3:0=f", "MB:0=5"]);
    let root = fake();
    prepare(
        &root,
        r#"{"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20"}"#,
    )
    .unwrap();
    assert_eq!(read(&root, "box/schemata"), "L3:0=f\nMB:0=20\n");
}

#[test]
fn a_named_group_is_shared_compared_and_kept() {
    covers!(
        "config-linux/rdt-clos-compared",
        "config-linux/rdt-clos-preset",
        "config-linux/rdt-default-clos",
        "config-linux/rdt-schemata-unset",
        "config-linux/rdt-kept"
    );
    let root = fake();
    let before = read(&root, "shared/schemata");
    let group = prepare(
        &root,
        r#"{"closID": "shared", "l3CacheSchema": "L3:0=f;1=0F0"}"#,
    )
    .unwrap();
    assert_eq!(read(&root, "shared/schemata"), before);
    group.remove().unwrap();
    assert!(root.path().join("shared").is_dir());
    let refused = prepare(&root, r#"{"closID": "shared", "memBwSchema": "MB:0=30"}"#).unwrap_err();
    assert!(
        matches!(refused, ResctrlError::Mismatch { .. }),
        "{refused}"
    );
    let refused = prepare(&root, r#"{"closID": "shared", "l3CacheSchema": "L3:2=f"}"#).unwrap_err();
    assert!(
        matches!(refused, ResctrlError::Mismatch { .. }),
        "{refused}"
    );
    // Without schemata it has to be there, and is not written.
    prepare(&root, r#"{"closID": "shared"}"#).unwrap();
    let refused = prepare(&root, r#"{"closID": "absent"}"#).unwrap_err();
    assert!(matches!(refused, ResctrlError::NoGroup { .. }), "{refused}");
    assert!(!root.path().join("absent").exists());
    assert_eq!(read(&root, "shared/schemata"), before);
    // One of the container's name that was there before.
    fs::create_dir(root.path().join("box")).unwrap();
    prepare(&root, "{}").unwrap().remove().unwrap();
    assert!(root.path().join("box").is_dir());
    // The default group.
    let group = prepare(&root, r#"{"closID": "/"}"#).unwrap();
    group.enter(HostPid::new(7).unwrap()).unwrap();
    assert_eq!(read(&root, "tasks"), "7");
    group.remove().unwrap();
    assert!(root.path().is_dir());
}

#[test]
fn a_monitoring_group_is_the_container_s() {
    covers!("config-linux/rdt-monitoring");
    let root = fake();
    let group = prepare(&root, r#"{"closID": "shared", "enableMonitoring": true}"#).unwrap();
    let monitor = root.path().join("shared/mon_groups/box");
    assert!(monitor.is_dir());
    group.enter(HostPid::new(7).unwrap()).unwrap();
    assert_eq!(read(&root, "shared/mon_groups/box/tasks"), "7");
    fs::create_dir_all(monitor.join("mon_data/mon_L3_00")).unwrap();
    fs::write(monitor.join("mon_data/mon_L3_00/llc_occupancy"), "4096\n").unwrap();
    fs::write(monitor.join("mon_data/mon_L3_00/mbm_total_bytes"), "9\n").unwrap();
    let stats = serde_json::to_value(group.stats()).unwrap();
    assert_eq!(
        stats,
        serde_json::json!({
            "l3_cache_info": {"cbm_mask": "fff", "min_cbm_bits": 1, "num_closids": 16},
            "l3_cache_schema_root": "L3:0=fff;1=fff",
            "l3_cache_schema": "L3:0=0f;1=f0",
            "mem_bw_info": {"bandwidth_gran": 10, "delay_linear": 1, "min_bandwidth": 10, "num_closids": 8},
            "mem_bw_schema_root": "MB:0=100;1=100",
            "mem_bw_schema": "MB:0= 20;1= 70",
            "mbm_stats": [{"mbm_total_bytes": 9, "mbm_local_bytes": 0}],
            "cmt_stats": [{"llc_occupancy": 4096}]
        })
    );
    fs::remove_dir_all(&monitor).unwrap();
    group.remove().unwrap();
    assert!(root.path().join("shared").is_dir());
}

#[test]
fn what_the_machine_or_the_spec_lacks_is_an_error() {
    covers!(
        "config-linux/rdt-not-mounted",
        "config-linux/rdt-mem-bw-form",
        "config-linux/rdt-schemata-form"
    );
    let root = fake();
    let refused = Group::prepare(None, &rdt("{}"), "box").unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Unsupported);
    assert!(
        refused
            .to_string()
            .contains("not supported by this machine")
    );
    fs::remove_dir_all(root.path().join("info/L3_MON")).unwrap();
    let refused = prepare(&root, r#"{"enableMonitoring": true}"#).unwrap_err();
    assert!(matches!(refused, ResctrlError::NoMonitoring), "{refused}");
    assert!(!root.path().join("box").exists());
    for bad in [
        r#"{"closID": "../x"}"#,
        r#"{"closID": "a/b"}"#,
        r#"{"closID": "info"}"#,
        r#"{"memBwSchema": "L3:0=f"}"#,
        r#"{"memBwSchema": "MB:0=1\nL3:0=f"}"#,
        r#"{"l3CacheSchema": "nonsense"}"#,
        r#"{"schemata": ["L3:0=f;x"]}"#,
        r#"{"schemata": ["L3:0=f\nMB:0=5"]}"#,
    ] {
        let refused = prepare(&root, bad).unwrap_err();
        assert_eq!(refused.class(), ErrorClass::Invalid, "{bad}: {refused}");
    }
}

#[test]
fn a_named_group_with_schemas_is_made_where_it_is_missing() {
    covers!("config-linux/rdt-clos-made");
    let root = fake();
    let json = r#"{"closID": "new", "memBwSchema": "MB:0=20"}"#;
    let group = prepare(&root, json).unwrap();
    assert_eq!(read(&root, "new/schemata"), "MB:0=20\n");
    fs::remove_file(root.path().join("new/schemata")).unwrap();
    group.remove().unwrap();
    assert!(root.path().join("new").is_dir());
}

#[test]
fn the_mount_is_found() {
    let mountinfo = "\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
60 22 0:50 / /sys/fs/resctrl rw,relatime shared:7 - resctrl resctrl rw
";
    assert_eq!(
        mount_point(mountinfo).unwrap(),
        Path::new("/sys/fs/resctrl")
    );
    assert_eq!(mount_point("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"), None);
}
