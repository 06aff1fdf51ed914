# Limits of a user to whom a part of cgroup v2 is delegated. Runs as the user.

# own NAME FILE: what a file of the container's cgroup says.
own() {
    cat "$(berth inspect --format '{{.Berth.Live.Cgroups.v2}}' "$1")/$2"
}

test_rootless_limits_are_set() {
    berth run -d --name l -m 64m --pids-limit 12 --cpus 0.5 host sleep 1000
    same memory.max 67108864 "$(own l memory.max)"
    same pids.max 12 "$(own l pids.max)"
    same cpu.max "50000 100000" "$(own l cpu.max)"
    berth update -m 128m --pids-limit 20 l
    same memory.max 134217728 "$(own l memory.max)"
    same pids.max 20 "$(own l pids.max)"
}

test_rootless_limits_kill_the_greedy() {
    status_is 137 berth run --name greedy -m 64m host dd if=/dev/zero of=/dev/null bs=200M count=1
    same OOMKilled true "$(berth inspect --format '{{.State.OOMKilled}}' greedy)"
}

test_rootless_limits_and_a_pause() {
    berth run -d --name p host sleep 1000
    berth pause p
    same status paused "$(berth inspect --format '{{.State.Status}}' p)"
    status_is 125 berth exec p true
    berth unpause p
    same output hi "$(berth exec p echo hi)"
    berth pause p
    berth rm -f p
}
