//! Who runs when and where: sched_setattr(2), ioprio_set(2), sched_setaffinity(2),
//! set_mempolicy(2), personality(2). All of the calling thread.

use rustix::io::Errno;

use crate::clone::last_errno;

/// `struct sched_attr` of Linux 5.3 (SCHED_ATTR_SIZE_VER1).
#[repr(C)]
struct RawAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    util_min: u32,
    util_max: u32,
}

/// What sched_setattr(2) sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedulerAttributes {
    /// SCHED_*.
    pub policy: u32,
    /// SCHED_FLAG_*.
    pub flags: u64,
    /// -20 to 19, for SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// 1 to 99, for SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// SCHED_DEADLINE: time to run in each period.
    pub runtime_ns: u64,
    /// SCHED_DEADLINE: when it must have run.
    pub deadline_ns: u64,
    /// SCHED_DEADLINE: 0 means the deadline.
    pub period_ns: u64,
}

/// Sets policy and attributes of the calling thread (sched_setattr(2)).
pub fn set_scheduler(attributes: &SchedulerAttributes) -> Result<(), Errno> {
    let raw = RawAttributes {
        size: u32::try_from(size_of::<RawAttributes>()).map_err(|_| Errno::INVAL)?,
        policy: attributes.policy,
        flags: attributes.flags,
        nice: attributes.nice,
        priority: attributes.priority,
        runtime: attributes.runtime_ns,
        deadline: attributes.deadline_ns,
        period: attributes.period_ns,
        util_min: 0,
        util_max: 0,
    };
    // SAFETY: `raw` is a live sched_attr that says its own size; 0 is the calling thread.
    answer(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const raw, 0) })
}

/// Sets the I/O priority of the calling thread (ioprio_set(2)): class in the bits from 13 up,
/// level below.
pub fn set_io_priority(value: u32) -> Result<(), Errno> {
    const WHO_PROCESS: libc::c_int = 1;
    // SAFETY: the call takes three integers; 0 is the calling thread.
    answer(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, value) })
}

/// Sets the CPUs that the calling thread may run on, one bit for each (sched_setaffinity(2)).
pub fn set_affinity(mask: &[u64]) -> Result<(), Errno> {
    // SAFETY: the pointer is to that many readable bytes; 0 is the calling thread.
    answer(unsafe {
        libc::syscall(
            libc::SYS_sched_setaffinity,
            0,
            size_of_val(mask),
            mask.as_ptr(),
        )
    })
}

/// Sets where the memory of the calling thread comes from (set_mempolicy(2)): a mode with its
/// flags, and one bit for each node.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> Result<(), Errno> {
    // The kernel looks at one bit less than it is told.
    let bits = nodes.len() * 64 + 1;
    let pointer = if nodes.is_empty() {
        std::ptr::null()
    } else {
        nodes.as_ptr()
    };
    let bits = if nodes.is_empty() { 0 } else { bits };
    // SAFETY: the pointer is null with a length of 0, or to that many readable bits.
    answer(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, bits) })
}

/// Sets the execution domain of this process (personality(2)).
pub fn set_personality(persona: u32) -> Result<(), Errno> {
    // SAFETY: the call takes one integer.
    answer(unsafe { libc::syscall(libc::SYS_personality, libc::c_ulong::from(persona)) })
}

fn answer(result: libc::c_long) -> Result<(), Errno> {
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread of its own: everything here is of the calling thread, but the personality.
    fn apart(check: impl FnOnce() + Send + 'static) {
        std::thread::spawn(check).join().unwrap();
    }

    #[test]
    fn batch_with_a_nice_value() {
        apart(|| {
            let attributes = SchedulerAttributes {
                policy: 3,
                nice: 5,
                ..SchedulerAttributes::default()
            };
            set_scheduler(&attributes).unwrap();
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields: Vec<_> = stat
                .rsplit_once(')')
                .unwrap()
                .1
                .split_whitespace()
                .collect();
            // nice is field 19, policy field 41 of proc_pid_stat(5); field 3 follows the name.
            assert_eq!((fields[16], fields[38]), ("5", "3"));
        });
    }

    #[test]
    fn affinity_and_io_priority() {
        apart(|| {
            set_affinity(&[1]).unwrap();
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
            assert_eq!(set_affinity(&[0]), Err(Errno::INVAL));
            set_io_priority(2 << 13 | 6).unwrap();
            assert_eq!(set_io_priority(7 << 13), Err(Errno::INVAL));
        });
    }

    #[test]
    fn a_memory_policy_of_a_node_that_is_there() {
        apart(|| {
            match set_memory_policy(2, &[1]) {
                Ok(()) => assert!(set_memory_policy(2, &[0]).is_err()),
                // A kernel without NUMA.
                Err(error) => assert_eq!(error, Errno::NOSYS),
            }
        });
    }
}
