//! Trying things in a child that is in namespaces of its own: with its end nothing is left of them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use berth_base::ErrorClass;
use berth_engine::{EngineConfig, probe_packet_filter};
use berth_sys::batch::{Batch, NetlinkSocket};
use berth_sys::route::{NewLink, add_bridge, add_joint};
use berth_sys::{MountAttributes, mount_setattr, unshare_namespaces};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, OpenTreeFlags, mount, mount_change, open_tree,
};

/// Kinds of namespaces and their CLONE_NEW* flags (linux/sched.h).
pub(super) const KINDS: [(&str, u64); 8] = [
    ("pid", 0x2000_0000),
    ("mnt", 0x0002_0000),
    ("net", 0x4000_0000),
    ("ipc", 0x0800_0000),
    ("uts", 0x0400_0000),
    ("cgroup", 0x0200_0000),
    ("user", USER),
    ("time", 0x0000_0080),
];
const USER: u64 = 0x1000_0000;
const MNT: u64 = 0x0002_0000;
const NET: u64 = 0x4000_0000;

/// Before the folder whose file system is to be mapped.
pub(super) const IDMAP: &str = "idmap=";

/// What cannot be done, in words.
type Refused = String;

/// Runs `berth internal probe WORD`.
pub(super) fn try_in_child(config: &EngineConfig, word: &str) -> Result<(), Refused> {
    // by path: our own program
    let done = Command::new(&config.engine_binary)
        .args(["internal", "probe", word])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot try it: {e}"))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(match String::from_utf8_lossy(&done.stdout).trim() {
            "" => format!("the try ended with {}", done.status),
            why => why.to_owned(),
        }),
    }
}

/// What the child does.
pub(in crate::cli) fn perform(word: &str) -> Result<(), Refused> {
    match word {
        "overlay" => overlay(),
        "hold" => hold(),
        word if word.starts_with(IDMAP) => idmap(word.trim_start_matches(IDMAP)),
        "nftables" => {
            enter(NET)?;
            probe_packet_filter().map_err(|error| match error.class {
                // In words of its own.
                ErrorClass::Unsupported | ErrorClass::Denied => error.message,
                _ => error.to_string(),
            })
        }
        "bridge" => link(|batch| {
            let link = NewLink {
                name: "probe",
                ..NewLink::default()
            };
            add_bridge(batch, &link);
        }),
        "veth" => link(|batch| {
            let name = |name| NewLink {
                name,
                ..NewLink::default()
            };
            add_joint(batch, &name("probe0"), &name("probe1"));
        }),
        kind => match KINDS.iter().find(|(name, _)| *name == kind) {
            Some((_, flag)) => enter(*flag),
            None => Err(format!("nothing is called {kind}")),
        },
    }
}

/// Makes namespaces; without privilege in a user namespace, as a container's are.
fn enter(flags: u64) -> Result<(), Refused> {
    let own = match rustix::process::geteuid().is_root() {
        true => 0,
        false => USER,
    };
    unshare_namespaces(flags | own).map_err(words)
}

fn words(errno: Errno) -> Refused {
    io::Error::from(errno).to_string()
}

fn link(make: impl FnOnce(&mut Batch)) -> Result<(), Refused> {
    enter(NET)?;
    let socket = NetlinkSocket::route().map_err(words)?;
    let mut batch = Batch::new();
    make(&mut batch);
    let bytes = batch.bytes().map_err(words)?;
    socket
        .perform(bytes)
        .map_err(|refusal| words(refusal.errno))
}

/// A mount of a folder as another user namespace sees it (mount_setattr(2), MOUNT_ATTR_IDMAP): tried
/// on a copy of the mount that is attached nowhere.
fn idmap(folder: &str) -> Result<(), Refused> {
    let text = |e: io::Error| e.to_string();
    // by path: our own program
    let mut holder = Command::new("/proc/self/exe")
        .args(["internal", "probe", "hold"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(text)?;
    let mapped = map_as(folder, &mut holder);
    // Its standard input ends, and so does it.
    drop(holder.stdin.take());
    holder.wait().map_err(text)?;
    mapped
}

fn map_as(folder: &str, holder: &mut Child) -> Result<(), Refused> {
    let text = |e: io::Error| e.to_string();
    let mut ready = [0; 1];
    let said = holder.stdout.as_mut().map(|out| out.read_exact(&mut ready));
    said.unwrap_or(Ok(())).map_err(text)?;
    let pid = holder.id();
    // by path: procfs, of our own child
    for map in ["uid_map", "gid_map"] {
        std::fs::write(format!("/proc/{pid}/{map}"), "0 100000 65536").map_err(text)?;
    }
    let users = File::open(format!("/proc/{pid}/ns/user")).map_err(text)?;
    enter(MNT)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let copy = open_tree(CWD, folder, flags).map_err(words)?;
    let attributes = MountAttributes::default();
    mount_setattr(copy.as_fd(), c"", attributes, Some(users.as_fd())).map_err(words)
}

/// Holds a user namespace until nobody needs it any more.
fn hold() -> Result<(), Refused> {
    unshare_namespaces(USER).map_err(words)?;
    let text = |e: io::Error| e.to_string();
    io::stdout().write_all(b".").map_err(text)?;
    io::stdout().flush().map_err(text)?;
    io::stdin().read_to_end(&mut Vec::new()).map_err(text)?;
    Ok(())
}

/// An overlay of three folders on a tmpfs, in a mount namespace that nobody else sees.
fn overlay() -> Result<(), Refused> {
    let is_root = rustix::process::geteuid().is_root();
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    enter(MNT)?;
    if !is_root {
        // by path: procfs, of ourselves
        let write = |file: &str, text: String| std::fs::write(format!("/proc/self/{file}"), text);
        write("setgroups", "deny".into())
            .and_then(|()| write("uid_map", format!("0 {uid} 1")))
            .and_then(|()| write("gid_map", format!("0 {gid} 1")))
            .map_err(|e| e.to_string())?;
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(words)?;
    let none = MountFlags::empty();
    mount("tmpfs", "/tmp", "tmpfs", none, c"mode=700").map_err(words)?;
    for folder in ["lower", "upper", "work", "root"] {
        // by path: the tmpfs above
        std::fs::create_dir(format!("/tmp/{folder}")).map_err(|e| e.to_string())?;
    }
    let layers = c"lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work";
    let as_user = c"lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work,userxattr";
    let options = if is_root { layers } else { as_user };
    mount("overlay", "/tmp/root", "overlay", none, options).map_err(words)
}
