# A container starts: its command, its namespaces, its root, its defaults.

test_start_prints() {
    same output hello "$(berth run --rm host echo hello)"
}

test_start_keeps_streams_apart() {
    berth run --rm host sh -c 'echo out; echo err >&2' > /tmp/out 2> /tmp/err
    same stdout out "$(cat /tmp/out)"
    same stderr err "$(cat /tmp/err)"
}

test_start_reads_standard_input() {
    same output "3 lines" "$(printf 'a\nb\nc\n' | berth run --rm -i host sh -c 'echo $(wc -l) lines')"
}

test_start_exit_codes() {
    status_is 0 berth run --rm host true
    status_is 7 berth run --rm host sh -c 'exit 7'
    status_is 127 berth run --rm host no-such-program
    status_is 126 berth run --rm host /etc/passwd
    status_is 137 berth run --rm --init host sh -c 'kill -9 $$'
    status_is 125 berth run --rm no-such-image true
}

test_start_is_process_one() {
    same PID 1 "$(berth run --rm host sh -c 'echo $$')"
    same "PID below --init" no "$(berth run --rm --init host sh -c '[ $$ = 1 ] && echo yes || echo no')"
}

test_start_has_own_namespaces() {
    berth run --rm host sh -c 'for kind in cgroup ipc mnt net pid time user uts; do
        readlink /proc/self/ns/$kind
    done' > /tmp/inside
    for kind in cgroup ipc mnt net pid time uts; do
        outside=$(readlink /proc/self/ns/$kind)
        grep -q "^$kind:" /tmp/inside || fail "no $kind namespace reported"
        ! grep -qF "$outside" /tmp/inside || fail "the $kind namespace is the host's"
    done
    grep -qF "$(readlink /proc/self/ns/user)" /tmp/inside || fail "the user namespace is another"
}

test_start_with_the_hosts_namespaces() {
    same "PID namespace" "$(readlink /proc/self/ns/pid)" \
        "$(berth run --rm --pid host host readlink /proc/self/ns/pid)"
    same "network namespace" "$(readlink /proc/self/ns/net)" \
        "$(berth run --rm --net host host readlink /proc/self/ns/net)"
}

test_start_joins_another_container() {
    berth run -d --name other host sleep 1000
    pid=$(berth pid other:1)
    for kind in cgroup ipc net pid time uts; do
        case $kind in
        cgroup | time) flag=--${kind}ns ;;
        *) flag=--$kind ;;
        esac
        same "$kind namespace" "$(readlink "/proc/$pid/ns/$kind")" \
            "$(berth run --rm "$flag" container:other host readlink "/proc/self/ns/$kind")"
    done
}

test_start_has_dockers_defaults() {
    berth run --rm host cat /proc/self/status > /tmp/status
    same CapEff 00000000a80425fb "$(sed -n 's/^CapEff:\s*//p' /tmp/status)"
    same CapInh 0000000000000000 "$(sed -n 's/^CapInh:\s*//p' /tmp/status)"
    same Seccomp 2 "$(sed -n 's/^Seccomp:\s*//p' /tmp/status)"
    same NoNewPrivs 0 "$(sed -n 's/^NoNewPrivs:\s*//p' /tmp/status)"
}

test_start_throws_changes_away() {
    same inside x "$(berth run --rm host sh -c 'echo x > /etc/made-inside; cat /etc/made-inside')"
    [ ! -e /etc/made-inside ] || fail "the host has the file"
}

test_start_hides_secrets() {
    same "what can be read of /etc/shadow" done \
        "$(berth run --rm host sh -c 'cat /etc/shadow 2> /dev/null; echo done')"
}

test_start_mounts_what_docker_mounts() {
    berth run --rm host mount > /tmp/mounts
    for point in / /proc /sys /dev /dev/pts /dev/shm /dev/mqueue; do
        grep -q " on $point type " /tmp/mounts || fail "$point is not mounted"
    done
    grep -q ' on /sys type sysfs (ro' /tmp/mounts || fail "/sys is writable"
    # dash answers 2 where other shells say 1.
    berth run --rm host sh -c 'echo h > /proc/sysrq-trigger' 2> /dev/null \
        && fail '/proc/sysrq-trigger is writable'
    return 0
}

test_start_from_a_directory() {
    mkdir -p /tmp/rootfs/bin
    cp /usr/bin/busybox /tmp/rootfs/bin/sh
    echo here > /tmp/rootfs/file
    same output here "$(berth run --rm --rootfs /tmp/rootfs sh -c 'read x < /file; echo $x')"
    berth run --rm --rootfs /tmp/rootfs sh -c 'echo no > /file'
    same file here "$(cat /tmp/rootfs/file)"
}

test_start_as_another_user() {
    same uid 1000 "$(berth run --rm -u user host id -u)"
    same CapEff 0000000000000000 \
        "$(berth run --rm -u user host sed -n 's/^CapEff:\s*//p' /proc/self/status)"
}

test_start_rootless() {
    mkdir -p /run/user/1000 /home/user
    chown user /run/user/1000 /home/user
    same uid 0 "$(su user -c 'HOME=/home/user XDG_RUNTIME_DIR=/run/user/1000 berth run --rm host id -u')"
}
