#!/bin/sh
# PID 1 of the guest "shell": mounts what a host has, runs the tests on the second serial line,
# powers off. The shell reaps orphans while it waits for the tests.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate cgroup2 /sys/fs/cgroup
controllers=$(cat /sys/fs/cgroup/cgroup.controllers)
for controller in $controllers; do
    echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control || echo "init: no controller $controller"
done
# A cgroup for the user, delegated as the kernel's cgroup-v2.rst says: the folder and the files
# that move processes and pass controllers on are the user's, the limits stay root's.
mkdir -p /sys/fs/cgroup/delegated/session
for controller in $controllers; do
    echo "+$controller" > /sys/fs/cgroup/delegated/cgroup.subtree_control || echo "init: no controller $controller"
done
for file in . cgroup.procs cgroup.threads cgroup.subtree_control; do
    chown 1000:1000 "/sys/fs/cgroup/delegated/$file" "/sys/fs/cgroup/delegated/session/$file"
done
mkdir -p /run/user/1000
chown 1000:1000 /run/user/1000
chmod 700 /run/user/1000
# As a distribution's init does: what is mounted on the host is seen in its namespaces' copies.
mount --make-rshared /
ip link set lo up
hostname guest
stty -F /dev/ttyS1 raw -echo
/tests/harness.sh < /dev/null > /dev/ttyS1 2>&1
sync
poweroff -f
