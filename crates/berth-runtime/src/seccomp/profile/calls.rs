//! Which system calls a container may make: the tables of the default profile, by purpose.
//!
//! The effect is that of Docker's default profile of 2026 (moby/profiles). Names of 32-bit
//! architectures stand beside those of 64-bit ones; libseccomp passes over what an architecture
//! does not have.

/// Allowed to every container.
#[rustfmt::skip]
pub(super) const ALWAYS: &[&[&str]] = &[
    // Open files: read, write, position, copy.
    &[
        "_llseek", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3",
        "fcntl", "fcntl64", "flock", "ioctl", "lseek", "open", "openat", "openat2", "pipe",
        "pipe2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read",
        "readv", "sendfile", "sendfile64", "splice", "tee", "umask", "vmsplice", "write",
        "writev",
    ],
    // Space, cache and durability of files.
    &[
        "cachestat", "fadvise64", "fadvise64_64", "fallocate", "fdatasync", "fsync", "ftruncate",
        "ftruncate64", "readahead", "sync", "sync_file_range", "syncfs", "truncate", "truncate64",
    ],
    // Names: directories, links, lookups.
    &[
        "access", "chdir", "faccessat", "faccessat2", "fchdir", "getcwd", "getdents",
        "getdents64", "link", "linkat", "mkdir", "mkdirat", "mknod", "mknodat",
        "name_to_handle_at", "readlink", "readlinkat", "rename", "renameat", "renameat2",
        "rmdir", "symlink", "symlinkat", "unlink", "unlinkat",
    ],
    // What a file is, whose, and when it changed.
    &[
        "chmod", "chown", "chown32", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32",
        "fchownat", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "futimesat",
        "lchown", "lchown32", "listmount", "lstat", "lstat64", "newfstatat", "stat", "stat64",
        "statfs", "statfs64", "statmount", "statx", "utime", "utimensat", "utimensat_time64",
        "utimes",
    ],
    // Extended attributes.
    &[
        "fgetxattr", "flistxattr", "fremovexattr", "fsetxattr", "getxattr", "getxattrat",
        "lgetxattr", "listxattr", "listxattrat", "llistxattr", "lremovexattr", "lsetxattr",
        "removexattr", "removexattrat", "setxattr", "setxattrat",
    ],
    // Waiting for files and watching them.
    &[
        "_newselect", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old",
        "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2",
        "fanotify_mark", "inotify_add_watch", "inotify_init", "inotify_init1",
        "inotify_rm_watch", "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64",
        "select",
    ],
    // The older asynchronous I/O; io_uring stays out, its calls pass no filter.
    &[
        "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_pgetevents_time64",
        "io_setup", "io_submit",
    ],
    // Sockets that exist; which kinds may be made is in the table of families.
    &[
        "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt",
        "listen", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send",
        "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair",
        // 32-bit x86 multiplexes all of them behind a pointer that no filter can follow.
        "socketcall",
    ],
    // Memory.
    &[
        "brk", "madvise", "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret",
        "mincore", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "mprotect", "mremap",
        "mseal", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free",
        "pkey_mprotect", "remap_file_pages",
    ],
    // Processes and threads.
    &[
        "execve", "execveat", "exit", "exit_group", "fork", "get_robust_list",
        "get_thread_area", "getcpu", "getpgid", "getpgrp", "getpid", "getppid", "getrusage",
        "getsid", "gettid", "kill", "pidfd_open", "pidfd_send_signal", "prctl",
        "process_mrelease", "restart_syscall", "riscv_hwprobe", "rseq", "set_robust_list",
        "set_thread_area", "set_tid_address", "setpgid", "setsid", "tgkill", "times", "tkill",
        "uretprobe", "vfork", "wait4", "waitid", "waitpid",
    ],
    // Locks between threads.
    &[
        "futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv", "futex_wake",
    ],
    // Users, groups, capabilities.
    &[
        "capget", "capset", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
        "getgid32", "getgroups", "getgroups32", "getresgid", "getresgid32", "getresuid",
        "getresuid32", "getuid", "getuid32", "setfsgid", "setfsgid32", "setfsuid",
        "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setregid",
        "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid",
        "setreuid32", "setuid", "setuid32",
    ],
    // Confining oneself further.
    &[
        "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "seccomp",
    ],
    // Signals.
    &[
        "pause", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo",
        "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
        "rt_tgsigqueueinfo", "sigaltstack", "signalfd", "signalfd4", "sigprocmask",
        "sigreturn",
    ],
    // Scheduling and limits.
    &[
        "getpriority", "getrlimit", "ioprio_get", "ioprio_set", "prlimit64",
        "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity",
        "sched_getattr", "sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
        "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr",
        "sched_setparam", "sched_setscheduler", "sched_yield", "setpriority", "setrlimit",
        "ugetrlimit",
    ],
    // Clocks and timers; the kernel itself asks for CAP_SYS_TIME where adjtimex changes something.
    &[
        "adjtimex", "alarm", "clock_adjtime", "clock_adjtime64", "clock_getres",
        "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
        "clock_nanosleep_time64", "getitimer", "gettimeofday", "nanosleep", "setitimer", "time",
        "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
        "timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create",
        "timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64",
    ],
    // System V and POSIX messages, semaphores, shared memory.
    &[
        "ipc", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
        "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl",
        "msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop",
        "semtimedop_time64", "shmat", "shmctl", "shmdt", "shmget",
    ],
    // The system itself.
    &["getrandom", "sysinfo", "uname"],
];

/// Allowed on one architecture only, by the name in [`std::env::consts::ARCH`].
#[rustfmt::skip]
pub(super) const BY_ARCHITECTURE: &[(&str, &[&str])] = &[
    ("x86_64", &["arch_prctl", "modify_ldt"]),
    ("x86", &["modify_ldt"]),
    (
        "aarch64",
        &[
            "arm_fadvise64_64", "arm_sync_file_range", "breakpoint", "cacheflush", "set_tls",
            "sync_file_range2",
        ],
    ),
    ("powerpc64", &["swapcontext", "sync_file_range2"]),
    ("riscv64", &["riscv_flush_icache"]),
    ("s390x", &["s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"]),
];

/// Allowed to a container that has the capability.
#[rustfmt::skip]
pub(super) const BY_CAPABILITY: &[(&str, &[&str])] = &[
    ("CAP_BPF", &["bpf"]),
    ("CAP_DAC_READ_SEARCH", &["open_by_handle_at"]),
    ("CAP_PERFMON", &["perf_event_open"]),
    (
        "CAP_SYS_ADMIN",
        &[
            // Namespaces.
            "clone", "clone3", "setdomainname", "sethostname", "setns", "unshare",
            // Mounts and quotas.
            "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount",
            "open_tree", "quotactl", "quotactl_fd", "umount", "umount2",
            // Watching and steering the kernel.
            "bpf", "fanotify_init", "lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules",
            "lsm_set_self_attr", "perf_event_open", "syslog",
        ],
    ),
    ("CAP_SYS_BOOT", &["reboot"]),
    ("CAP_SYS_CHROOT", &["chroot"]),
    ("CAP_SYS_MODULE", &["delete_module", "finit_module", "init_module"]),
    (
        "CAP_SYS_NICE",
        &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"],
    ),
    ("CAP_SYS_PACCT", &["acct"]),
    (
        "CAP_SYS_PTRACE",
        &[
            "kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev",
            "ptrace",
        ],
    ),
    ("CAP_SYS_RAWIO", &["ioperm", "iopl"]),
    ("CAP_SYS_TIME", &["clock_settime", "clock_settime64", "settimeofday", "stime"]),
    ("CAP_SYS_TTY_CONFIG", &["vhangup"]),
    ("CAP_SYSLOG", &["syslog"]),
];

/// Allowed from kernel 4.8, when ptrace(2) no longer went round the filter.
pub(super) const TRACING: &[&str] = &["process_vm_readv", "process_vm_writev", "ptrace"];

/// Below this every socket family is allowed: Unix, IPv4, IPv6 and the old network protocols.
pub(super) const FAMILIES_BELOW: u64 = 12;

/// The families above [`FAMILIES_BELOW`] that are allowed (linux/socket.h). Out are those that went
/// from the kernel or that hardly anybody audits (DECnet 12, Econet 19, ATM 20, IrDA 23, 25, ISDN
/// 34, CAIF 37), AF_ALG 38 (CVE-2026-31431) and AF_VSOCK 40, which reaches the hypervisor.
#[rustfmt::skip]
pub(super) const FAMILIES: &[u64] = &[
    13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43,
    44, 45,
];

/// The values personality(2) takes: Linux, 32-bit Linux, both with UNAME26, and the query.
pub(super) const PERSONALITIES: &[u64] = &[0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The flags of clone(2) that make namespaces: mount, cgroup, UTS, IPC, user, PID, network.
pub(super) const CLONE_NAMESPACES: u64 =
    0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000;
