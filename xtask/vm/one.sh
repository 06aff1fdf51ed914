#!/bin/sh
# one.sh NAME: runs a test of the row's suite in a process of its own with a time limit.
. /tests/state.sh
name=$1
LIMIT_S=60
mine=$(mktemp -d -p "$SCRATCH")
export BERTH_TEST_SKIPS="$mine/skips"
: > "$BERTH_TEST_SKIPS"

script() {
    file=$(grep -l "^$name()" /tests/*.test.sh)
    host_state > "$mine/before"
    status=0
    timeout -s KILL "$LIMIT_S" sh -eu -c ". /tests/lib.sh; . $file; $name" || status=$?
    sh -c '. /tests/lib.sh; remove_all'
    [ "$status" = 0 ] || return "$status"
    same_state "$mine/before" "$mine/after" && return 0
    echo "left behind:"
    diff "$mine/before" "$mine/after"
    return 1
}

# On the disk: the kernel's tmpfs has no idmapped mounts before 6.3.
program() {
    TMPDIR=/var/tmp BERTH_RUNTIME=/usr/bin/berth-runtime BERTH_TEST_RUNTIME=/usr/bin/berth-runtime \
        timeout -s KILL "$LIMIT_S" "/tests/bin/$SUITE" --exact "$name" --nocapture
}

# The reasons for which the test did not do all it does elsewhere: of the file, of tests that only
# print them, and of those that are marked as ignored.
skips() {
    {
        sed -n 's/^SKIP: *//p' "$BERTH_TEST_SKIPS"
        sed -n 's/^skipped: *//p; s/^test .* \.\.\. ignored.*/ignored/p' "$mine/output"
    } | sort -u
}

report() {
    if [ "$status" != 0 ]; then
        sed 's/^/#   /' "$mine/output"
        echo "#   exit status $status"
        echo "not ok $PROFILE $name"
    elif [ -n "$(skips)" ]; then
        echo "ok $PROFILE $name # skip $(skips | paste -sd'|')"
    else
        echo "ok $PROFILE $name"
    fi
}

if [ "$(up)" -ge "$END" ]; then
    echo "not ok $PROFILE $name: the row's time is over"
else
    status=0
    if [ "$SUITE" = scripts ]; then script; else program; fi > "$mine/output" 2>&1 < /dev/null || status=$?
    report > "$mine/report"
    # One at a time, so that no report is cut in two; busybox has no flock here.
    until mkdir "$SCRATCH/lock" 2> /dev/null; do usleep 10000; done
    cat "$mine/report"
    rmdir "$SCRATCH/lock"
fi
rm -rf "$mine"
# xargs would stop at some codes.
exit 0
