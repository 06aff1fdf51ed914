#!/bin/sh
# PID 1 of the guest: mounts what a host has, runs the tests on the second serial line, powers off.
# The shell reaps orphans while it waits for the tests.
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
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control || echo "init: no controller $controller"
done
# As a distribution's init does: what is mounted on the host is seen in its namespaces' copies.
mount --make-rshared /
ip link set lo up
hostname guest
stty -F /dev/ttyS1 raw -echo
/tests/harness.sh < /dev/null > /dev/ttyS1 2>&1
sync
poweroff -f
