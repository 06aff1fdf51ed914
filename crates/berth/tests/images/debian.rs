//! A real distribution: Debian's smallest root, made by debootstrap from the mirror that this
//! machine's apt uses, imported, run, changed by its own tools, committed, saved and loaded; umoci
//! unpacks the same tree from it.

#[path = "debian/tree.rs"]
mod tree;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::fs::{FlockOperation, XattrFlags, flock, setxattr};

use crate::cli::{Berth, finish};

/// What its making may take where the mirror is slow, before it counts as out of reach.
const MAKING_SECONDS: &str = "300";

/// Makes a root in memory, where dpkg's syncs cost nothing, and its tar. In a mount namespace of its
/// own, with which all mounts end, debootstrap's too.
const BOOTSTRAP: &str = r#"set -e
release=$1 mirror=$2 root=$3 more=$4 to=$5
mount -t tmpfs -o mode=755 debian "$root"
debootstrap --variant=minbase "$release" "$root" "$mirror"
cd "$more"
tar --numeric-owner --xattrs '--xattrs-include=*' -cf "$to" -C "$root" . -C "$more" srv/* dev/*
"#;

/// `struct vfs_cap_data` of revision 2 (linux/capability.h): CAP_NET_RAW, permitted and effective.
const NET_RAW: [u8; 20] = {
    let mut data = [0; 20];
    data[0] = 1;
    data[3] = 2;
    data[5] = 0x20;
    data
};

/// Removes a package as apt does, changes what it left, and adds to it.
const WORK: &str = "set -e
dpkg --purge --force-depends tzdata >/dev/null
chmod u-s /usr/bin/passwd
rm /srv/one
echo new >/srv/new
ln /srv/new /srv/newer
perl -pi -e 's/^/# /' /etc/issue
mkdir -m 1777 /srv/shared
chown nobody /srv/shared";

#[test]
fn debian_from_import_to_the_last_copy() {
    let Some(archive) = root_archive() else {
        return;
    };
    let berth = Berth::new();
    let words = ["import", "-c", "CMD [\"bash\"]", "-", "debian:1"];
    let mut import = berth.command(&words);
    import.stdin(File::open(archive).unwrap());
    let done = finish(piped(&mut import).spawn().unwrap());
    assert_eq!(done.code, 0, "{done:?}");
    runs_as_debian_does(&berth);
    changes_are_its_own(&berth);
    berth.ok(&["commit", "c", "debian:2"]);
    let saved = berth.path("saved.tar").display().to_string();
    berth.ok(&["save", "--format", "oci-archive", "-o", &saved, "debian:2"]);
    loads_elsewhere(&berth, &saved);
    umoci_sees_the_same(&berth, &saved);
}

/// Runs a program in a new container, as a user.
fn run(berth: &Berth, image: &str, user: &str, program: &[&str]) -> String {
    let words = ["run", "--rm", "--user", user, image];
    berth.ok(&[&words, program].concat())
}

fn runs_as_debian_does(berth: &Berth) {
    let root = |program: &[&str]| run(berth, "debian:1", "0", program);
    let nobody = |program: &[&str]| run(berth, "debian:1", "nobody", program);
    let packages = root(&["dpkg", "-l"]);
    assert!(packages.contains("\nii  perl-base "), "{packages}");
    assert_eq!(root(&["dpkg", "--audit"]), "");
    assert_eq!(root(&["perl", "-e", "print 6 * 7"]), "42");
    let id = "uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)";
    assert_eq!(root(&["su", "-s", "/bin/sh", "-c", "id", "nobody"]), id);
    let bits = [
        "stat",
        "-c",
        "%a %U:%G",
        "/usr/bin/passwd",
        "/usr/bin/chage",
    ];
    assert_eq!(root(&bits), "4755 root:root\n2755 root:shadow");
    let setuid = nobody(&["/srv/setuid-id"]);
    assert!(setuid.contains(" euid=0(root) "), "{setuid}");
    let status = nobody(&["/srv/capable-cat", "/proc/self/status"]);
    assert!(status.contains("\nCapEff:\t0000000000002000\n"), "{status}");
    let links = "stat -c '%h %i' /srv/one /srv/two | uniq -c | tr -s ' ' | cut -d' ' -f2,3";
    assert_eq!(root(&["sh", "-c", links]), "2 2");
    // The devices of the tar are hidden by the container's own /dev.
    let devices = [
        "find", "/", "-xdev", "-type", "b", "-o", "-xdev", "-type", "c",
    ];
    assert_eq!(root(&devices), "");
    assert!(!root(&["ls", "/dev"]).contains("of-the-image"));
}

fn changes_are_its_own(berth: &Berth) {
    berth.ok(&["run", "--name", "c", "debian:1", "sh", "-c", WORK]);
    let diff = berth.ok(&["diff", "c"]);
    for line in [
        "D /usr/share/zoneinfo",
        "C /var/lib/dpkg/status",
        "D /var/lib/dpkg/info/tzdata.list",
        "C /usr/bin/passwd",
        "D /srv/one",
        "A /srv/new",
        "A /srv/newer",
        "A /srv/shared",
        "C /etc/issue",
    ] {
        assert!(diff.lines().any(|other| other == line), "{line}: {diff}");
    }
    let others = ["/bin", "/lib", "/home", "/root", "/dev", "/proc"];
    let touches = |line: &str| others.iter().any(|folder| line[2..].starts_with(folder));
    assert!(!diff.lines().any(touches), "{diff}");
}

/// What the work left is in an image that went through an archive.
fn loads_elsewhere(berth: &Berth, saved: &str) {
    let other = Berth::new();
    other.ok(&["load", "-i", saved]);
    let id = ["image", "inspect", "-f", "{{.Id}}", "debian:2"];
    assert_eq!(other.ok(&id), berth.ok(&id));
    let script = "ls -d /usr/share/zoneinfo /srv/* 2>&1; stat -c '%h %a %U' /srv/new \
                  /srv/shared /usr/bin/passwd; dpkg -s tzdata 2>&1 | head -n 1";
    let expected = "\
ls: cannot access '/usr/share/zoneinfo': No such file or directory
/srv/capable-cat
/srv/new
/srv/newer
/srv/setuid-id
/srv/shared
/srv/two
2 644 root
2 1777 nobody
1 755 root
dpkg-query: package 'tzdata' is not installed and no information is available";
    assert_eq!(
        run(&other, "debian:2", "0", &["sh", "-c", script]),
        expected
    );
    let status = run(
        &other,
        "debian:2",
        "nobody",
        &["/srv/capable-cat", "/proc/self/status"],
    );
    assert!(status.contains("\nCapEff:\t0000000000002000\n"), "{status}");
}

fn umoci_sees_the_same(berth: &Berth, saved: &str) {
    if !installed("umoci") {
        berth_testkit::skip("umoci is not installed");
        return;
    }
    let (layout, bundle) = (berth.path("layout"), berth.path("bundle"));
    fs::create_dir(&layout).unwrap();
    must(
        Command::new("tar")
            .arg("-xf")
            .arg(saved)
            .arg("-C")
            .arg(&layout),
    );
    let list = must(
        Command::new("umoci")
            .args(["list", "--layout"])
            .arg(&layout),
    );
    let tag = String::from_utf8(list.stdout).unwrap();
    let image = format!("{}:{}", layout.display(), tag.trim());
    must(
        Command::new("umoci")
            .args(["unpack", "--image", &image])
            .arg(&bundle),
    );
    let ours = berth.path("ours");
    fs::create_dir(&ours).unwrap();
    let exported = berth.path("exported.tar").display().to_string();
    berth.ok(&["export", "-o", &exported, "c"]);
    must(
        Command::new("tar")
            .args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"])
            .arg(&exported)
            .arg("-C")
            .arg(&ours),
    );
    // Made for the container's own to be mounted on; debootstrap makes none.
    fs::remove_file(ours.join("etc/hosts")).unwrap();
    let compared = tree::assert_same(&ours, &bundle.join("rootfs"));
    assert!(compared > 3000, "{compared} entries");
}

/// The tar of the root, made once and kept below the workspace's target folder; `None` where it
/// cannot be made here.
fn root_archive() -> Option<PathBuf> {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(kept).unwrap();
    let lock = File::create(kept.join("debian.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let archive = kept.join("debian.tar");
    if archive.exists() {
        return Some(archive);
    }
    for program in ["debootstrap", "apt-get"] {
        if !installed(program) {
            berth_testkit::skip(&format!("{program} is not installed"));
            return None;
        }
    }
    let Some((mirror, release)) = mirror() else {
        berth_testkit::skip("apt has no mirror of Debian");
        return None;
    };
    let part = kept.join("debian.tar.part");
    if !bootstrap(&release, &mirror, &part) {
        berth_testkit::skip("the mirror of Debian cannot be reached");
        return None;
    }
    fs::rename(part, &archive).unwrap();
    Some(archive)
}

/// Where this machine's packages come from, and its release.
fn mirror() -> Option<(String, String)> {
    let system = fs::read_to_string("/etc/os-release").ok()?;
    let name = |key: &str| {
        let line = system.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_matches('"').to_owned())
    };
    if name("ID=")? != "debian" {
        return None;
    }
    let release = name("VERSION_CODENAME=")?;
    let targets = must(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(SITE) $(RELEASE) $(COMPONENT)",
    ]));
    let targets = String::from_utf8(targets.stdout).unwrap();
    let site = targets.lines().find_map(|line| {
        let (site, rest) = line.split_once(' ')?;
        (rest == format!("{release} main")).then(|| site.to_owned())
    })?;
    Some((site, release))
}

/// Writes the tar of a root; answers whether the mirror could be reached.
fn bootstrap(release: &str, mirror: &str, to: &Path) -> bool {
    let scratch = tempfile::tempdir().unwrap();
    let (root, more) = (scratch.path().join("root"), scratch.path().join("more"));
    fs::create_dir(&root).unwrap();
    furnish(&more);
    let output = Command::new("timeout")
        .args(["--kill-after=10", MAKING_SECONDS])
        .args(["unshare", "--mount", "--propagation=private"])
        .args(["sh", "-c", BOOTSTRAP, "sh", release, mirror])
        .args([&root, &more, to])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if output.status.success() {
        return true;
    }
    let said = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat())
        .into_owned();
    let out_of_reach = [
        "Failed getting release",
        "Couldn't download",
        "Couldn't retrieve",
    ];
    let timed_out = output.status.code() == Some(124);
    assert!(
        timed_out || out_of_reach.iter().any(|words| said.contains(words)),
        "{output:?}"
    );
    false
}

/// Adds what a fresh Debian has no example of. The programs are the host's, of the same release.
fn furnish(root: &Path) {
    let srv = root.join("srv");
    fs::create_dir_all(&srv).unwrap();
    fs::write(srv.join("one"), "one").unwrap();
    fs::hard_link(srv.join("one"), srv.join("two")).unwrap();
    let setuid = srv.join("setuid-id");
    fs::copy("/usr/bin/id", &setuid).unwrap();
    fs::set_permissions(setuid, fs::Permissions::from_mode(0o4755)).unwrap();
    let capable = srv.join("capable-cat");
    fs::copy("/bin/cat", &capable).unwrap();
    setxattr(
        capable,
        "security.capability",
        &NET_RAW,
        XattrFlags::empty(),
    )
    .unwrap();
    fs::create_dir(root.join("dev")).unwrap();
    fs::write(root.join("dev/of-the-image"), "").unwrap();
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn piped(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::piped()).stderr(Stdio::piped())
}

fn must(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}
