# systemd as PID 1: what the runtime's systemd driver needs of it. Runs as root.

test_systemd_is_process_one() {
    same "PID 1" systemd "$(cat /proc/1/comm)"
    [ -d /run/systemd/system ] || fail "sd_booted(3) says no"
}

test_systemd_answers_on_the_bus() {
    busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
        org.freedesktop.systemd1.Manager GetUnit s guest-tests.service | grep -q guest_2dtests
}

test_systemd_makes_scopes() {
    same pids.max 17 "$(systemd-run --quiet --scope --property=TasksMax=17 sh -c \
        'cat /sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/pids.max')"
}

test_systemd_has_no_failed_unit() {
    same "failed units" "" "$(systemctl list-units --failed --plain --no-legend)"
}
