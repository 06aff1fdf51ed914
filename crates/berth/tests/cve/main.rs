//! Escapes from container runtimes, and what went wrong in containers' lives elsewhere: each is
//! tried here against Berth, through the OCI command line of `berth-runtime` and, where `berth`
//! has the command, through that too.
//!
//! A test is named after its CVE, and was seen to fail once with its guard taken out of the code:
//! the table says how, and what the test then saw. `(2)` marks a guard that has a second one
//! behind it, which was taken out as well.
//!
//! | CVE | Test | Guard taken out | What happened |
//! |---|---|---|---|
//! | 2016-3697 | [`identity`] `cve_2016_3697_...` | names before numbers in `berth-engine/user.rs` | `id -u` said 0 |
//! | 2016-8867 | [`identity`] `cve_2016_8867_...` | permitted raised into the inheritable and ambient sets in `act/confine.rs` | CapEff was full |
//! | 2016-9962 | [`binary`] `cve_2016_9962_...` | `stage::forbid_tracing` sets Dumpable | `/proc/N/exe` of an exec was readable inside |
//! | 2018-15664, 2026-42306, 2026-41567 | [`swaps`] `cve_2018_15664_...` | RESOLVE_IN_ROOT in `user.rs` and `oci/home.rs` | `exec -u` took a user of the host's; the races of `berth cp` are in `tests/cp/attacks.rs`, those of unpacking layers come with issue 6 |
//! | 2019-14271 | [`binary`] `cve_2019_14271_...` | init opens /etc/nsswitch.conf after the pivot | inotify saw the open; the look at program headers refuses a dynamic /bin/ls |
//! | 2019-5736 | [`binary`] `cve_2019_5736_...` (two) | `oci/shield.rs` not called (2: `berth_early_start` not the entry point, `build.rs`); MOUNT_ATTR_RDONLY in `launch.rs` | the binary was emptied and could not be started any more; the mount of PID 1's binary was writable |
//! | 2019-16884, 2019-19921, 2023-27561, 2023-28642 | [`mounts`] `cve_2019_16884_...` | `guard_procfs` in `act/root.rs` (2: the plan, by text) | a tmpfs lay on /proc/self/attr by way of a link |
//! | 2019-18837 | [`mounts`] `cve_2019_18837_...` | RESOLVE_IN_ROOT in `act/path.rs` | the tmpfs lay on the host's folder, and nothing of it was seen inside |
//! | 2020-15257 | [`kernel`] `cve_2020_15257_...` | a socket with an abstract name in `keeper.rs`, in `oci/cli` | /proc/net/unix had `@berth-test` |
//! | 2021-30465 | [`mounts`] `cve_2021_30465_...` | `act/path.rs` checks for links first and opens without RESOLVE_IN_ROOT after 30 us | a mount had landed outside of the root |
//! | 2021-43784 | [`kernel`] `cve_2021_43784_...` | the limit of lines in `spec/mapping.rs`, and the list cut at 200 (2: the kernel takes less than a page) | the container ran with a part of its mapping |
//! | 2022-0492 | [`kernel`] `cve_2022_0492_...` | `Step::Seccomp` does nothing | `unshare -Ur` worked |
//! | 2022-0811 | [`kernel`] `cve_2022_0811_...` | `..` allowed in `spec/rules.rs`; the look at whose namespace it is (2: spec and plan) | `net/../kernel/core_pattern` was set; the host's ip_forward was |
//! | 2022-36109 | [`identity`] `cve_2022_36109_...` | the main group not among the further ones in `berth-engine/user.rs` | a setgid program of another group printed the file |
//! | 2022-24769, 2022-29162, 2022-27650, 2025-27612 | [`identity`] `cve_2022_24769_...` | inheritable gets permitted in `act/confine.rs` | CapInh was a80425fb |
//! | 2023-25809 | [`kernel`] `cve_2023_25809_...` | `ro` dropped in `plan/cgroupfs.rs` | cgroups were made and joined |
//! | 2024-3154 | [`kernel`] `cve_2024_3154_...` | ExecStartPre on the list in `cgroup/systemd/annotation.rs` | the order went on to systemd, which was not there to follow it |
//! | 2024-21626 | [`binary`] `cve_2024_21626_...` | `close_on_exec_from` in `init.rs`; the working directory by chdir(2) | `ls /proc/self/fd` showed 5, 7 and 9; `/proc/self/fd/3` was entered |
//! | 2024-45310 | [`mounts`] `cve_2024_45310_...` | as 2021-30465 | folders were made on the host |
//! | 2025-31133, 2025-62161 | [`swaps`] `cve_2025_31133_...` | the mask taken from the container's /dev/null, unchecked | a masked file was a regular one |
//! | 2025-52565 | [`swaps`] `cve_2025_52565_...` | `Links::InRoot` for /dev/console; the file system's magic in `enter.rs` | the terminal lay on the file that a link named; `exec -it` took a FIFO for ptmx |
//! | 2025-52881, 2025-62596 | [`swaps`] `cve_2025_52881_...` | sysctls by the root's /proc in `act/files.rs` | ip_forward stayed 0, a file of the root was written |
//! | 2025-54867 | [`mounts`] `cve_2025_54867_...` | `Links::InRoot` for proc and sysfs in `plan/mounts.rs` | a linked /proc was mounted on |
//! | 2026-30892 | [`identity`] `cve_2026_30892_...` | a uid that cannot be parsed is 0 in `oci/cli/exec.rs` | `exec --user -1` was root |
//! | 2026-41579, 2026-47766 | [`mounts`] `cve_2026_41579_...` | as 2019-18837 | null, full, fd and others were made in the host's folder |
//!
//! | What else | Test | Guard taken out | What happened |
//! |---|---|---|---|
//! | `run` misses the end (soak does 10,000) | [`lifecycle`] `a_run_never_...` | `oci/run.rs` drops signals that came before and waits for SIGCHLD alone | the first run hung |
//! | a reused PID is signalled | [`lifecycle`] `a_reused_pid_...` | the start time in `process::is_same` | somebody else's `sleep` was killed |
//! | no PID namespace, processes left | [`lifecycle`] `without_a_pid_namespace_...` | the kill of the cgroup in `oci/kill.rs`, and in `oci/delete.rs` | they ran on; delete failed |
//! | delete of what does not die | [`lifecycle`] `a_delete_gives_up_...` | only the first process listed; no deadline | the zombie was not named; it took 25 s |
//! | a state changed by a signal | [`lifecycle`] `a_signal_that_...` | `kill` forgets the first process | `stopped` after SIGHUP |
//! | device rules not applied | [`lifecycle`] `a_device_that_...`; v2's filter: `cgroup::devices` in the VM | v1's default left at allow | /dev/fuse was opened |
//! | the host under the root, and its secrets | [`engine`] | `unstack` in `act/root.rs`; `hide::hide`; `Step::Seccomp` | a second mount on `/`; /proc/sys writable; io_uring reached |

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod binary;
#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod engine;
mod identity;
mod kernel;
mod lifecycle;
mod mounts;
mod support;
mod swaps;
