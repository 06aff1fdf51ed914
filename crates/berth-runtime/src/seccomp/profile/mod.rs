//! The profile that a container gets when nobody asks for another.

mod calls;

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompOperator, LinuxSyscall,
};

use calls::{
    ALWAYS, BY_ARCHITECTURE, BY_CAPABILITY, CLONE_NAMESPACES, FAMILIES, FAMILIES_BELOW,
    PERSONALITIES, TRACING,
};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// The default profile for a container with these capabilities (`CAP_CHOWN`, ...), on a kernel
/// with this release (`6.1.0-18-amd64`, as uname(2) gives it).
///
/// An allow list: anything else answers EPERM, io_uring among it. Its effect is that of Docker's
/// default profile of 2026; a capability brings the calls that are of no use without it.
pub fn default_profile<S: AsRef<str>>(capabilities: &[S], kernel_release: &str) -> LinuxSeccomp {
    let has = |name: &str| {
        capabilities
            .iter()
            .any(|capability| capability.as_ref() == name)
    };
    let mut rules = vec![allow(ALWAYS.iter().flat_map(|group| group.iter()))];
    for (arch, calls) in BY_ARCHITECTURE {
        if *arch == std::env::consts::ARCH {
            rules.push(allow(calls.iter()));
        }
    }
    if is_at_least(kernel_release, (4, 8)) {
        rules.push(allow(TRACING.iter()));
    }
    rules.push(allow_if(
        "socket",
        0,
        LinuxSeccompOperator::ScmpCmpLt,
        FAMILIES_BELOW,
    ));
    for family in FAMILIES {
        rules.push(allow_if(
            "socket",
            0,
            LinuxSeccompOperator::ScmpCmpEq,
            *family,
        ));
    }
    for persona in PERSONALITIES {
        rules.push(allow_if(
            "personality",
            0,
            LinuxSeccompOperator::ScmpCmpEq,
            *persona,
        ));
    }
    for (capability, calls) in BY_CAPABILITY {
        if has(capability) {
            rules.push(allow(calls.iter()));
        }
    }
    if !has("CAP_SYS_ADMIN") {
        rules.extend(clone_without_namespaces());
    }
    let mut profile = LinuxSeccomp::default();
    profile
        .set_default_action(LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(EPERM))
        .set_architectures(architectures())
        .set_syscalls(Some(rules));
    profile
}

/// clone(2) without a flag that makes a namespace; and clone3(2), whose flags stand in memory
/// where no filter can look, as if the kernel did not have it: the C libraries then use clone(2).
fn clone_without_namespaces() -> [LinuxSyscall; 2] {
    // s390 has the arguments the other way round.
    let index = if std::env::consts::ARCH == "s390x" {
        1
    } else {
        0
    };
    let clone = allow_if(
        "clone",
        index,
        LinuxSeccompOperator::ScmpCmpMaskedEq,
        CLONE_NAMESPACES,
    );
    let mut clone3 = rule(["clone3"], LinuxSeccompAction::ScmpActErrno);
    clone3.set_errno_ret(Some(ENOSYS));
    [clone, clone3]
}

/// The architecture of this machine and those whose programs it runs as well.
fn architectures() -> Option<Vec<Arch>> {
    match std::env::consts::ARCH {
        "x86_64" => Some(vec![
            Arch::ScmpArchX86_64,
            Arch::ScmpArchX86,
            Arch::ScmpArchX32,
        ]),
        "aarch64" => Some(vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm]),
        "s390x" => Some(vec![Arch::ScmpArchS390x, Arch::ScmpArchS390]),
        _ => None,
    }
}

fn rule<'a>(names: impl IntoIterator<Item = &'a str>, action: LinuxSeccompAction) -> LinuxSyscall {
    let mut rule = LinuxSyscall::default();
    rule.set_names(names.into_iter().map(str::to_owned).collect())
        .set_action(action);
    rule
}

fn allow<'a>(names: impl Iterator<Item = &'a &'a str>) -> LinuxSyscall {
    rule(names.copied(), LinuxSeccompAction::ScmpActAllow)
}

fn allow_if(name: &str, index: usize, op: LinuxSeccompOperator, value: u64) -> LinuxSyscall {
    // No field is required, so the builder cannot fail; its default would allow next to nothing.
    // The second value is what a mask is to leave: nothing.
    let arg = LinuxSeccompArgBuilder::default()
        .index(index)
        .op(op)
        .value(value)
        .value_two(0u64);
    let arg: LinuxSeccompArg = arg.build().unwrap_or_default();
    let mut rule = rule([name], LinuxSeccompAction::ScmpActAllow);
    rule.set_args(Some(vec![arg]));
    rule
}

/// Whether a release like `6.1.0-18-amd64` is at least this version; one that cannot be read is
/// taken as new, since all supported kernels are.
fn is_at_least(release: &str, least: (u32, u32)) -> bool {
    let number = |text: Option<&str>| -> Option<u32> {
        let text = text?;
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        text.get(..digits)?.parse().ok()
    };
    let mut parts = release.split('.');
    match (number(parts.next()), number(parts.next())) {
        (Some(major), Some(minor)) => (major, minor) >= least,
        _ => true,
    }
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
