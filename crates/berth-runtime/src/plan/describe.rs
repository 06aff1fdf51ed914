//! Steps in words, for messages and for `berth-runtime plan`.

use std::ffi::CString;
use std::fmt;

use super::step::SecurityModule;
use super::{LowerOption, Overlay, Step};

impl Step {
    /// The step and its object, for messages: "mount proc on /proc".
    pub fn describe(&self) -> String {
        self.to_string()
    }

    /// The field of a spec that asks for the step, where it is one and the same.
    pub(crate) const fn field(&self) -> Option<&'static str> {
        Some(match self {
            Self::MakeDevice { .. } | Self::PlaceDevice { .. } => "linux.devices",
            Self::Mask { .. } => "linux.maskedPaths",
            Self::MakeReadOnly { .. } => "linux.readonlyPaths",
            Self::Sysctl { .. } => "linux.sysctl",
            Self::TakeInterface { .. } => "linux.netDevices",
            Self::RootPropagation { .. } => "linux.rootfsPropagation",
            Self::MemoryPolicy { .. } => "linux.memoryPolicy",
            Self::ExecLabel { module, .. } => match module {
                SecurityModule::AppArmor => "process.apparmorProfile",
                SecurityModule::SeLinux => "process.selinuxLabel",
            },
            Self::Personality { .. } => "linux.personality",
            Self::Seccomp => "linux.seccomp",
            Self::Hostname(_) => "hostname",
            Self::Domainname(_) => "domainname",
            Self::Scheduler(_) => "process.scheduler",
            Self::IoPriority { .. } => "process.ioPriority",
            Self::Affinity { .. } => "process.execCPUAffinity",
            Self::ResourceLimit { .. } => "process.rlimits",
            Self::WorkingDirectory { .. } => "process.cwd",
            Self::SetIds { .. } => "process.user",
            Self::SetCapabilities { .. } | Self::DropBounding { .. } => "process.capabilities",
            Self::OpenTerminal { .. } | Self::OpenDevpts { .. } => "process.terminal",
            _ => return None,
        })
    }

    /// The words for a step whose fields say nothing to a reader.
    const fn phrase(&self) -> &'static str {
        match self {
            Self::ReceiveRoot { .. } => "receive the root from the stage",
            Self::AwaitCgroups => "wait until systemd has made the scope",
            Self::MakeUserNamespace { .. } => "make a user namespace for the ids of a mount",
            Self::IdMapBy { .. } => "map the ids of a mount",
            Self::OpenInterfaces { .. } => "open the host's network interfaces",
            Self::FollowMounts => "make the mount namespace a slave of the host's",
            Self::OpenDevpts { .. } => "open the terminals at /dev/pts",
            Self::PlaceConsole => "bind the terminal to /dev/console",
            Self::PivotFromShared => "pivot into the root, away from shared mounts",
            Self::MoveRoot => "move the root over /",
            Self::Personality { .. } => "set the execution domain",
            Self::Scheduler(_) => "set the scheduler",
            Self::IoPriority { .. } => "set the I/O priority",
            Self::Affinity { .. } => "set the CPU affinity",
            Self::MemoryPolicy { .. } => "set the memory policy",
            Self::AwaitMapping => "wait for the id mappings",
            Self::BecomeNamespaceRoot => "become root of the user namespace",
            Self::EnterCgroups => "enter the cgroups",
            Self::UnshareCgroupNamespace => "unshare the cgroup namespace",
            Self::JoinCgroupNamespace { .. } => "join the cgroup namespace",
            Self::NewSession => "start a session",
            Self::NewKeyring => "join a new session keyring",
            Self::IsolateMounts => "make the mount namespace private",
            Self::LoopbackUp => "bring up the loopback interface",
            Self::SetAttributes { .. } => "set the attributes of a mount",
            Self::AttachScratch { .. } => "attach a mount over the old root",
            Self::SetRoot { .. } => "open the root",
            Self::OpenTerminal { .. } => "open the terminal",
            Self::BindConsole { .. } => "bind the terminal to /dev/console",
            Self::Pivot => "pivot into the root",
            Self::ReadOnlyRoot => "make the root read-only",
            Self::RootPropagation { .. } => "set the propagation of the root",
            Self::DropBounding { .. } => "drop capabilities from the bounding set",
            Self::SetCapabilities { .. } => "set the capabilities",
            Self::NoNewPrivileges => "set no_new_privs",
            Self::Seccomp => "load the seccomp filter",
            Self::AwaitStart => "wait for the start",
            Self::AwaitHooks => "wait for the hooks on the host side",
            Self::CreateContainerHooks => "run the createContainer hooks",
            Self::FindProgram => "find the program",
            Self::AwaitStartCommand => "wait for the start command",
            Self::StartContainerHooks => "run the startContainer hooks",
            _ => "set up the container",
        }
    }
}

/// Shows a C string as text.
fn t(text: &CString) -> std::borrow::Cow<'_, str> {
    text.to_string_lossy()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenHost { host, .. } => write!(f, "open {}", t(host)),
            Self::CloneHost { host, .. } => write!(f, "clone the mount at {}", t(host)),
            Self::CloneBeneath { host, path, .. } => {
                write!(f, "clone the mount at {} below {}", t(path), t(host))
            }
            Self::IdMap { host, .. } => write!(f, "map the ids of the mount at {}", t(host)),
            Self::ActAs { uid, gid } => write!(f, "make files as uid {uid}, gid {gid}"),
            Self::Hostname(name) => write!(f, "set the hostname to {}", t(name)),
            Self::Domainname(name) => write!(f, "set the domain name to {}", t(name)),
            Self::OpenUserNamespace { host, .. } => {
                write!(f, "open the user namespace {}", t(host))
            }
            Self::IsolateMount { host } => write!(f, "make the mount of {} private", t(host)),
            Self::AttachInPlace { host, .. } => write!(f, "attach a mount over {}", t(host)),
            Self::TakeInterface { name, inside, .. } => {
                write!(f, "take the interface {} as {}", t(name), t(inside))
            }
            Self::PlaceDevice { path, .. } => write!(f, "make the device {}", t(path)),
            Self::PlaceSymlink { path, .. } => write!(f, "make the link {}", t(path)),
            Self::Remount { path, .. } => write!(f, "change the mount at {}", t(path)),
            Self::CopyUp { path, .. } => write!(f, "copy what is at {} into the mount", t(path)),
            Self::ExecLabel { text, .. } => write!(f, "set the label {}", t(text)),
            Self::OwnAllStreams { uid, gid } => {
                write!(f, "give the streams to uid {uid}, gid {gid}")
            }
            Self::NewFilesystem {
                fstype, options, ..
            } => {
                write!(f, "make a {} file system", t(fstype))?;
                let mut separator = " with ";
                for (key, value) in options {
                    write!(f, "{separator}{}", t(key))?;
                    if let Some(value) = value {
                        write!(f, "={}", t(value))?;
                    }
                    separator = ",";
                }
                Ok(())
            }
            Self::OpenFolder { folder, .. } => write!(f, "open the folder {}", t(&folder.path)),
            Self::Overlay(overlay) => overlay.fmt(f),
            Self::MakeDirectory { path, .. } => write!(f, "make the directory {}", t(path)),
            Self::MakeFile { path, .. } => write!(f, "make the file {}", t(path)),
            Self::MakeSymlink { path, .. } => write!(f, "make the link {}", t(path)),
            Self::MakeOpaque { path, .. } => write!(f, "make {} opaque", t(path)),
            Self::MakeDevice { path, .. } => write!(f, "make the device {}", t(path)),
            Self::Attach { target, .. } => write!(f, "mount on {}", t(target)),
            Self::Mask { path, .. } => write!(f, "mask {}", t(path)),
            Self::MakeReadOnly { path } => write!(f, "make {} read-only", t(path)),
            Self::Sysctl { path, value, .. } => {
                write!(f, "write {} to sysctl {}", t(value), t(path))
            }
            Self::ResourceLimit {
                name, soft, hard, ..
            } => {
                write!(f, "set the limit {} to {soft}:{hard}", t(name))
            }
            Self::Umask(mask) => write!(f, "set the umask to {mask:03o}"),
            Self::OwnStreams { uid } => write!(f, "give the streams to uid {uid}"),
            Self::SetIds { uid, gid, .. } => write!(f, "become uid {uid}, gid {gid}"),
            Self::WorkingDirectory { path, .. } => {
                write!(f, "enter the working directory {}", t(path))
            }
            plain => f.write_str(plain.phrase()),
        }
    }
}

impl fmt::Display for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upper = t(&self.upper.path);
        match (self.lower_option, self.lowers.as_slice()) {
            (LowerOption::Single, [only]) if only.path.is_empty() => {
                return write!(f, "make the overlay of {upper}");
            }
            (_, [_]) => write!(f, "make the overlay of one layer under {upper}")?,
            (LowerOption::Page, all) => write!(
                f,
                "make the overlay of {} layers under {upper} by mount(2)",
                all.len()
            )?,
            (_, all) => write!(f, "make the overlay of {} layers under {upper}", all.len())?,
        }
        let mut separator = " with ";
        for (key, value) in &self.options {
            write!(f, "{separator}{}", t(key))?;
            if let Some(value) = value {
                write!(f, "={}", t(value))?;
            }
            separator = ",";
        }
        if let Some((uid, gid)) = self.owner {
            write!(f, ", as uid {uid}, gid {gid}")?;
        }
        Ok(())
    }
}
