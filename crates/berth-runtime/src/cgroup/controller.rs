//! The kernel's resource controllers and what they are called.

use std::fmt;

/// A resource controller (cgroups(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Controller {
    /// Block I/O: `blkio` on v1, `io` on v2.
    BlockIo,
    /// CPU bandwidth and weight.
    Cpu,
    /// CPU time accounting, v1 only: on v2 `cpu.stat` is always there.
    CpuAccounting,
    /// CPU and memory node placement.
    Cpuset,
    /// Device access, v1 only: v2 has BPF programs instead.
    Devices,
    /// Freezing, v1 only: on v2 `cgroup.freeze` is always there.
    Freezer,
    /// Huge pages.
    Hugetlb,
    /// Memory.
    Memory,
    /// Packet class, v1 only.
    NetClass,
    /// Packet priority, v1 only.
    NetPriority,
    /// Number of tasks.
    Pids,
    /// RDMA resources.
    Rdma,
}

impl Controller {
    /// The name in v1's mount options and `/proc/PID/cgroup`.
    pub const fn v1_name(self) -> &'static str {
        match self {
            Self::BlockIo => "blkio",
            Self::Cpu => "cpu",
            Self::CpuAccounting => "cpuacct",
            Self::Cpuset => "cpuset",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
            Self::Hugetlb => "hugetlb",
            Self::Memory => "memory",
            Self::NetClass => "net_cls",
            Self::NetPriority => "net_prio",
            Self::Pids => "pids",
            Self::Rdma => "rdma",
        }
    }

    /// The name in v2's `cgroup.controllers`, where it has a v2 form.
    pub const fn v2_name(self) -> Option<&'static str> {
        match self {
            Self::BlockIo => Some("io"),
            Self::Cpu => Some("cpu"),
            Self::Cpuset => Some("cpuset"),
            Self::Hugetlb => Some("hugetlb"),
            Self::Memory => Some("memory"),
            Self::Pids => Some("pids"),
            Self::Rdma => Some("rdma"),
            Self::CpuAccounting
            | Self::Devices
            | Self::Freezer
            | Self::NetClass
            | Self::NetPriority => None,
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.v1_name())
    }
}
