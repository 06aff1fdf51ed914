//! The steps of a plan: what stage and init do, one system-call-sized action each.

use std::ffi::CString;

use berth_sys::{MountAttributes, SchedulerAttributes};
use rustix::fs::Gid;

use super::Mappings;

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

/// A Linux security module that labels programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityModule {
    /// AppArmor: the name of a profile.
    AppArmor,
    /// SELinux: a context.
    SeLinux,
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

/// A folder below a descriptor; the descriptor's own where the path is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the path starts.
    pub at: Slot,
    /// Relative.
    pub path: CString,
}

/// How overlayfs is told its lower layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowerOption {
    /// `lowerdir`: there is one.
    Single,
    /// `lowerdir+` for each (Linux 6.8).
    Appended,
    /// One page of options for mount(2), in our own mount namespace: a string for fsconfig(2) ends
    /// at 255 bytes. All lower layers are open, so that each takes a number and a colon.
    Page,
}

/// An overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The lower layers, the topmost first.
    pub lowers: Vec<Place>,
    /// The upper layer.
    pub upper: Place,
    /// The work folder, on the same mount.
    pub work: Place,
    /// How the kernel is told of the lower layers.
    pub lower_option: LowerOption,
    /// What else it is told.
    pub options: Vec<(CString, Option<CString>)>,
    /// Attributes of the mount.
    pub attributes: u64,
    /// The host's ids that overlayfs works with on layers that are mapped to others than ours.
    pub owner: Option<(u32, u32)>,
    /// Whether the upper layer is on disk, which may be full.
    pub on_disk: bool,
    /// Where the mount goes.
    pub slot: Slot,
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
    /// Opens a path below a host path, never leaving it (openat2(2), RESOLVE_BENEATH), and clones
    /// the mount at what was opened: who can write there cannot swap it for a link in between.
    CloneBeneath {
        host: CString,
        path: CString,
        recursive: bool,
        slot: Slot,
    },
    /// Files made from here on belong to these host ids.
    ActAs { uid: u32, gid: u32 },
    /// Gives a detached mount, cloned from a host path, the id mapping of the container's user
    /// namespace.
    IdMap { host: CString, slot: Slot },
    /// Makes a user namespace with these mappings, which nobody lives in.
    MakeUserNamespace { mappings: Mappings, slot: Slot },
    /// Opens the user namespace at a host path.
    OpenUserNamespace { host: CString, slot: Slot },
    /// Gives a detached mount, or the whole tree of it, the mapping of a user namespace.
    IdMapBy {
        slot: Slot,
        namespace: Slot,
        recursive: bool,
    },
    /// Opens a socket for the interfaces of our own network namespace.
    OpenInterfaces { slot: Slot },

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
    /// Ends propagation to the host for the whole mount namespace; what the host mounts later
    /// still arrives.
    FollowMounts,
    /// Ends propagation from and to the mount that holds this host path, and no other.
    IsolateMount { host: CString },
    /// Takes an interface out of the namespace of the socket, under its name inside, with its
    /// addresses.
    TakeInterface {
        socket: Slot,
        name: CString,
        inside: CString,
    },
    /// Brings up `lo`.
    LoopbackUp,
    /// sethostname(2).
    Hostname(CString),
    /// setdomainname(2).
    Domainname(CString),

    /// Makes a file system instance as a detached mount.
    NewFilesystem {
        fstype: CString,
        source: CString,
        options: Vec<(CString, Option<CString>)>,
        attributes: u64,
        slot: Slot,
    },
    /// Opens a folder below a slot (O_PATH).
    OpenFolder { folder: Place, slot: Slot },
    /// Makes an overlay as a detached mount.
    Overlay(Box<Overlay>),
    /// mount_setattr(2) on a mount.
    SetAttributes {
        slot: Slot,
        attributes: MountAttributes,
    },
    /// Attaches a detached mount over `/`, in our own mount namespace; host paths still resolve
    /// below it, since a walk starts at the root and does not cross what is stacked there.
    AttachScratch { slot: Slot },
    /// Attaches a detached mount over a host path; over `/` where the path is out of reach.
    AttachInPlace { slot: Slot, host: CString },
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
    /// A device node or FIFO in the root; one that is there already must be the same.
    PlaceDevice {
        path: CString,
        device: DeviceNumber,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    /// A symbolic link in the root, in place of whatever file has its name if so told.
    PlaceSymlink {
        path: CString,
        target: CString,
        replace: bool,
    },
    /// Changes the mount at a path of the root.
    Remount {
        path: CString,
        attributes: MountAttributes,
    },
    /// Copies what is at a path of the root into a detached mount.
    CopyUp { path: CString, slot: Slot },
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
    /// Opens /dev/pts of the root, which must be a devpts.
    OpenDevpts { slot: Slot },
    /// Binds our terminal over `console` of the /dev in `dev`.
    BindConsole { dev: Slot },
    /// Binds our terminal over /dev/console of the root.
    PlaceConsole,
    /// pivot_root(2) into the root and unmounts the old one.
    Pivot,
    /// The same where mounts are still shared with the host's namespace: letting go of them there
    /// must not unmount them here.
    PivotFromShared,
    /// Moves the root over `/` and enters it.
    MoveRoot,
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
    /// Makes the streams belong to the user, whatever they are, save the null device.
    OwnAllStreams { uid: u32, gid: u32 },
    /// personality(2).
    Personality { persona: u32 },
    /// sched_setattr(2).
    Scheduler(SchedulerAttributes),
    /// ioprio_set(2).
    IoPriority { value: u32 },
    /// sched_setaffinity(2): one bit for each CPU.
    Affinity { mask: Vec<u64> },
    /// set_mempolicy(2): mode with its flags, one bit for each node.
    MemoryPolicy { mode: u32, nodes: Vec<u64> },
    /// Tells a security module the label of the next program, through the procfs in `proc`.
    ExecLabel {
        proc: Slot,
        module: SecurityModule,
        text: CString,
    },
    /// Removes capabilities from the bounding set.
    DropBounding { keep: u64 },
    /// Sets groups, gid and uid, keeping permitted capabilities.
    SetIds {
        uid: u32,
        gid: u32,
        groups: Vec<Gid>,
    },
    /// Sets the four sets; the inheritable one is empty unless the spec says otherwise.
    SetCapabilities {
        effective: u64,
        permitted: u64,
        inheritable: u64,
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
