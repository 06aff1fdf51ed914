# A container's life after its start: PIDs, exec, stop, kill, remove, and the loss of its monitor.

# gone NAME ID PID: nothing of a removed container is left.
gone() {
    [ ! -e "/proc/$3" ] || fail "process $3 of $1 is alive"
    [ -z "$(find /sys/fs/cgroup -type d -name "$2*")" ] || fail "a cgroup of $1 is left"
    [ -z "$(find /var/lib/berth/containers /run/berth/containers -name "$2*")" ] || fail "state of $1 is left"
}

parent_of() {
    sed -n 's/^PPid:\s*//p' "/proc/$1/status"
}

test_lifecycle_pid_both_ways() {
    berth run -d --name a host sleep 1000
    pid=$(berth pid a:1)
    same "innermost PID" 1 "$(sed -n 's/^NSpid:.*\s//p' "/proc/$pid/status")"
    same "the way back" a:1 "$(berth pid "$pid")"
    status_is 1 berth pid a:999
    status_is 1 berth pid 4000000
    berth map > /tmp/map
    grep -q sleep /tmp/map || fail "the map has no sleep"
    berth top a | grep -q "$pid" || fail "top does not show $pid"
}

test_lifecycle_exec() {
    berth run -d --name e host sleep 1000
    same output hi "$(berth exec e echo hi)"
    status_is 9 berth exec e sh -c 'exit 9'
    for kind in cgroup ipc mnt net pid time user uts; do
        same "$kind namespace" "$(readlink "/proc/$(berth pid e:1)/ns/$kind")" \
            "$(berth exec e readlink "/proc/self/ns/$kind")"
    done
}

# clean NAME: no process of the container is a zombie.
clean() {
    ! berth exec "$1" sh -c 'cat /proc/[0-9]*/stat' | grep -q ' Z '
}

# Its PID 1 is sleep, which reaps nothing.
test_lifecycle_exec_leaves_no_zombie() {
    berth run -d --name z host sleep 1000
    orphan=$(berth exec z sh -c 'sleep 0.2 > /dev/null 2>&1 & echo $!')
    for attempt in 1 2 3 4 5 6 7 8 9 10; do
        status_is 127 berth exec z no-such-program
    done
    soon "the orphan is reaped" berth exec z test ! -e "/proc/$orphan"
    soon "no zombies" clean z
}

# logged NAME TEXT: the container has written this, and nothing else.
logged() {
    [ "$(berth logs "$1")" = "$2" ]
}

test_lifecycle_stop_asks_first() {
    berth run -d --name polite host sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    soon "its trap" logged polite ready
    berth stop polite
    same ExitCode 5 "$(berth inspect --format '{{.State.ExitCode}}' polite)"
    berth stop polite
}

test_lifecycle_stop_insists() {
    id=$(berth run -d --name deaf host sleep 1000)
    pid=$(berth pid deaf:1)
    berth stop -t 1 deaf
    same ExitCode 137 "$(berth inspect --format '{{.State.ExitCode}}' deaf)"
    [ ! -e "/proc/$pid" ] || fail "$pid is alive"
    berth rm deaf
    gone deaf "$id" "$pid"
}

test_lifecycle_kill_and_wait() {
    berth run -d --name k host sleep 1000
    berth kill k
    same "what wait prints" 137 "$(berth wait k)"
}

test_lifecycle_remove_leaves_nothing() {
    id=$(berth run -d --name r host sleep 1000)
    pid=$(berth pid r:1)
    status_is 1 berth rm r
    berth rm -f r
    gone r "$id" "$pid"
}

test_lifecycle_logs() {
    berth run -d --name l host sh -c 'echo out; echo err >&2'
    berth wait l
    same lines "err out " "$(berth logs l 2>&1 | sort | tr '\n' ' ')"
}

test_lifecycle_stops_two_hundred() {
    id=$(berth run -d --name many host sh -c '
        trap "" TERM
        i=0
        while [ $i -lt 199 ]; do (sleep 1000 &); i=$((i + 1)); done
        sleep 1000')
    cgroup=$(find /sys/fs/cgroup/berth -type d -name "$id*" | head -n 1)
    soon "200 processes" sh -c "[ \$(cat /sys/fs/cgroup/berth/$id/cgroup.procs | wc -l) -ge 200 ]"
    pids=$(cat "$cgroup/cgroup.procs")
    berth stop -t 1 many
    for pid in $pids; do
        [ ! -e "/proc/$pid" ] || fail "$pid outlived stop"
    done
    berth rm many
}

test_lifecycle_survives_its_monitor() {
    berth run -d --name orphan host sh -c 'sleep 3; echo late; exit 9'
    monitor=$(parent_of "$(berth pid orphan:1)")
    kill -9 "$monitor"
    same "what wait prints" 9 "$(berth wait orphan)"
    same logs late "$(berth logs orphan)"
}

test_lifecycle_without_monitor_and_keeper() {
    id=$(berth run -d --name alone host sleep 1000)
    pid=$(berth pid alone:1)
    monitor=$(parent_of "$pid")
    keeper=$(parent_of "$monitor")
    kill -9 "$keeper" "$monitor"
    usleep 300000
    berth ps -q --no-trunc | grep -q "$id" || fail "ps does not list it"
    berth stop -t 1 alone
    [ ! -e "/proc/$pid" ] || fail "$pid outlived stop"
    berth rm alone
    gone alone "$id" "$pid"
}
