//! Why BPF cannot be used here.

/// Why BPF cannot be used here; procfs is read instead.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum Unavailable {
    /// What is to be read is not this host as the caller sees it: a copy of a procfs, or one of
    /// another PID namespace. BPF knows the caller's PID namespace only.
    #[error("the procfs is not that of the reader's own PID namespace")]
    OtherProcfs,
    /// The caller lacks privilege.
    #[error("CAP_BPF and CAP_PERFMON are missing (run as root)")]
    Privilege,
    /// The kernel gives no type information.
    #[error("{file} cannot be read: {source} (needs a kernel with CONFIG_DEBUG_INFO_BTF)", file = super::BTF_FILE)]
    NoBtf {
        /// Why.
        source: std::io::Error,
    },
    /// The type information is not what was expected.
    #[error("{why} in {file}", file = super::BTF_FILE)]
    Layout {
        /// What is wrong, or missing.
        why: String,
    },
    /// The kernel refused a program.
    #[error("the kernel refuses the program for {what}: {source}")]
    Program {
        /// What it reads.
        what: &'static str,
        /// Why.
        source: berth_sys::bpf::LoadError,
    },
    /// The kernel refused to run it.
    #[error("cannot {what}: {source}")]
    Iterate {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// It ran, but what it wrote makes no sense.
    #[error("the program for {what} wrote a damaged record")]
    Record {
        /// What it reads.
        what: &'static str,
    },
}
