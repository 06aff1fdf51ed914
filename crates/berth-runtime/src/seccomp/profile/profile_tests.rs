use std::collections::BTreeSet;

use super::*;
use crate::seccomp::compile;
use crate::seccomp::machine::{Call, Verdict, X86, run};

/// What Docker gives a container.
const DOCKER: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

const EPERM: Verdict = Verdict::Errno(1);
const ENOSYS: Verdict = Verdict::Errno(38);
const ALLOW: Verdict = Verdict::Allow;

/// The numbers of some calls on x86_64 (asm/unistd_64.h).
const READ: u32 = 0;
const SOCKET: u32 = 41;
const CLONE: u32 = 56;
const PTRACE: u32 = 101;
const PERSONALITY: u32 = 135;
const CHROOT: u32 = 161;
const MOUNT: u32 = 165;
const REBOOT: u32 = 169;
const ADD_KEY: u32 = 248;
const KEYCTL: u32 = 250;
const UNSHARE: u32 = 272;
const OPEN_BY_HANDLE_AT: u32 = 304;
const SETNS: u32 = 308;
const BPF: u32 = 321;
const USERFAULTFD: u32 = 323;
const IO_URING_SETUP: u32 = 425;
const IO_URING_REGISTER: u32 = 427;
const CLONE3: u32 = 435;

struct Filter(Vec<[u8; 8]>);

impl Filter {
    fn new(capabilities: &[&str], release: &str) -> Self {
        Self(
            compile(&default_profile(capabilities, release))
                .unwrap()
                .program,
        )
    }

    fn on(&self, call: Call) -> Verdict {
        run(&self.0, call)
    }

    fn call(&self, number: u32) -> Verdict {
        self.on(Call::new(number))
    }
}

#[test]
fn a_plain_container() {
    let filter = Filter::new(&DOCKER, "6.1.0-18-amd64");
    for allowed in [READ, PTRACE, CHROOT] {
        assert_eq!(filter.call(allowed), ALLOW, "{allowed}");
    }
    for denied in [
        MOUNT,
        REBOOT,
        ADD_KEY,
        KEYCTL,
        UNSHARE,
        OPEN_BY_HANDLE_AT,
        SETNS,
        BPF,
        USERFAULTFD,
        IO_URING_SETUP,
        426,
        IO_URING_REGISTER,
    ] {
        assert_eq!(filter.call(denied), EPERM, "{denied}");
    }
    assert_eq!(filter.call(CLONE3), ENOSYS);
    assert_eq!(filter.call(460), ENOSYS);
    let clone = |flags: u64| filter.on(Call::new(CLONE).arg(0, flags));
    assert_eq!(clone(0x0100_0011), ALLOW);
    for bit in [17, 25, 26, 27, 28, 29, 30] {
        assert_eq!(clone(1 << bit | 17), EPERM, "bit {bit}");
    }
    let personality = |value: u64| filter.on(Call::new(PERSONALITY).arg(0, value));
    assert_eq!((personality(0), personality(0xffff_ffff)), (ALLOW, ALLOW));
    assert_eq!(
        (personality(0x4_0000), personality(0x20_0000)),
        (EPERM, EPERM)
    );
}

#[test]
fn socket_families() {
    let filter = Filter::new(&DOCKER, "6.1.0");
    let allowed: BTreeSet<u64> = (0..64)
        .filter(|family| filter.on(Call::new(SOCKET).arg(0, *family)) == ALLOW)
        .collect();
    let denied: Vec<u64> = (0..46).filter(|family| !allowed.contains(family)).collect();
    // Among them AF_ALG (38) and AF_VSOCK (40).
    assert_eq!(denied, [12, 19, 20, 23, 25, 34, 37, 38, 40]);
    assert!(allowed.iter().all(|family| *family < 46));
}

#[test]
fn programs_of_other_architectures_get_the_same() {
    let filter = Filter::new(&DOCKER, "6.1.0");
    // i386: read 3, unshare 310, mount 21, io_uring_setup 425, socket 359.
    let x86 = |number: u32| filter.on(Call::new(number).on(X86));
    assert_eq!(
        (x86(3), x86(310), x86(21), x86(425)),
        (ALLOW, EPERM, EPERM, EPERM)
    );
    assert_eq!(filter.on(Call::new(359).on(X86).arg(0, 38)), EPERM);
    assert_eq!(x86(460), ENOSYS);
    let x32 = |number: u32| filter.call(number | 0x4000_0000);
    assert_eq!(
        (x32(READ), x32(MOUNT), x32(IO_URING_SETUP)),
        (ALLOW, EPERM, EPERM)
    );
}

#[test]
fn capabilities_bring_their_calls() {
    let admin = Filter::new(&["CAP_SYS_ADMIN"], "6.1.0");
    for allowed in [UNSHARE, MOUNT, SETNS, BPF, CLONE3, CLONE] {
        assert_eq!(admin.call(allowed), ALLOW, "{allowed}");
    }
    assert_eq!(admin.on(Call::new(CLONE).arg(0, 1 << 28)), ALLOW);
    for denied in [REBOOT, CHROOT, KEYCTL, IO_URING_SETUP, OPEN_BY_HANDLE_AT] {
        assert_eq!(admin.call(denied), EPERM, "{denied}");
    }
    // acct, finit_module, mbind, kcmp, iopl, settimeofday, vhangup, syslog, perf_event_open.
    for (capability, call) in [
        ("CAP_BPF", BPF),
        ("CAP_DAC_READ_SEARCH", OPEN_BY_HANDLE_AT),
        ("CAP_PERFMON", 298),
        ("CAP_SYS_BOOT", REBOOT),
        ("CAP_SYS_CHROOT", CHROOT),
        ("CAP_SYS_MODULE", 313),
        ("CAP_SYS_NICE", 237),
        ("CAP_SYS_PACCT", 163),
        ("CAP_SYS_PTRACE", 312),
        ("CAP_SYS_RAWIO", 172),
        ("CAP_SYS_TIME", 164),
        ("CAP_SYS_TTY_CONFIG", 153),
        ("CAP_SYSLOG", 103),
    ] {
        assert_eq!(Filter::new(&[], "6.1.0").call(call), EPERM, "{capability}");
        assert_eq!(
            Filter::new(&[capability], "6.1.0").call(call),
            ALLOW,
            "{capability}"
        );
    }
}

#[test]
fn tracing_waits_for_kernel_4_8() {
    assert_eq!(Filter::new(&[], "4.7.10").call(PTRACE), EPERM);
    assert_eq!(Filter::new(&[], "4.8.0-rc1").call(PTRACE), ALLOW);
    assert_eq!(
        Filter::new(&["CAP_SYS_PTRACE"], "4.7.10").call(PTRACE),
        ALLOW
    );
    for (release, new) in [
        ("6", true),
        ("10.0", true),
        ("4.8-x", true),
        ("3.99", false),
        ("", true),
    ] {
        assert_eq!(is_at_least(release, (4, 8)), new, "{release:?}");
    }
}

#[test]
fn it_fits_into_a_spec_and_back() {
    let profile = default_profile(&DOCKER, "6.1.0");
    let json = serde_json::to_string(&profile).unwrap();
    assert_eq!(
        serde_json::from_str::<LinuxSeccomp>(&json).unwrap(),
        profile
    );
}

#[test]
fn no_call_stands_in_the_table_twice() {
    let all: Vec<&str> = ALWAYS
        .iter()
        .flat_map(|group| group.iter().copied())
        .collect();
    let distinct: BTreeSet<&str> = all.iter().copied().collect();
    assert_eq!(all.len(), distinct.len());
    let guarded = BY_CAPABILITY.iter().flat_map(|(_, calls)| calls.iter());
    assert!(guarded.into_iter().all(|call| !distinct.contains(call)));
    assert!(
        ALWAYS
            .iter()
            .all(|group| group.is_sorted() || group.contains(&"socketcall"))
    );
}
