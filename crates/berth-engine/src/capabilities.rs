//! Which capabilities a container gets: Docker's default, `--cap-add`, `--cap-drop`,
//! `--privileged`, within what the caller has.

use oci_spec::runtime::Capability as Cap;
use rustix::thread::{CapabilitySet, capability_is_in_bounding_set};

use crate::options::Capability;

/// Every capability of capabilities(7) with its number, which is its bit in CapBnd.
pub(crate) const ALL: [Cap; 41] = [
    Cap::Chown,
    Cap::DacOverride,
    Cap::DacReadSearch,
    Cap::Fowner,
    Cap::Fsetid,
    Cap::Kill,
    Cap::Setgid,
    Cap::Setuid,
    Cap::Setpcap,
    Cap::LinuxImmutable,
    Cap::NetBindService,
    Cap::NetBroadcast,
    Cap::NetAdmin,
    Cap::NetRaw,
    Cap::IpcLock,
    Cap::IpcOwner,
    Cap::SysModule,
    Cap::SysRawio,
    Cap::SysChroot,
    Cap::SysPtrace,
    Cap::SysPacct,
    Cap::SysAdmin,
    Cap::SysBoot,
    Cap::SysNice,
    Cap::SysResource,
    Cap::SysTime,
    Cap::SysTtyConfig,
    Cap::Mknod,
    Cap::Lease,
    Cap::AuditWrite,
    Cap::AuditControl,
    Cap::Setfcap,
    Cap::MacOverride,
    Cap::MacAdmin,
    Cap::Syslog,
    Cap::WakeAlarm,
    Cap::BlockSuspend,
    Cap::AuditRead,
    Cap::Perfmon,
    Cap::Bpf,
    Cap::CheckpointRestore,
];

/// What Docker gives a container that asks for nothing (14 of 41).
const DEFAULT: [Cap; 14] = [
    Cap::Chown,
    Cap::DacOverride,
    Cap::Fsetid,
    Cap::Fowner,
    Cap::Mknod,
    Cap::NetRaw,
    Cap::Setgid,
    Cap::Setuid,
    Cap::Setfcap,
    Cap::Setpcap,
    Cap::NetBindService,
    Cap::SysChroot,
    Cap::Kill,
    Cap::AuditWrite,
];

/// A set of capabilities, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Capabilities(u64);

impl Capabilities {
    /// The bounding set of the calling thread (PR_CAPBSET_READ, capabilities(7)).
    pub(crate) fn bounding_of_caller() -> Self {
        let mut set = Self::default();
        for (number, _) in ALL.iter().enumerate() {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            // EINVAL: the kernel is older than the capability.
            if capability_is_in_bounding_set(capability).unwrap_or(false) {
                set.0 |= 1 << number;
            }
        }
        set
    }

    /// All capabilities that this build knows: what the first process of a new user namespace
    /// has, whatever its creator had (user_namespaces(7)).
    pub(crate) fn all() -> Self {
        Self::of(&ALL)
    }

    fn of(capabilities: &[Cap]) -> Self {
        capabilities.iter().copied().collect()
    }

    fn insert(&mut self, capability: Cap) {
        if let Some(number) = ALL.iter().position(|c| *c == capability) {
            self.0 |= 1 << number;
        }
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it holds a capability given by name, `CAP_SYS_ADMIN` for one.
    pub(crate) fn contains(self, name: &str) -> bool {
        let short = name.strip_prefix("CAP_").unwrap_or(name);
        self.iter()
            .any(|capability| capability.to_string() == short)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Cap> {
        ALL.into_iter()
            .enumerate()
            .filter(move |(number, _)| self.0 & (1 << number) != 0)
            .map(|(_, capability)| capability)
    }

    fn names(self) -> String {
        let names: Vec<String> = self.iter().map(|c| format!("CAP_{c}")).collect();
        names.join(", ")
    }
}

impl FromIterator<Cap> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Cap>>(capabilities: I) -> Self {
        let mut set = Self::default();
        for capability in capabilities {
            set.insert(capability);
        }
        set
    }
}

/// A text is not a capability.
#[derive(Debug, thiserror::Error)]
#[error("unknown capability {0:?}; capabilities(7) lists the names, CAP_NET_ADMIN for one, or ALL")]
pub(crate) struct UnknownCapability(pub(crate) String);

/// What a container gets, and what the user should know about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) set: Capabilities,
    pub(crate) warning: Option<String>,
}

/// Decides the bounding set of a container: Docker's default, or with `privileged` all of
/// `available`, changed by `add` and `drop`. `ALL` in `drop` starts from nothing, `ALL` in `add`
/// from everything available.
///
/// What lies outside `available` is dropped with a warning, as the OCI spec's SHOULD has it, but
/// silently where only a word for "everything" asked for it.
pub(crate) fn grant(
    add: &[Capability],
    drop: &[Capability],
    privileged: bool,
    available: Capabilities,
) -> Result<Granted, UnknownCapability> {
    let (add_all, added) = parse(add)?;
    let (drop_all, dropped) = parse(drop)?;
    if privileged {
        return Ok(Granted {
            set: available,
            warning: None,
        });
    }
    let base = match (drop_all, add_all) {
        (true, _) => Capabilities::default(),
        (false, true) => available.without(dropped),
        (false, false) => Capabilities::of(&DEFAULT).without(dropped),
    };
    let wanted = base.or(added);
    let missing = wanted.without(available);
    let warning = (missing != Capabilities::default()).then(|| {
        format!(
            "{} not granted: the caller's own bounding set lacks it",
            missing.names()
        )
    });
    Ok(Granted {
        set: wanted.and(available),
        warning,
    })
}

fn parse(names: &[Capability]) -> Result<(bool, Capabilities), UnknownCapability> {
    let mut all = false;
    let mut set = Capabilities::default();
    for Capability(name) in names {
        if name == "ALL" || name == "CAP_ALL" {
            all = true;
            continue;
        }
        let short = name.strip_prefix("CAP_").unwrap_or(name);
        let known = ALL.iter().find(|c| c.to_string() == short);
        set.insert(*known.ok_or_else(|| UnknownCapability(name.clone()))?);
    }
    Ok((all, set))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(names: &[&str]) -> Vec<Capability> {
        names.iter().map(|n| Capability((*n).into())).collect()
    }

    fn granted(add: &[&str], drop: &[&str]) -> String {
        let granted = grant(&caps(add), &caps(drop), false, Capabilities::all()).unwrap();
        assert_eq!(granted.warning, None);
        granted.set.names()
    }

    #[test]
    fn the_default_is_dockers_bit_mask() {
        let granted = grant(&[], &[], false, Capabilities::all()).unwrap();
        // CapEff of "docker run --rm alpine grep CapEff /proc/self/status".
        assert_eq!(granted.set.0, 0xa804_25fb);
    }

    #[test]
    fn add_and_drop_change_the_default() {
        assert_eq!(granted(&[], &["ALL"]), "");
        assert_eq!(
            granted(&["CAP_NET_ADMIN", "CHOWN"], &["ALL"]),
            "CAP_CHOWN, CAP_NET_ADMIN"
        );
        assert!(!granted(&[], &["CAP_MKNOD"]).contains("MKNOD"));
        assert_eq!(granted(&["ALL"], &[]).split(", ").count(), ALL.len());
        assert!(!granted(&["ALL"], &["CAP_SYS_ADMIN"]).contains("SYS_ADMIN"));
    }

    #[test]
    fn what_the_caller_lacks_is_dropped_with_a_warning() {
        let available = Capabilities::all().without(Capabilities::of(&[Cap::SysResource]));
        let named = grant(&caps(&["CAP_SYS_RESOURCE"]), &[], false, available).unwrap();
        insta::assert_snapshot!(named.warning.unwrap(), @"CAP_SYS_RESOURCE not granted: the caller's own bounding set lacks it");
        assert_eq!(named.set.0, 0xa804_25fb);
        let privileged = grant(&[], &[], true, available).unwrap();
        assert_eq!(privileged.warning, None);
        assert_eq!(privileged.set, available);
        let all = grant(&caps(&["ALL"]), &[], false, available).unwrap();
        assert_eq!(all.warning, None);
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        let error = grant(&caps(&["CAP_FLY"]), &[], false, Capabilities::all()).unwrap_err();
        insta::assert_snapshot!(error, @r#"unknown capability "CAP_FLY"; capabilities(7) lists the names, CAP_NET_ADMIN for one, or ALL"#);
    }

    #[test]
    fn every_number_fits_the_kernels_order() {
        // CAP_CHECKPOINT_RESTORE is 40, CAP_SYS_ADMIN 21 (linux/capability.h).
        assert_eq!(ALL.iter().position(|c| *c == Cap::SysAdmin), Some(21));
        assert_eq!(
            ALL.iter().position(|c| *c == Cap::CheckpointRestore),
            Some(40)
        );
    }
}
