# The user's own systemd: what the runtime's systemd driver needs of it. Runs as the user.

test_manager_answers_on_the_bus() {
    busctl --user call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
        org.freedesktop.systemd1.Manager GetUnit s app.slice | grep -q app_2eslice
}

test_manager_makes_scopes() {
    same memory.max 67108864 "$(systemd-run --user --quiet --scope --property=MemoryMax=64M sh -c \
        'cat /sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/memory.max')"
}

test_manager_has_controllers() {
    controllers=$(cat /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.controllers)
    for controller in cpu memory pids; do
        case " $controllers " in *" $controller "*) ;; *) fail "no $controller in $controllers" ;; esac
    done
}
