# Words of the guest tests; sourced by one.sh before each test.

# Tests of networks name the one that they want.
export BERTH_DEFAULT_NETWORK=none

# fail TEXT: ends the test.
fail() {
    echo "failed: $*"
    exit 1
}

# skip REASON: ends the test without a verdict.
skip() {
    echo "SKIP: $*" >> "$BERTH_TEST_SKIPS"
    exit 0
}

# same WHAT EXPECTED ACTUAL
same() {
    [ "$2" = "$3" ] || fail "$1: expected \"$2\", got \"$3\""
}

# status_is N COMMAND...: the command ends with this exit code.
status_is() {
    wanted=$1
    shift
    got=0
    "$@" || got=$?
    [ "$got" = "$wanted" ] || fail "\"$*\" ended with $got instead of $wanted"
}

# soon TEXT COMMAND...: the command succeeds within five seconds.
soon() {
    what=$1
    shift
    for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
        "$@" > /dev/null 2>&1 && return 0
        usleep 200000
    done
    fail "not within 5 s: $what"
}

# remove_all: no container is left.
remove_all() {
    command -v berth > /dev/null || return 0
    left=$(berth ps -aq --no-trunc)
    [ -z "$left" ] || berth rm -f $left
}
