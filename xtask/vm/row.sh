#!/bin/sh
# row.sh PROFILE SECONDS SUITE NAMES...: runs the tests of a suite whose names contain one of NAMES
# and none of those given as !NAME, each in a process of its own with a time limit, and reports
# as vm/report.rs reads it. With berth.only=TEXT on the kernel's command line only tests whose names
# contain TEXT. SUITE is "scripts", for the functions test_* of the files *.test.sh, or the name of
# a test program.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
profile=$1 suite=$3
seconds=$2
shift 3
asked= refused=
for name in "$@"; do
    case $name in
    !*) refused="$refused ${name#!}" ;;
    *) asked="$asked $name" ;;
    esac
done
up() {
    cut -d. -f1 /proc/uptime
}
begun=$(up)
LIMIT_S=40
only=$(sed -n 's/.*berth\.only=\([^ ]*\).*/\1/p' /proc/cmdline)
scratch=$(mktemp -d)
export BERTH_VM_PROFILE="$profile" BERTH_TEST_SKIPS="$scratch/skips"

# What must be the same before and after a test: mounts and cgroups. The cgroup of keepers is made
# once and stays; what systemd does with its own services is no concern of a test.
host_state() {
    wc -l < /proc/self/mountinfo
    find /sys/fs/cgroup -mindepth 1 -type d \
        ! -path '*/berth' ! -path '*/berth/keepers' \
        ! -name '*.service' ! -name '*.slice' ! -name '*.mount' ! -name '*.socket' 2> /dev/null | sort
}

# same_state BEFORE: the state is back, now or within three seconds, since systemd removes scopes
# in its own time.
same_state() {
    for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
        after=$(host_state)
        [ "$1" = "$after" ] && return 0
        usleep 200000
    done
    return 1
}

# wanted NAME: the row and the command line ask for this test.
wanted() {
    case $1 in *"$only"*) ;; *) return 1 ;; esac
    for word in $refused; do
        case $1 in *"$word"*) return 1 ;; esac
    done
    for word in $asked; do
        case $1 in *"$word"*) return 0 ;; esac
    done
    [ -z "$asked" ]
}

list() {
    if [ "$suite" = scripts ]; then
        for file in /tests/*.test.sh; do
            sed -n "s#^\\(test_[a-z0-9_]*\\)().*#\\1 $file#p" "$file"
        done
    else
        "/tests/bin/$suite" --list --format=terse | sed -n 's/: test$//p'
    fi
}

# start NAME [FILE]
start() {
    if [ "$suite" = scripts ]; then
        timeout -s KILL "$LIMIT_S" sh -eu -c ". /tests/lib.sh; . $2; $1" || return $?
    else
        BERTH_RUNTIME=/usr/bin/berth-runtime BERTH_TEST_RUNTIME=/usr/bin/berth-runtime \
            timeout -s KILL "$LIMIT_S" "/tests/bin/$suite" --exact "$1" --nocapture || return $?
    fi
}

# The reasons for which the test did not do all it does elsewhere: of the file, of tests that only
# print them, and of those that are marked as ignored.
skips() {
    {
        sed -n 's/^SKIP: *//p' "$BERTH_TEST_SKIPS"
        sed -n 's/^skipped: *//p; s/^test .* \.\.\. ignored.*/ignored/p' "$scratch/output"
    } | sort -u
}

count=0
list > "$scratch/list"
while read -r name file; do
    wanted "$name" || continue
    count=$((count + 1))
    if [ $(($(up) - begun)) -ge "$seconds" ]; then
        echo "not ok $count $profile $name: the row's time is over"
        continue
    fi
    : > "$BERTH_TEST_SKIPS"
    before=$(host_state)
    status=0
    start "$name" "$file" > "$scratch/output" 2>&1 < /dev/null || status=$?
    [ "$suite" != scripts ] || sh -c '. /tests/lib.sh; remove_all' >> "$scratch/output" 2>&1 < /dev/null
    if [ "$status" != 0 ]; then
        sed 's/^/#   /' "$scratch/output"
        echo "#   exit status $status"
        echo "not ok $count $profile $name"
    elif ! same_state "$before"; then
        sed 's/^/#   /' "$scratch/output"
        printf '%s\n-- after:\n%s\n' "$before" "$after" | sed 's/^/#   left behind: /'
        echo "not ok $count $profile $name"
    elif [ -n "$(skips)" ]; then
        echo "ok $count $profile $name # skip $(skips | paste -sd'|')"
    else
        echo "ok $count $profile $name"
    fi
done < "$scratch/list"
rm -rf "$scratch"
echo "# $profile, $suite: $count tests in $(($(up) - begun)) s"
echo "1..$count"
