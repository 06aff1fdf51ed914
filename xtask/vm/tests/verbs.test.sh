# What a user to whom a part of cgroup v2 is delegated can do with it, and what one without is told.
# Runs as the user.

# of NAME FIELD: what inspect says.
of() {
    berth inspect --format "{{$2}}" "$1"
}

# file NAME FILE: what a file of the container's cgroup says.
file() {
    cat "$(of "$1" .Berth.Live.Cgroups.v2)/$2"
}

# counted NAME FILE KEY: the number behind a key in such a file.
counted() {
    file "$1" "$2" | sed -n "s/^$3 //p"
}

# is NAME FIELD VALUE
is() {
    [ "$(of "$1" "$2")" = "$3" ]
}

# has NAME FILE KEY: the number is not 0.
has() {
    [ "$(counted "$1" "$2" "$3")" -gt 0 ]
}

# told WORDS COMMAND...: the command fails with one line, besides warnings, that has these words in it.
told() {
    words=$1
    shift
    said=$("$@" 2>&1 > /dev/null) && fail "\"$*\" succeeds"
    said=$(echo "$said" | grep -v '^berth: warning')
    case $said in *"$words"*) ;; *) fail "\"$*\" says: $said" ;; esac
    same "lines of \"$*\"" 1 "$(echo "$said" | wc -l)"
}

test_rootless_verbs_limits_bite() {
    berth run -d --name l --cpus 0.1 --pids-limit 6 -m 64m --tmpfs /mnt host \
        sh -c 'dd if=/dev/zero of=/mnt/kept bs=1M count=16; while :; do :; done'
    soon "its file is whole" berth exec l sh -c '[ "$(stat -c %s /mnt/kept)" = 16777216 ]'
    soon "the processor is held back" has l cpu.stat nr_throttled
    berth exec l sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 100 & done' 2> /dev/null || true
    has l pids.events max || fail "the number of processes was never held back"
    berth update --pids-limit 20 --cpus 0.5 l > /dev/null
    same cpu.max "50000 100000" "$(file l cpu.max)"
    berth exec l sh -c 'for i in 1 2 3 4 5 6; do sleep 100 & done'
    [ "$(file l pids.current)" -gt 6 ] || fail "the higher limit holds nothing more"
    # What lies in a tmpfs cannot be dropped, and there is no swap.
    told "which are in use" berth update -m 8m l
    same memory.max 67108864 "$(file l memory.max)"
    berth restart -t 0 l > /dev/null
    same "after a restart" "20 67108864 50000 100000" \
        "$(file l pids.max) $(file l memory.max) $(file l cpu.max)"
}

test_rootless_verbs_oom_is_told() {
    berth run -d --name eater -m 32m --memory-swap 32m --restart on-failure:1 host \
        dd if=/dev/zero of=/dev/null bs=100M count=1
    soon "it gives up" is eater .State.Status exited
    # Its process may be gone before its end is on record.
    berth wait eater > /dev/null
    same inspect "1 true 137" "$(of eater .RestartCount) $(of eater .State.OOMKilled) $(of eater .State.ExitCode)"
    berth ps -a --filter name=eater --format '{{.Status}}' | grep -q '(137)' || fail "ps: $(berth ps -a)"
    same "events of the OOM killer" 2 "$(berth events --since 1m --until 0s --filter event=oom --filter container=eater | wc -l)"
    # One of a session, while the container goes on.
    berth run -d --name e -m 32m --memory-swap 32m host sleep 1000
    status_is 137 berth exec e dd if=/dev/zero of=/dev/null bs=100M count=1
    soon "it is told" is e .State.OOMKilled true
    same status running "$(of e .State.Status)"
}

test_rootless_verbs_usage_is_read() {
    berth run -d --name u -m 64m --pids-limit 30 host sh -c 'sleep 1000 & while :; do :; done'
    used() { berth stats --no-stream --format "$1" u; }
    # `run -d` returns when the shell runs, not when its child does.
    both() { [ "$(used '{{.MemUsage}} {{.PIDs}}' | sed 's/.*\/ //')" = "64MiB 2" ]; }
    soon "limit and processes" both
    case $(used '{{.CPUPerc}} {{.MemPerc}}') in
    "0.00% "* | *" 0.00%" | *--*) fail "no usage: $(used '{{.CPUPerc}} {{.MemPerc}}')" ;;
    esac
    berth top u | grep -q 'sleep 1000' || fail "top shows no process"
    berth ps --format '{{.Status}}' --filter name=u | grep -q '^Up' || fail "ps"
}

test_rootless_verbs_pause_holds() {
    berth run -d --name held host sh -c 'while :; do date +%s%N > /tmp/now; done'
    berth pause held > /dev/null
    same cgroup.freeze 1 "$(file held cgroup.freeze)"
    berth ps --format '{{.Status}}' | grep -q '(Paused)' || fail "ps: $(berth ps)"
    before=$(counted held cpu.stat usage_usec)
    usleep 200000
    same "processor time while paused" "$before" "$(counted held cpu.stat usage_usec)"
    # Limits change all the same.
    berth update --pids-limit 40 held > /dev/null
    same pids.max 40 "$(file held pids.max)"
    berth unpause held > /dev/null
    same status running "$(of held .State.Status)"
    berth pause held > /dev/null
    berth stop -t 0 held > /dev/null
    same status exited "$(of held .State.Status)"
    same events "pause unpause pause" "$(berth events --since 1m --until 0s --filter container=held \
        --filter event=pause --filter event=unpause --format '{{.Action}}' | paste -sd' ')"
}

test_rootless_verbs_probes_and_policies() {
    berth run -d --name h -m 64m --pids-limit 20 --stop-timeout 0 --health-cmd 'test ! -e /dev/shm/ill' \
        --health-interval 200ms --health-retries 1 --health-on-failure restart host sleep 1000
    soon "healthy" is h .State.Health.Status healthy
    # What is there ends with the run: no probe of the next one finds it.
    berth exec h touch /dev/shm/ill
    soon "a restart" is h .Berth.Runs 2
    soon "healthy again" is h .State.Health.Status healthy
    same limits "67108864 20" "$(file h memory.max) $(file h pids.max)"
    berth run -d --name r -m 64m --restart always host sh -c 'sleep 0.2; exit 3'
    soon "another restart" is r .RestartCount 2
    berth stop -t 0 r > /dev/null
    same status exited "$(of r .State.Status)"
}

# answers TEXT: who listens at the published port says this.
answers() {
    [ "$(wget -qO- http://127.0.0.1:8080/)" = "$1" ]
}

# The guest has no default route, without which pasta does not start: slirp4netns carries these.
test_rootless_verbs_a_port_is_reached() {
    for word in one two; do
        berth run -d --name web --network bridge -p 8080:80 --tmpfs /srv host \
            sh -c "echo $word > /srv/index.html; exec busybox httpd -f -p 80 -h /srv"
        soon "an answer" answers "$word"
        same port "80/tcp -> 0.0.0.0:8080" "$(berth port web)"
        told "8080" berth run --rm --network bridge -p 8080:80 host true
        berth restart -t 0 web > /dev/null
        soon "an answer after a restart" answers "$word"
        berth rm -f web > /dev/null
        if answers "$word"; then fail "who is removed answers"; fi
    done
}

test_rootless_verbs_what_networks_need_is_said() {
    told "publish a higher one" berth run --rm --network bridge -p 80:80 host true
    told "need root" berth network create blue
    told "that needs root" berth run --rm --network blue host true
    told "by \"berth run --network pasta\"" berth network inspect blue
    berth run -d --name a --network bridge host sleep 1000
    berth run -d --name b --network container:a host sleep 1000
    same "the same link" "$(berth exec a ip address show eth0)" "$(berth exec b ip address show eth0)"
    berth system doctor --json | grep -q '"/dev/net/tun"' || fail "the doctor says nothing of the device"
}

# Without delegation: no limit is passed over in silence, and nothing else fails.

test_undelegated_has_no_cgroup() {
    own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
    if mkdir "$own/probe" 2> /dev/null; then fail "$own is the user's"; fi
}

test_undelegated_is_told_of_limits() {
    for limit in "memory -m 64m" "pids --pids-limit 5" "cpu --cpus 0.5" "cpuset --cpuset-cpus 0"; do
        # shellcheck disable=SC2086 # the flag and its value
        told "the ${limit%% *} controller is" berth run --rm ${limit#* } host true
        told "Delegate=yes" berth run --rm ${limit#* } host true
    done
    berth run -d --name l host sleep 1000
    told "controller is" berth update -m 64m l
    told "none is delegated to this user" berth pause l
    same status running "$(of l .State.Status)"
}

# logged NAME TEXT: the container has written this, and nothing else, on one line each.
logged() {
    [ "$(berth logs "$1" | paste -sd' ')" = "$2" ]
}

test_undelegated_verbs_work() {
    berth run -d --name u --ulimit nofile=100 --shm-size 1m --health-cmd true \
        --health-interval 200ms host sh -c 'ulimit -n; exec sleep 1000'
    # `run -d` returns when the program runs, not when it has written.
    soon "its limit of files is told" logged u 100
    soon "healthy" is u .State.Health.Status healthy
    same exec hi "$(berth exec u echo hi)"
    same stats u "$(berth stats --no-stream --format '{{.Name}}' u)"
    berth top u | grep -q 'sleep 1000' || fail "top shows no process"
    berth ps --format '{{.Status}}' | grep -q '^Up .*(healthy)' || fail "ps: $(berth ps)"
    berth restart -t 0 u > /dev/null
    same OOMKilled false "$(of u .State.OOMKilled)"
    berth run -d --name r --restart on-failure:1 host sh -c 'echo run; exit 3'
    soon "it gives up" is r .State.Status exited
    berth wait r > /dev/null
    same "restarts, exit code, logs" "1 3 run run" \
        "$(of r .RestartCount) $(of r .State.ExitCode) $(berth logs r | paste -sd' ')"
    berth stop -t 0 u > /dev/null
    berth rm u r > /dev/null
    # Nobody runs here whom systemd-run could ask.
    case $(berth system doctor | grep -A 2 delegation) in
    *remedy:*chown*) ;;
    *) fail "the doctor says: $(berth system doctor | grep -A 2 delegation)" ;;
    esac
}
