# Limits on cgroup v2 with all controllers.

# cgroup_of NAME FILE: what a file of the container's cgroup says.
cgroup_of() {
    id=$(berth inspect --format '{{.Id}}' "$1")
    cat "/sys/fs/cgroup/berth/$id/$2"
}

test_limit_memory() {
    berth run -d --name m -m 64m host sleep 1000
    same memory.max 67108864 "$(cgroup_of m memory.max)"
}

test_limit_memory_ends_the_greedy() {
    status_is 137 berth run --name greedy -m 64m host dd if=/dev/zero of=/dev/null bs=200M count=1
    same OOMKilled true "$(berth inspect --format '{{.State.OOMKilled}}' greedy)"
}

test_limit_layer_is_charged() {
    status_is 137 berth run --rm -m 64m host dd if=/dev/zero of=/usr/filler bs=1M count=200
}

test_limit_pids() {
    berth run -d --name p --pids-limit 12 host sleep 1000
    same pids.max 12 "$(cgroup_of p pids.max)"
    berth exec p sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do sleep 100 & done' || true
    [ "$(cgroup_of p pids.current)" -le 12 ] || fail "more than 12 processes"
    [ "$(cgroup_of p pids.events | sed 's/max //')" -gt 0 ] || fail "the limit was never met"
}

test_limit_cpus() {
    berth run -d --name c --cpus 0.5 host sleep 1000
    same cpu.max "50000 100000" "$(cgroup_of c cpu.max)"
}

test_limit_usage_is_read() {
    berth run -d --name u -m 64m host sleep 1000
    berth stats --no-stream u | grep -q '64MiB' || fail "stats shows no limit"
}
