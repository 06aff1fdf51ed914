# The guest as the user sees it, and containers of the user. Runs as the user.

test_rootless_is_without_privilege() {
    same uid 1000 "$(id -u)"
    same CapEff 0000000000000000 "$(sed -n 's/^CapEff:\s*//p' /proc/self/status)"
}

# mapped: the process of test_rootless_maps_a_range is in its user namespace.
mapped() {
    [ "$(readlink "/proc/$child/ns/user")" != "$(readlink /proc/self/ns/user)" ]
}

test_rootless_maps_a_range() {
    unshare -U sleep 1000 &
    child=$!
    soon "a user namespace" mapped
    newuidmap "$child" 0 1000 1 1 100000 65535
    newgidmap "$child" 0 1000 1 1 100000 65535
    same uid_map "0 1000 1 1 100000 65535" "$(tr -s ' \n' ' ' < "/proc/$child/uid_map" | sed 's/^ //; s/ $//')"
    kill "$child"
}

test_rootless_may_make_cgroups() {
    own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
    mkdir "$own/probe"
    sleep 1000 &
    child=$!
    echo "$child" > "$own/probe/cgroup.procs"
    same "cgroup of the child" "${own#/sys/fs/cgroup}/probe" "$(sed -n 's/^0:://p' "/proc/$child/cgroup")"
    kill "$child"
    wait "$child" || true
    rmdir "$own/probe"
}

test_rootless_runs() {
    same uid 0 "$(berth run --rm host id -u)"
    status_is 7 berth run --rm host sh -c 'exit 7'
}

test_rootless_lives() {
    berth run -d --name r host sleep 1000
    same output hi "$(berth exec r echo hi)"
    berth stop -t 1 r
    berth rm r
}
