# What row.sh and one.sh share; sourced by them.

# Seconds since the boot.
up() {
    cut -d. -f1 /proc/uptime
}

# What must be the same before and after a test: mounts and cgroups. The cgroup of keepers is made
# once and stays; what systemd does with its own services is no concern of a test.
host_state() {
    wc -l < /proc/self/mountinfo
    find /sys/fs/cgroup -mindepth 1 -type d \
        ! -path '*/berth' ! -path '*/berth/keepers' \
        ! -name '*.service' ! -name '*.slice' ! -name '*.mount' ! -name '*.socket' 2> /dev/null | sort
}

# same_state BEFORE AFTER: the state is as in the file BEFORE, now or within three seconds, since
# systemd removes scopes in its own time; the file AFTER has what it is.
same_state() {
    for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
        host_state > "$2"
        cmp -s "$1" "$2" && return 0
        usleep 200000
    done
    return 1
}
