# The trial of the package: sh trial.sh FOLDER PACKAGE, in mount, network and PID namespaces of its own.
# The machine's root is below an overlay, so nothing here reaches it.
set -eu
folder=$1 package=$2
root=$folder/root upper=$folder/memory/upper

fail() {
    echo "trial: $*" >&2
    exit 1
}
inside() { chroot "$root" "$@"; }
step() { echo "  $*"; }

mkdir -p "$folder/memory" "$root"
mount -t tmpfs memory "$folder/memory"
mkdir "$upper" "$folder/memory/work"
mount -t overlay -o "lowerdir=/,upperdir=$upper,workdir=$folder/memory/work" overlay "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t tmpfs run "$root/run"
mount -t tmpfs tmp "$root/tmp"
ip link set lo up
cp "$package" "$root/tmp/berth.deb"
inside dpkg -s berth >/dev/null 2>&1 && fail "this machine has berth installed"

# What the root of a container needs, and what lies in the upper folder before and after.
busybox=$(command -v busybox) || fail "busybox is not installed"
mkdir -p "$folder/memory/box/bin" "$folder/memory/box/proc" "$folder/memory/box/sys" "$folder/memory/box/dev"
cp "$busybox" "$folder/memory/box/bin/busybox"
for name in sh echo sleep cat; do ln -s busybox "$folder/memory/box/bin/$name"; done
tar -C "$folder/memory/box" -cf "$root/tmp/box.tar" .
listed() {
    # Not the data of dpkg and of what its triggers run.
    (cd "$upper" && find . ! -type d ! -path './var/lib/dpkg/*' ! -path './var/log/*' \
        ! -path './var/cache/*' ! -path './var/lib/berth' | sort)
}
listed >"$folder/before"

step "install"
inside dpkg --install /tmp/berth.deb >/dev/null
inside berth --version | grep -q '^berth ' || fail "berth tells no version"
inside berth-runtime --version >/dev/null || fail "berth-runtime does not run"
for file in /usr/share/man/man1/berth.1.gz /usr/share/man/man1/berth-container-run.1.gz \
    /usr/share/man/man1/berth-runtime.1.gz /usr/share/doc/berth/changelog.Debian.gz \
    /usr/share/bash-completion/completions/berth /usr/share/zsh/vendor-completions/_berth \
    /usr/share/fish/vendor_completions.d/berth.fish /usr/share/doc/berth/copyright \
    /usr/share/doc/berth/README.md /usr/share/doc/berth/third-party.txt; do
    [ -s "$root$file" ] || fail "$file is not there"
done
inside bash -c '. /usr/share/bash-completion/completions/berth && complete -p berth' >/dev/null ||
    fail "the completion does not load"
for unit in system user; do
    unit=/usr/lib/systemd/$unit/berth-restore.service
    [ -s "$root$unit" ] || fail "$unit is not there"
    if command -v systemd-analyze >/dev/null; then
        # It also looks whether the programs and pages are there that the unit names.
        said=$(inside systemd-analyze verify "$unit" 2>&1) || fail "systemd does not like $unit: $said"
        case $said in *berth*) fail "systemd has something to say of $unit: $said" ;; esac
    fi
done
if command -v man >/dev/null; then
    inside man -P cat berth-run | grep -q 'berth.run' || fail "man shows no page"
fi

step "use"
# An overlay cannot stand upon an overlay.
mkdir -p "$root/var/lib/berth"
mount -t tmpfs data "$root/var/lib/berth"
berth() { inside berth --default-network none "$@"; }
export BERTH_CGROUP_PARENT="berth-deb-$$"
berth import /tmp/box.tar box >/dev/null
[ "$(berth run --rm box echo hello)" = hello ] || fail "run prints something else"
berth run --detach --name web box sleep 1000 >/dev/null
[ "$(berth exec web echo inside)" = inside ] || fail "exec prints something else"
berth ps --format '{{.Names}}' | grep -qx web || fail "ps does not list it"

step "remove, with a container that runs"
inside dpkg --remove berth 2>&1 | grep -q '1 containers run on' || fail "nobody hears of it"
[ ! -e "$root/usr/bin/berth" ] || fail "the program is still there"
inside sh -c "cat /proc/[0-9]*/comm" | grep -qx berth-keeper || fail "the container has ended"

step "purge, with a container that runs"
inside dpkg --purge berth 2>&1 | grep -q 'containers run still' || fail "nobody hears of it"
[ -e "$root/var/lib/berth/images" ] || fail "what the container stands on is gone"

step "install again, and what ran is there"
inside dpkg --install /tmp/berth.deb >/dev/null
[ "$(berth exec web echo still)" = still ] || fail "the container is not found again"
berth rm --force web >/dev/null

step "purge, with nothing that runs"
umount "$root/var/lib/berth"
: >"$root/var/lib/berth/left"
inside dpkg --purge berth >/dev/null 2>&1
[ ! -e "$root/var/lib/berth" ] || fail "/var/lib/berth is still there"
[ ! -e "$root/run/berth" ] || fail "/run/berth is still there"
inside dpkg -s berth >/dev/null 2>&1 && fail "dpkg still knows it"
listed >"$folder/after"
diff "$folder/before" "$folder/after" >&2 || fail "files are left, or were taken along"

for point in $(awk '/ - cgroup/{print $5}' /proc/self/mountinfo); do
    [ ! -d "$point/$BERTH_CGROUP_PARENT" ] || rmdir "$point/$BERTH_CGROUP_PARENT"/* "$point/$BERTH_CGROUP_PARENT" 2>/dev/null || true
done
echo "deb: installed, used, removed and purged"
