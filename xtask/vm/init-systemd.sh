#!/bin/sh
# The service guest-tests below systemd: runs the tests on the second serial line, powers off.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
stty -F /dev/ttyS1 raw -echo
/tests/harness.sh < /dev/null > /dev/ttyS1 2>&1
# The kernel's log goes to the host by itself, that of the services only so.
journalctl -b -p warning --no-pager -o short-monotonic \
    _TRANSPORT=stdout + _TRANSPORT=journal + _TRANSPORT=syslog > /dev/ttyS0 2>&1
sync
poweroff -f
