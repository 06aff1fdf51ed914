#!/bin/sh
# Runs the command as a transient service of the calling user's manager, with our output.
exec systemd-run --user --quiet --wait --collect --pipe --property=Delegate=yes \
    --setenv=PATH="$PATH" "$@"
