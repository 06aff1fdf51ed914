//! Capabilities and resource limits: names to numbers.

use oci_spec::runtime::Capabilities;

/// capabilities(7), in the kernel's order: the index is the bit.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// All of them, as bits.
pub const ALL: u64 = (1 << NAMES.len()) - 1;

/// The names of a set of bits, `CAP_CHOWN` first.
pub fn names_of(bits: u64) -> Vec<String> {
    let is_set = |(index, _): &(usize, &&str)| bits & (1 << index) != 0;
    let set = NAMES.iter().enumerate().filter(is_set);
    set.map(|(_, name)| format!("CAP_{name}")).collect()
}

/// The set as bits, bit N for capability N.
pub fn bits(set: Option<&Capabilities>) -> u64 {
    let mut bits = 0;
    for capability in set.into_iter().flatten() {
        let name = capability.to_string();
        let name = name.strip_prefix("CAP_").unwrap_or(&name);
        if let Some(index) = NAMES.iter().position(|known| *known == name) {
            bits |= 1 << index;
        }
    }
    bits
}

/// RLIMIT_* numbers of x86_64 and arm64 (asm-generic/resource.h), by spec name.
pub fn resource_number(name: &str) -> Option<u32> {
    const RESOURCES: [&str; 16] = [
        "RLIMIT_CPU",
        "RLIMIT_FSIZE",
        "RLIMIT_DATA",
        "RLIMIT_STACK",
        "RLIMIT_CORE",
        "RLIMIT_RSS",
        "RLIMIT_NPROC",
        "RLIMIT_NOFILE",
        "RLIMIT_MEMLOCK",
        "RLIMIT_AS",
        "RLIMIT_LOCKS",
        "RLIMIT_SIGPENDING",
        "RLIMIT_MSGQUEUE",
        "RLIMIT_NICE",
        "RLIMIT_RTPRIO",
        "RLIMIT_RTTIME",
    ];
    RESOURCES
        .iter()
        .position(|known| *known == name)
        .and_then(|n| u32::try_from(n).ok())
}

/// The resource of a spec's name.
pub(crate) fn resource(name: &str) -> Option<rustix::process::Resource> {
    let number = usize::try_from(resource_number(name)?).ok()?;
    RESOURCES.get(number).copied()
}

/// Every resource, by its number.
pub(crate) const RESOURCES: [rustix::process::Resource; 16] = {
    use rustix::process::Resource;
    [
        Resource::Cpu,
        Resource::Fsize,
        Resource::Data,
        Resource::Stack,
        Resource::Core,
        Resource::Rss,
        Resource::Nproc,
        Resource::Nofile,
        Resource::Memlock,
        Resource::As,
        Resource::Locks,
        Resource::Sigpending,
        Resource::Msgqueue,
        Resource::Nice,
        Resource::Rtprio,
        Resource::Rttime,
    ]
};
