use super::*;

const V1_AND_V2: &str = "\
23 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

const OWN_V1_AND_V2: &str = "\
9:name=systemd:/user.slice
4:memory:/
1:cpu,cpuacct:/
0::/user.slice/a b.scope
";

#[test]
fn a_hybrid_host_has_both() {
    let found = Hierarchies::discover(V1_AND_V2, OWN_V1_AND_V2);
    assert!(found.is_hybrid());
    let v2 = found.v2.as_ref().unwrap();
    assert_eq!(v2.mount, Path::new("/sys/fs/cgroup/unified"));
    assert_eq!(v2.own_path().as_deref(), Some("/user.slice/a b.scope"));
    assert_eq!(v2.label(), "v2");
    let names: Vec<String> = found.v1.iter().map(Hierarchy::label).collect();
    assert_eq!(names, ["name=systemd", "memory", "cpu,cpuacct"]);
    assert_eq!(
        found.v1_of("cpuacct").unwrap().mount,
        Path::new("/sys/fs/cgroup/cpu,cpuacct")
    );
    assert!(found.v1_of("pids").is_none());
}

#[test]
fn pure_v2() {
    let mountinfo = "\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
";
    let found = Hierarchies::discover(mountinfo, "0::/user.slice/user-0.slice/session-1.scope\n");
    assert!(!found.is_hybrid());
    assert_eq!(found.v1, []);
    let v2 = found.v2.unwrap();
    assert_eq!(
        v2.directory("/berth/x"),
        Path::new("/sys/fs/cgroup/berth/x")
    );
    assert!(!v2.read_only);
}

#[test]
fn pure_v1_without_a_v2_mount() {
    let mountinfo = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    let found = Hierarchies::discover(mountinfo, "4:memory:/a\n0::/\n");
    assert!(found.v2.is_none());
    assert_eq!(found.v1.len(), 1);
}

#[test]
fn inside_a_container_the_root_field_counts() {
    // Docker on v1 without a cgroup namespace: the mount shows the container's own cgroup.
    let mountinfo = "\
500 499 0:32 /docker/abc /sys/fs/cgroup/memory ro,nosuid master:20 - cgroup cgroup rw,memory
501 499 0:33 /docker/abc /sys/fs/cgroup/pids rw,nosuid master:20 - cgroup cgroup rw,pids
";
    let own = "5:memory:/docker/abc\n4:pids:/docker/abc/sub\n";
    let found = Hierarchies::discover(mountinfo, own);
    let memory = found.v1_of("memory").unwrap();
    assert!(memory.read_only);
    assert_eq!(
        memory.own_directory().unwrap(),
        Path::new("/sys/fs/cgroup/memory")
    );
    let pids = found.v1_of("pids").unwrap();
    assert!(!pids.read_only);
    assert_eq!(
        pids.own_directory().unwrap(),
        Path::new("/sys/fs/cgroup/pids/sub")
    );
}

#[test]
fn a_cgroup_above_the_mount_has_no_directory() {
    let mountinfo = "30 22 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let v2 = Hierarchies::discover(mountinfo, "0::/\n").v2.unwrap();
    assert_eq!(v2.own_path(), None);
    let mountinfo = "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let v2 = Hierarchies::discover(mountinfo, "0::/../b\n").v2.unwrap();
    assert_eq!(v2.own_path(), None);
}

#[test]
fn of_two_mounts_the_writable_whole_and_visible_one_is_taken() {
    let mountinfo = "\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:26 / /a ro - cgroup2 cgroup2 rw
31 22 0:26 /deep /b rw - cgroup2 cgroup2 rw
32 22 0:26 / /c rw - cgroup2 cgroup2 rw
33 22 0:26 / /d/e rw - cgroup2 cgroup2 rw
34 22 0:40 / /d rw - tmpfs tmpfs rw
";
    let found = Hierarchies::discover(mountinfo, "0::/\n");
    assert_eq!(found.v2.unwrap().mount, Path::new("/c"));
}

#[test]
fn a_mount_stacked_on_another_covers_it() {
    let mountinfo = "\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
31 30 0:50 / /sys/fs/cgroup ro - tmpfs tmpfs ro
";
    assert!(Hierarchies::discover(mountinfo, "0::/\n").v2.is_none());
}

#[test]
fn a_tree_that_was_mounted_over_another_is_taken_whole() {
    // A second tmpfs over /sys/fs/cgroup, with the hierarchies of the first bound into it.
    let mountinfo = "\
47 46 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
48 47 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup ro,memory
66 47 0:42 / /sys/fs/cgroup rw - tmpfs tmpfs rw
67 66 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
";
    let found = Hierarchies::discover(mountinfo, "4:memory:/\n");
    assert_eq!(found.v1.len(), 1);
    assert!(!found.v1[0].read_only, "the one below is hidden");
}

#[test]
fn mount_points_are_unescaped() {
    let mountinfo = "30 22 0:26 / /my\\040cg\\134x rw - cgroup2 cgroup2 rw\n";
    let v2 = Hierarchies::discover(mountinfo, "0::/\n").v2.unwrap();
    assert_eq!(v2.mount, Path::new("/my cg\\x"));
}

#[test]
fn a_delegated_user_sees_its_own_path() {
    let mountinfo = "30 22 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    let own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope\n";
    let v2 = Hierarchies::discover(mountinfo, own).v2.unwrap();
    assert_eq!(
        v2.own_directory().unwrap(),
        Path::new("/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope")
    );
}

#[test]
fn nonsense_is_passed_over() {
    let found = Hierarchies::discover(
        "x y\n\n30 22\n - cgroup2\n1 2 3 4 5 - cgroup2\n",
        "\nzz\n0:\n",
    );
    assert_eq!(found, Hierarchies::default());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(mountinfo in "[ -~\n]{0,200}", own in "[ -~\n]{0,80}") {
        let found = Hierarchies::discover(&mountinfo, &own);
        proptest::prop_assert!(found.v1.len() <= own.lines().count());
    }
}
