#!/bin/sh
# The first process of the guest, on the initramfs: inserts the modules and goes on to the disk.
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
for module in /modules/*.ko; do
    busybox insmod "$module" || echo "initramfs: cannot insert $module"
done
# As udev makes it: everybody may make a tap in a network namespace of their own.
busybox chmod 666 /dev/net/tun
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    [ -b /dev/vda ] && break
    busybox sleep 0.2
done
busybox mount -t ext4 -o noatime,prjquota /dev/vda /disk || busybox poweroff -f
busybox mount --move /dev /disk/dev
init=$(busybox sed -n 's/.*berth\.init=\([^ ]*\).*/\1/p' /proc/cmdline)
busybox umount /proc
exec busybox switch_root /disk "$init"
