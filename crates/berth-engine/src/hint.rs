//! Whether PID 1 of a container may ignore a signal.

use std::fs;

use berth_base::HostPid;

/// What the threads of a process do about one signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reaction {
    /// Some thread has a handler (SigCgt).
    catches: bool,
    /// Some thread blocks it, perhaps to take it with sigwait(3) or signalfd(2).
    blocks: bool,
    /// Some thread sits in rt_sigtimedwait(2).
    waits: bool,
}

/// Whether nothing suggests that the process would notice the signal. The kernel drops a signal
/// for PID 1 of a PID namespace that has no handler (pid_namespaces(7)).
///
/// A hint only: a program may look at pending signals now and then. One that cannot be read is
/// not suspected.
pub(crate) fn may_ignore(pid: HostPid, signal: i32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    let mut reaction = Reaction::default();
    let mut seen = 0;
    for thread in threads.flatten() {
        let Ok(status) = fs::read_to_string(thread.path().join("status")) else {
            continue;
        };
        seen += 1;
        reaction.catches |= has_signal(&status, "SigCgt:", signal);
        reaction.blocks |= has_signal(&status, "SigBlk:", signal);
        reaction.waits |= fs::read_to_string(thread.path().join("wchan"))
            .is_ok_and(|channel| channel.contains("sigtimedwait"));
    }
    seen > 0 && reaction == Reaction::default()
}

/// Whether a mask line of /proc/PID/status has the bit of a signal (proc_pid_status(5)).
fn has_signal(status: &str, mask: &str, signal: i32) -> bool {
    let Some(bit) = u32::try_from(signal).ok().and_then(|n| n.checked_sub(1)) else {
        return false;
    };
    status
        .lines()
        .find_map(|line| line.strip_prefix(mask))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .and_then(|bits| bits.checked_shr(bit))
        .is_some_and(|bits| bits & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_read_bit_by_bit() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigCgt:\t0000000180004002\n";
        assert!(has_signal(status, "SigCgt:", 15));
        assert!(has_signal(status, "SigCgt:", 2));
        assert!(!has_signal(status, "SigCgt:", 1));
        assert!(!has_signal(status, "SigBlk:", 15));
        assert!(!has_signal(status, "SigCgt:", 0));
        assert!(!has_signal(status, "SigCgt:", 99));
    }

    #[test]
    fn a_shell_with_a_trap_is_not_suspected() {
        for (script, suspected) in [("trap : TERM; echo; read x", false), ("echo; read x", true)] {
            let mut child = std::process::Command::new("/bin/sh")
                .args(["-c", script])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut byte = [0];
            std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut byte).unwrap();
            let pid = HostPid::new(child.id()).unwrap();
            assert_eq!(may_ignore(pid, 15), suspected, "{script}");
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }
}
