#!/bin/sh
# Runs every function test_* of the files *.test.sh, each in a shell of its own with a time limit,
# and reports as vm/report.rs reads it. With berth.only=TEXT on the kernel's command line only tests
# whose names contain TEXT.
LIMIT_S=40
only=$(sed -n 's/.*berth\.only=\([^ ]*\).*/\1/p' /proc/cmdline)
count=0
echo "# Linux $(uname -r), cgroup controllers: $(cat /sys/fs/cgroup/cgroup.subtree_control)"

# What must be the same before and after a test. The cgroup of keepers is made once and stays.
host_state() {
    wc -l < /proc/self/mountinfo
    find /sys/fs/cgroup/berth -mindepth 1 -type d ! -path '*/berth/keepers' 2>/dev/null
}

for file in /tests/*.test.sh; do
    for name in $(sed -n 's/^\(test_[a-z0-9_]*\)().*/\1/p' "$file"); do
        case $name in *"$only"*) ;; *) continue ;; esac
        count=$((count + 1))
        rm -f /tmp/skip
        before=$(host_state)
        timeout -s KILL "$LIMIT_S" sh -eu -c ". /tests/lib.sh; . $file; $name" > /tmp/output 2>&1
        status=$?
        sh -c '. /tests/lib.sh; remove_all' >> /tmp/output 2>&1
        after=$(host_state)
        if [ -e /tmp/skip ]; then
            echo "ok $count $name # skip $(cat /tmp/skip)"
        elif [ "$status" != 0 ]; then
            sed 's/^/#   /' /tmp/output
            echo "#   exit status $status"
            echo "not ok $count $name"
        elif [ "$before" != "$after" ]; then
            sed 's/^/#   /' /tmp/output
            printf '%s\n-- after:\n%s\n' "$before" "$after" | sed 's/^/#   left behind: /'
            echo "not ok $count $name"
        else
            echo "ok $count $name"
        fi
    done
done
echo "1..$count"
