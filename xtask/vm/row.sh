#!/bin/sh
# row.sh PROFILE SECONDS SUITE NAMES...: runs the tests of a suite whose names contain one of NAMES
# and none of those given as !NAME, and reports as vm/report.rs reads it. With berth.only=TEXT on
# the kernel's command line only tests whose names contain TEXT. SUITE is "scripts", for the
# functions test_* of the files *.test.sh, or the name of a test program, whose tests run two at a
# time as they do elsewhere. one.sh runs each.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
. /tests/state.sh
export PROFILE=$1 SUITE=$3
begun=$(up)
export END=$((begun + $2))
shift 3
asked= refused=
for name in "$@"; do
    case $name in
    !*) refused="$refused ${name#!}" ;;
    *) asked="$asked $name" ;;
    esac
done
only=$(sed -n 's/.*berth\.only=\([^ ]*\).*/\1/p' /proc/cmdline)
SCRATCH=$(mktemp -d)
export SCRATCH

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
    if [ "$SUITE" = scripts ]; then
        cat /tests/*.test.sh | sed -n 's/^\(test_[a-z0-9_]*\)().*/\1/p'
    else
        "/tests/bin/$SUITE" --list --format=terse | sed -n 's/: test$//p'
    fi
}

list | while read -r name; do ! wanted "$name" || echo "$name"; done > "$SCRATCH/list"
planned=$(wc -l < "$SCRATCH/list")
if [ "$SUITE" = scripts ]; then
    xargs -r -n 1 /tests/one.sh < "$SCRATCH/list"
elif [ "$planned" != 0 ]; then
    # Side by side nobody can tell who left what, so one more result is for all.
    planned=$((planned + 1))
    host_state > "$SCRATCH/before"
    grep -v '\balone_' "$SCRATCH/list" | xargs -r -n 1 -P 2 /tests/one.sh
    grep '\balone_' "$SCRATCH/list" | xargs -r -n 1 /tests/one.sh
    if same_state "$SCRATCH/before" "$SCRATCH/after"; then
        echo "ok $PROFILE $SUITE leaves nothing"
    else
        diff "$SCRATCH/before" "$SCRATCH/after" | sed 's/^/#   /'
        echo "not ok $PROFILE $SUITE leaves nothing"
    fi
fi
rm -rf "$SCRATCH"
echo "# $PROFILE, $SUITE: $planned results in $(($(up) - begun)) s"
echo "1..$planned"
