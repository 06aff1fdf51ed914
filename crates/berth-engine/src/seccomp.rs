//! Which seccomp profile a container gets.
//!
//! A profile in Docker's JSON format names syscalls together with conditions on architecture,
//! kernel and capabilities; what remains once they are decided is the spec's form.

use std::fs;
use std::path::Path;

use berth_base::ErrorClass;
use berth_runtime::seccomp::default_profile;
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSyscall,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::EngineError;
use crate::capabilities::Capabilities;
use crate::options::SeccompChoice;

/// Decides the profile; `None` is no filter.
pub(crate) fn choose(
    choice: &SeccompChoice,
    privileged: bool,
    granted: Capabilities,
) -> Result<Option<LinuxSeccomp>, EngineError> {
    match choice {
        SeccompChoice::Unconfined => Ok(None),
        // As Docker: a profile that was asked for holds for a privileged container too.
        SeccompChoice::Default if privileged => Ok(None),
        SeccompChoice::Default => {
            let capabilities: Vec<String> = granted.iter().map(|c| format!("CAP_{c}")).collect();
            Ok(Some(default_profile(&capabilities, &kernel_release())))
        }
        SeccompChoice::Profile { path } => {
            let text = fs::read_to_string(path).map_err(|e| {
                let class = match e.kind() {
                    std::io::ErrorKind::NotFound => ErrorClass::NotFound,
                    _ => ErrorClass::Denied,
                };
                unusable(path, class, &e.to_string())
            })?;
            let profile = read(&text, granted, &kernel_release())
                .map_err(|e| unusable(path, ErrorClass::Invalid, &e.to_string()))?;
            Ok(Some(profile))
        }
    }
}

fn unusable(path: &Path, class: ErrorClass, why: &str) -> EngineError {
    let text = format!(
        "cannot use the seccomp profile {}: {why}; give a file in Docker's JSON format, or seccomp=unconfined",
        path.display()
    );
    EngineError::new(class, text).on(path.display().to_string())
}

fn kernel_release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

/// A profile as Docker writes it (moby, profiles/seccomp).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockerProfile {
    default_action: LinuxSeccompAction,
    #[serde(default)]
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Option<Vec<Arch>>,
    #[serde(default)]
    arch_map: Option<Vec<ArchMap>>,
    #[serde(default)]
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    #[serde(default)]
    syscalls: Option<Vec<DockerSyscall>>,
}

/// An architecture and those whose programs it can run as well.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: Arch,
    #[serde(default)]
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockerSyscall {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<LinuxSeccompArg>>,
    #[serde(default)]
    includes: Option<Condition>,
    #[serde(default)]
    excludes: Option<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    #[serde(default)]
    min_kernel: Option<String>,
}

/// What decides conditions.
struct Circumstances<'a> {
    granted: Capabilities,
    /// Docker's (Go's) name of this architecture.
    arch: &'a str,
    /// Major and minor number.
    kernel: (u32, u32),
}

impl Condition {
    /// Every part holds; what is not named holds.
    fn includes(&self, at: &Circumstances<'_>) -> bool {
        let caps = self.caps.iter().flatten().all(|c| at.granted.contains(c));
        let arches = self
            .arches
            .as_ref()
            .is_none_or(|a| a.is_empty() || a.iter().any(|a| a == at.arch));
        caps && arches && self.kernel_is_enough(at).unwrap_or(true)
    }

    /// Some part holds.
    fn excludes(&self, at: &Circumstances<'_>) -> bool {
        let caps = self.caps.iter().flatten().any(|c| at.granted.contains(c));
        let arches = self.arches.iter().flatten().any(|a| a == at.arch);
        caps || arches || self.kernel_is_enough(at).unwrap_or(false)
    }

    fn kernel_is_enough(&self, at: &Circumstances<'_>) -> Option<bool> {
        let wanted = self.min_kernel.as_deref().filter(|k| !k.is_empty())?;
        Some(at.kernel >= version(wanted))
    }
}

/// Major and minor number of `6.1.0-18-amd64`.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The architecture as Docker and libseccomp call it.
fn native() -> (&'static str, Option<Arch>) {
    match std::env::consts::ARCH {
        "x86_64" => ("amd64", Some(Arch::ScmpArchX86_64)),
        "aarch64" => ("arm64", Some(Arch::ScmpArchAarch64)),
        "riscv64" => ("riscv64", Some(Arch::ScmpArchRiscv64)),
        "s390x" => ("s390x", Some(Arch::ScmpArchS390x)),
        other => (other, None),
    }
}

/// Decides the conditions of a profile. Built as JSON, the one form that both sides document.
fn read(text: &str, granted: Capabilities, release: &str) -> serde_json::Result<LinuxSeccomp> {
    let profile: DockerProfile = serde_json::from_str(text)?;
    let (arch, native) = native();
    let at = Circumstances {
        granted,
        arch,
        kernel: version(release),
    };
    let syscalls: Vec<LinuxSyscall> = profile
        .syscalls
        .into_iter()
        .flatten()
        .filter(|s| s.includes.as_ref().is_none_or(|c| c.includes(&at)))
        .filter(|s| !s.excludes.as_ref().is_some_and(|c| c.excludes(&at)))
        .map(to_spec)
        .collect::<Result<_, _>>()?;
    let mut architectures = profile.architectures.unwrap_or_default();
    for map in profile.arch_map.into_iter().flatten() {
        if Some(map.architecture) == native {
            architectures.push(map.architecture);
            architectures.extend(map.sub_architectures.into_iter().flatten());
        }
    }
    let mut value = json!({ "defaultAction": profile.default_action, "syscalls": syscalls });
    insert(&mut value, "defaultErrnoRet", profile.default_errno_ret)?;
    insert(&mut value, "flags", profile.flags)?;
    if !architectures.is_empty() {
        insert(&mut value, "architectures", Some(architectures))?;
    }
    serde_json::from_value(value)
}

fn to_spec(syscall: DockerSyscall) -> serde_json::Result<LinuxSyscall> {
    let mut names = syscall.names.unwrap_or_default();
    names.extend(syscall.name.filter(|n| !n.is_empty()));
    let mut value = json!({ "names": names, "action": syscall.action });
    insert(&mut value, "errnoRet", syscall.errno_ret)?;
    insert(&mut value, "args", syscall.args.filter(|a| !a.is_empty()))?;
    serde_json::from_value(value)
}

fn insert(
    value: &mut serde_json::Value,
    key: &str,
    part: Option<impl Serialize>,
) -> serde_json::Result<()> {
    if let Some(part) = part {
        value[key] = serde_json::to_value(part)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::grant;
    use crate::options::Capability;

    const PROFILE: &str = r#"{
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}
        ],
        "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["future"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.0"}},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}],
             "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["elsewhere"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["z80"]}}
        ]}"#;

    fn names(profile: &LinuxSeccomp) -> Vec<String> {
        let syscalls = profile.syscalls().iter().flatten();
        syscalls.flat_map(|s| s.names().clone()).collect()
    }

    #[test]
    fn conditions_are_decided_by_kernel_capabilities_and_architecture() {
        let default = grant(&[], &[], false, Capabilities::all()).unwrap().set;
        let profile = read(PROFILE, default, "6.1.0-18-amd64").unwrap();
        assert_eq!(names(&profile), ["read", "write", "ptrace", "clone"]);
        let admin = [Capability("CAP_SYS_ADMIN".into())];
        let admin = grant(&admin, &[], false, Capabilities::all()).unwrap().set;
        let profile = read(PROFILE, admin, "6.1.0").unwrap();
        assert_eq!(names(&profile), ["read", "write", "ptrace", "mount"]);
        if std::env::consts::ARCH == "x86_64" {
            let expected = vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86];
            assert_eq!(profile.architectures().as_ref(), Some(&expected));
        }
    }

    #[test]
    fn a_file_that_is_no_profile_says_what_to_give() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.json");
        fs::write(&path, "{}").unwrap();
        for path in [path, dir.path().join("missing")] {
            let choice = SeccompChoice::Profile { path };
            let error = choose(&choice, true, Capabilities::default()).unwrap_err();
            assert!(error.message.contains("Docker's JSON format"), "{error}");
        }
    }
}
