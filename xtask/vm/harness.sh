#!/bin/sh
# Goes through /tests/rows, one line for a suite in a profile: PROFILE SECONDS SUITE NAMES... (see
# profiles.rs), and runs each row as its profile's user. row.sh does the rest.

# The files of the disk belong to whoever made it.
chown 0:0 / /usr/bin/newuidmap /usr/bin/newgidmap
chmod 4755 /usr/bin/newuidmap /usr/bin/newgidmap
chown -R 1000:1000 /home/user
mkdir -p /var/tmp
chmod 1777 /var/tmp
echo "# Linux $(uname -r), PID 1 is $(cat /proc/1/comm), cgroup controllers: $(cat /sys/fs/cgroup/cgroup.subtree_control)"

# Where test programs look for the binaries (see binaries.rs); below /tmp the disk would not show.
expected=$(cat /tests/expected)
mkdir -p "$expected"
ln -sf /usr/bin/berth /usr/bin/berth-runtime "$expected"

enter_plain() {
    "$@"
}

# As the user, in the cgroup that init.sh delegated.
enter_rootless() {
    (
        echo 0 > /sys/fs/cgroup/delegated/session/cgroup.procs
        export XDG_RUNTIME_DIR=/run/user/1000
        exec su -s /bin/sh user "$@"
    )
}

# As the user, in a cgroup of root's.
enter_undelegated() {
    (
        export XDG_RUNTIME_DIR=/run/user/1000
        exec su -s /bin/sh user "$@"
    )
}

enter_systemd() {
    "$@"
}

# As the user, in a service of the user's own manager, as a shell in a terminal is.
enter_systemd_rootless() {
    (
        export XDG_RUNTIME_DIR=/run/user/1000
        exec su -s /bin/sh user /tests/user-service.sh "$@"
    )
}

while read -r profile seconds suite names; do
    # shellcheck disable=SC2086 # names are words
    "enter_$profile" /tests/row.sh "$profile" "$seconds" "$suite" $names < /dev/null
done < /tests/rows
