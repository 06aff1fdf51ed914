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

# soon TEXT COMMAND...: the command succeeds within twenty seconds, a third of what a test may take.
soon() {
    what=$1
    shift
    end=$(($(date +%s) + 20))
    until "$@" > /dev/null 2>&1; do
        [ "$(date +%s)" -lt "$end" ] || fail "not within 20 s: $what"
        usleep 200000
    done
}

# remove_all: no container is left.
remove_all() {
    command -v berth > /dev/null || return 0
    left=$(berth ps -aq --no-trunc)
    [ -z "$left" ] || berth rm -f $left
}
