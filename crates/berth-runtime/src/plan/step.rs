//! The steps of a plan: what stage and init do, one system-call-sized action each.

use std::ffi::CString;

use berth_sys::MountAttributes;

/// Names a place for a descriptor that one step opens and later steps use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub usize);

/// What a mount target must be, and is made as when it does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
}

/// Whether symbolic links on the way to a mount target are followed (inside the root).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Followed, never leaving the root (RESOLVE_IN_ROOT).
    InRoot,
    /// Refused (RESOLVE_NO_SYMLINKS): targets of procfs and sysfs, CVE-2019-19921.
    Refused,
}

/// A device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceNumber {
    /// S_IFCHR, S_IFBLK or S_IFIFO.
    pub kind: u32,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// One action. Paths named `host` are resolved on the host side and come from the user or
/// from us; all other paths are resolved inside the root or inside a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sentence of a variant names its fields")]
pub enum Step {
    /// Opens a host path (O_PATH).
    OpenHost { host: CString, slot: Slot },
    /// Clones the mount at a host path as a detached one, checking the device when told.
    CloneHost {
        host: CString,
        recursive: bool,
        device: Option<DeviceNumber>,
        slot: Slot,
    },
    /// Files made from here on belong to these host ids.
    ActAs { uid: u32, gid: u32 },
    /// Gives a detached mount the id mapping of the container's user namespace.
    IdMap { slot: Slot },

    /// Waits until our creator has put us into the cgroups.
    AwaitCgroups,
    /// Waits until the stage has written the id mappings.
    AwaitMapping,
    /// Becomes uid 0 and gid 0 of the user namespace.
    BecomeNamespaceRoot,
    /// Writes "0" to the v1 `tasks` files of the container's cgroups.
    EnterCgroups,
    /// Makes the own cgroup the root of a new cgroup namespace.
    UnshareCgroupNamespace,
    /// Joins the cgroup namespace that was opened into the slot.
    JoinCgroupNamespace { slot: Slot },
    /// setsid(2).
    NewSession,
    /// A fresh anonymous session keyring.
    NewKeyring,
    /// Ends propagation from and to the host for the whole mount namespace.
    IsolateMounts,
    /// Brings up `lo`.
    LoopbackUp,
    /// sethostname(2).
    Hostname(CString),
    /// setdomainname(2).
    Domainname(CString),

    /// Makes a file system instance as a detached mount.
    NewFilesystem {
        fstype: CString,
        options: Vec<(CString, Option<CString>)>,
        attributes: u64,
        slot: Slot,
    },
    /// Makes an overlay of `lower` under `upper`, both directories of the tmpfs `layer`.
    Overlay {
        lower: Slot,
        layer: Slot,
        upper: CString,
        work: CString,
        unprivileged: bool,
        attributes: u64,
        slot: Slot,
    },
    /// mount_setattr(2) on a mount.
    SetAttributes {
        slot: Slot,
        attributes: MountAttributes,
    },
    /// Attaches a detached mount over `/`, in our own mount namespace; host paths still resolve
    /// below it, since a walk starts at the root and does not cross what is stacked there.
    AttachScratch { slot: Slot },
    /// mkdirat(2) below a slot.
    MakeDirectory { at: Slot, path: CString, mode: u32 },
    /// An empty regular file below a slot.
    MakeFile { at: Slot, path: CString, mode: u32 },
    /// A symbolic link below a slot.
    MakeSymlink {
        at: Slot,
        path: CString,
        target: CString,
    },
    /// Marks a directory of an overlay's upper layer opaque.
    MakeOpaque {
        at: Slot,
        path: CString,
        unprivileged: bool,
    },
    /// A device node or FIFO below a slot.
    MakeDevice {
        at: Slot,
        path: CString,
        device: DeviceNumber,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    /// Receives the root that the stage composed and attaches it at the scratch folder.
    ReceiveRoot { slot: Slot },
    /// From here on this mount is the root.
    SetRoot { slot: Slot },
    /// Attaches a detached mount below the root.
    Attach {
        slot: Slot,
        target: CString,
        kind: TargetKind,
        links: Links,
    },
    /// Hides a path of the root: files by the node behind `null`, which
    /// must be `device`; directories by the folder `empty` of `layer`.
    Mask {
        path: CString,
        null: Slot,
        device: DeviceNumber,
        layer: Slot,
        empty: CString,
    },
    /// Makes a path of the root read-only.
    MakeReadOnly { path: CString },
    /// Writes a sysctl through the private procfs in `proc`.
    Sysctl {
        proc: Slot,
        path: CString,
        value: CString,
    },
    /// Opens a pseudo terminal in a devpts, makes it ours, sends its master to the monitor.
    OpenTerminal {
        devpts: Slot,
        rows: u16,
        columns: u16,
    },
    /// Binds our terminal over `console` of the /dev in `dev`.
    BindConsole { dev: Slot },
    /// pivot_root(2) into the root and unmounts the old one.
    Pivot,
    /// Makes the root mount itself read-only.
    ReadOnlyRoot,
    /// Sets the propagation of the root mount.
    RootPropagation { flags: u64 },

    /// setrlimit(2).
    ResourceLimit {
        resource: u32,
        name: CString,
        soft: u64,
        hard: u64,
    },
    /// umask(2).
    Umask(u32),
    /// Makes the streams, when they are pipes, belong to the user.
    OwnStreams { uid: u32 },
    /// Removes capabilities from the bounding set.
    DropBounding { keep: u64 },
    /// Sets groups, gid and uid, keeping permitted capabilities.
    SetIds {
        uid: u32,
        gid: u32,
        groups: Vec<u32>,
    },
    /// Sets effective, permitted and ambient capabilities; the inheritable set stays empty.
    SetCapabilities {
        effective: u64,
        permitted: u64,
        ambient: u64,
    },
    /// PR_SET_NO_NEW_PRIVS.
    NoNewPrivileges,
    /// Loads the seccomp filter of the plan.
    Seccomp,
    /// chdir(2) into a directory of the root, verified to be inside; made when missing, if so told.
    WorkingDirectory { path: CString, create: bool },
    /// Waits until the stage has recorded us.
    AwaitStart,
    /// Waits while the caller runs the hooks that belong on the host side.
    AwaitHooks,
    /// Runs the createContainer hooks: the host's programs, in the container's namespaces.
    CreateContainerHooks,
    /// Fails now if the program cannot be found, instead of at the start.
    FindProgram,
    /// Says that everything is set up and waits for a connection to the start socket.
    AwaitStartCommand,
    /// Runs the startContainer hooks: the container's programs, with its privileges.
    StartContainerHooks,
}
