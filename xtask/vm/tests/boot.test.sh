# The guest itself: is it the host that the other tests count on?

test_boot_has_every_controller() {
    for controller in cpuset cpu io memory pids; do
        grep -qw "$controller" /sys/fs/cgroup/cgroup.subtree_control || fail "no $controller"
    done
}

test_boot_has_the_file_systems() {
    for name in overlay ext4 tmpfs devpts mqueue cgroup2; do
        grep -qw "$name" /proc/filesystems || fail "no $name"
    done
}

test_boot_has_namespaces_of_every_kind() {
    for kind in cgroup ipc mnt net pid time user uts; do
        [ -e "/proc/self/ns/$kind" ] || fail "no $kind namespace"
    done
}

test_boot_reaps_orphans() {
    orphan=$(sh -c 'sleep 0.1 > /dev/null & echo $!')
    soon "the orphan is reaped" [ ! -e "/proc/$orphan" ]
    ! grep -l '^State:.Z' /proc/[0-9]*/status || fail "zombies"
}
