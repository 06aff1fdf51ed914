//! A user of the test's own.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use berth_image::layer::{PackOptions, pack};
use berth_testkit::{Bundle, CgroupParent, Hierarchy};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};
use tempfile::TempDir;

use crate::cli::{Done, eventually, finish};

pub const UID: u32 = 4321;
/// The first of its sub-ids, which is uid 1 of its containers.
pub const FIRST: u32 = 700_000;

/// What the host gives the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    Many,
    One,
    /// Ranges in /etc/subuid, and no program that maps them.
    Unmapped,
}

/// A host as one command sees it.
const ENTER: &str = r#"
    set -e
    mount -t overlay -o "lowerdir=$1:/etc" overlay /etc
    mount --bind "$4" "$5"
    [ "$2" = no ] || mount --bind /dev/null "$2"
    [ "$3" = no ] || mount --bind "$3" /proc/sys/kernel/random/boot_id
    [ "$6" = no ] || echo 0 >"$6/cgroup.procs"
    # As udev has it; without udev it is root's alone.
    [ ! -c /dev/net/tun ] || mount --bind "$7" /dev/net/tun
    shift 7
    exec "$@"
"#;

pub struct User {
    dir: TempDir,
    ids: Ids,
    boot: Option<PathBuf>,
    cgroup: Option<Delegated>,
}

/// A cgroup that is the user's, and the one below it where its commands begin.
struct Delegated {
    session: PathBuf,
    /// Takes both away.
    _parent: CgroupParent,
}

impl User {
    /// `None`, and the reason said, where there cannot be one.
    pub fn new(ids: Ids) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            berth_testkit::skip("only root becomes another user");
            return None;
        }
        for program in ["setpriv", "unshare", "newuidmap"] {
            if which(program).is_none() {
                berth_testkit::skip(&format!("{program} is not installed"));
                return None;
            }
        }
        let user = Self {
            dir: tempfile::tempdir().unwrap(),
            ids,
            boot: None,
            cgroup: None,
        };
        open(&user.path(""), 0o755);
        for folder in ["bin", "home", "etc-many", "etc-one"] {
            fs::create_dir(user.path(folder)).unwrap();
            open(&user.path(folder), 0o755);
        }
        chown(user.path("home"), Some(UID), Some(UID)).unwrap();
        let tun = rustix::fs::makedev(10, 200);
        let (character, everybody) = (FileType::CharacterDevice, Mode::from_raw_mode(0o666));
        mknodat(CWD, user.path("tun"), character, everybody, tun).unwrap();
        open(&user.path("tun"), 0o666);
        let accounts = fs::read_to_string("/etc/passwd").unwrap();
        let accounts = format!("{accounts}tess:x:{UID}:{UID}::/nonexistent:/bin/sh\n");
        for (folder, range) in [
            ("etc-many", format!("tess:{FIRST}:65536\n")),
            ("etc-one", String::new()),
        ] {
            for (name, text) in [
                ("passwd", &accounts),
                ("subuid", &range),
                ("subgid", &range),
            ] {
                let path = user.path(folder).join(name);
                fs::write(&path, text).unwrap();
                open(&path, 0o644);
            }
        }
        Some(user)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path in the store.
    pub fn store(&self, name: &str) -> PathBuf {
        self.path("home/.local/share/berth").join(name)
    }

    /// From here on the host gives it other ids.
    pub fn becomes(&mut self, ids: Ids) {
        self.ids = ids;
    }

    /// From here on the host has been booted anew.
    pub fn boots(&mut self) {
        let path = self.path("boot");
        fs::write(
            &path,
            format!("{:08x}-0000-4000-8000-000000000000\n", std::process::id()),
        )
        .unwrap();
        open(&path, 0o644);
        self.boot = Some(path);
    }

    /// From here on its commands run in a cgroup below one that is delegated to it, as a manager of
    /// sessions does it. Returns that one.
    pub fn gets_cgroup(&mut self) -> PathBuf {
        let parent = CgroupParent::new();
        let v2 = berth_testkit::hierarchies()
            .into_iter()
            .find(Hierarchy::is_v2);
        let mount = v2.unwrap().mount_point;
        let folder = mount.join(parent.path("").trim_matches('/'));
        let session = folder.join("session");
        fs::create_dir_all(&session).unwrap();
        for cgroup in [&folder, &session] {
            for file in ["", "cgroup.procs", "cgroup.subtree_control"] {
                chown(cgroup.join(file), Some(UID), Some(UID)).unwrap();
            }
        }
        self.cgroup = Some(Delegated {
            session,
            _parent: parent,
        });
        folder
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let etc = match self.ids {
            Ids::Many | Ids::Unmapped => "etc-many",
            Ids::One => "etc-one",
        };
        let hidden = match self.ids {
            Ids::Unmapped => which("newuidmap"),
            Ids::Many | Ids::One => None,
        };
        let home = self.path("home");
        let no = || PathBuf::from("no");
        let id = UID.to_string();
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                ENTER,
                "sh",
            ])
            .arg(self.path(etc))
            .arg(hidden.unwrap_or_else(no))
            .arg(self.boot.clone().unwrap_or_else(no))
            // Where the user reaches them, whoever may enter the target folder.
            .arg(Path::new(env!("CARGO_BIN_EXE_berth")).parent().unwrap())
            .arg(self.path("bin"))
            .arg(match &self.cgroup {
                Some(cgroup) => cgroup.session.clone(),
                None => no(),
            })
            .arg(self.path("tun"))
            .args([
                "setpriv",
                "--reuid",
                &id,
                "--regid",
                &id,
                "--clear-groups",
                "--",
            ])
            .arg(self.path("bin/berth"))
            .args(arguments)
            .env_clear()
            .env("HOME", &home)
            .env("XDG_RUNTIME_DIR", &home)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            // Nothing here is about networks.
            .env("BERTH_DEFAULT_NETWORK", "none")
            .current_dir(&home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        finish(self.command(arguments).spawn().unwrap())
    }

    /// What a command that must succeed prints.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// A line of words.
    pub fn line(&self, line: &str) -> String {
        self.ok(&line.split(' ').collect::<Vec<_>>())
    }

    /// What a command that must fail says, the test's folder left out.
    pub fn fails(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_ne!(done.code, 0, "{arguments:?}: {done:?}");
        let dir = self.dir.path().to_str().unwrap();
        done.err.trim_end().replace(dir, "DIR")
    }

    /// Runs a script in a new container that goes with it.
    pub fn script(&self, flags: &[&str], image: &str, script: &str) -> Done {
        let mut arguments = vec!["run", "--rm"];
        arguments.extend(flags);
        arguments.extend([image, "sh", "-c", script]);
        self.run(&arguments)
    }

    /// Imports a root as an image; the warnings.
    pub fn import(&self, root: &Root, name: &str, changes: &[&str]) -> String {
        let done = self.try_import(root, name, changes);
        assert_eq!(done.code, 0, "{done:?}");
        done.err.trim_end().to_owned()
    }

    pub fn try_import(&self, root: &Root, name: &str, changes: &[&str]) -> Done {
        let tar = self.path("root.tar");
        root.pack(&tar);
        open(&tar, 0o644);
        let mut arguments = vec!["import", "-c", "CMD [\"sh\"]"];
        for change in changes {
            arguments.extend(["-c", change]);
        }
        let tar = tar.display().to_string();
        arguments.extend([tar.as_str(), name]);
        self.run(&arguments)
    }

    /// The names in a folder of the store, in order.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.store(folder)).into_iter().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The folder of the only layer.
    pub fn layer(&self) -> PathBuf {
        let names = self.names("layers");
        assert_eq!(names.len(), 1, "{names:?}");
        self.store("layers").join(&names[0])
    }

    /// Waits until the layers are known to be on disk, and nobody is at it any more.
    pub fn settled(&self) {
        settled(&self.store(""));
    }
}

impl Drop for User {
    fn drop(&mut self) {
        berth_testkit::remove_folder(self.dir.path());
    }
}

/// As [`User::settled`], for any store.
pub fn settled(root: &Path) {
    let unsynced = || {
        let layers = fs::read_dir(root.join("layers")).unwrap().flatten();
        layers
            .filter_map(|layer| fs::read_to_string(layer.path().join("layer.json")).ok())
            .any(|text| text.contains("unsynced_in_boot"))
    };
    eventually("the layers to be settled", || !unsynced());
    berth_testkit::nobody_settles(root);
}

/// The root of an image: busybox, and files of several users.
pub struct Root(Bundle);

impl Root {
    pub fn new() -> Self {
        let root = Self(Bundle::new());
        for folder in ["srv", "srv/deep", "cut", "priv", "etc"] {
            fs::create_dir_all(root.path(folder)).unwrap();
        }
        let passwd = "root:x:0:0::/:/bin/sh\nwww:x:101:101::/:/bin/sh\n";
        root.file("etc/passwd", passwd, (0, 0), 0o644);
        root.file("srv/www", "www\n", (101, 101), 0o600);
        root.file("srv/deep/app", "app\n", (1000, 1000), 0o640);
        root.own("srv/deep", (101, 101), 0o700);
        root.file("cut/old", "old\n", (0, 0), 0o644);
        root.own("cut", (101, 0), 0o755);
        root.file("priv/suid", "", (1000, 101), 0o6755);
        let busybox = root.path("bin/busybox");
        fs::copy(busybox, root.path("priv/grep")).unwrap();
        root.own("priv/grep", (0, 0), 0o755);
        // VFS_CAP_REVISION_2 with the effective bit, CAP_NET_BIND_SERVICE permitted (linux/capability.h).
        let mut capability = [0; 20];
        capability[..4].copy_from_slice(&0x0200_0001_u32.to_le_bytes());
        capability[4..8].copy_from_slice(&(1_u32 << 10).to_le_bytes());
        let flags = XattrFlags::empty();
        setxattr(
            root.path("priv/grep"),
            "security.capability",
            &capability,
            flags,
        )
        .unwrap();
        let mode = Mode::from_raw_mode(0o666);
        let null = rustix::fs::makedev(1, 3);
        mknodat(
            CWD,
            root.path("srv/null"),
            FileType::CharacterDevice,
            mode,
            null,
        )
        .unwrap();
        root
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.rootfs().join(name)
    }

    pub fn file(&self, name: &str, text: &str, owner: (u32, u32), mode: u32) {
        fs::write(self.path(name), text).unwrap();
        self.own(name, owner, mode);
    }

    pub fn own(&self, name: &str, (uid, gid): (u32, u32), mode: u32) {
        chown(self.path(name), Some(uid), Some(gid)).unwrap();
        open(&self.path(name), mode);
    }

    /// Packs it; the archive's path.
    pub fn tar(&self, tar: &Path) -> String {
        self.pack(tar);
        tar.display().to_string()
    }

    fn pack(&self, tar: &Path) {
        let mut out = File::create(tar).unwrap();
        let root = File::open(self.path("")).unwrap();
        pack(root.as_fd(), &mut out, &PackOptions::default()).unwrap();
        out.flush().unwrap();
    }
}

/// Who owns a file.
pub fn owner(path: &Path) -> (u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid())
}

fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn which(program: &str) -> Option<PathBuf> {
    let folders = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].iter();
    let mut paths = folders.map(|folder| Path::new(folder).join(program));
    paths.find(|path| path.is_file())
}
