//! What a running container uses up, at one moment: its cgroups and its interfaces.

use std::time::Instant;

use berth_base::state::NamespaceSource;
use berth_base::{HostPid, NamespaceKind};
use berth_runtime::cgroup::{Cgroup, Usage};

use crate::process::start_ticks;
use crate::{Container, Engine};

/// Counters of a container; two of them tell rates.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When they were read.
    pub read_at: Instant,
    /// What its cgroups count.
    pub usage: Usage,
    /// Bytes that its interfaces received and sent, its loopback left out; nothing where the network
    /// is the host's.
    pub network: Option<(u64, u64)>,
}

impl Engine {
    /// Reads the counters of a container that was seen alive; `None` where it has ended since. Cheap:
    /// a few files of cgroups and one of the interfaces, no state file.
    pub fn sample(&self, container: &Container) -> Option<Sample> {
        let live = container.live.as_ref()?;
        let read_at = Instant::now();
        let usage = Cgroup::from_paths(&live.cgroups).usage().ok()?;
        let source = container.create.namespaces.get(&NamespaceKind::Net);
        let network = match source {
            Some(NamespaceSource::Host) => Some((0, 0)),
            _ => interfaces(live.init.pid),
        };
        // The same process all along: its PID was nobody else's when the files were read.
        let same = start_ticks(live.init.pid) == Some(live.init.start_ticks);
        same.then_some(Sample {
            read_at,
            usage,
            network,
        })
    }
}

/// Adds up /proc/PID/net/dev (proc_pid_net(5)), which shows the network namespace of the process.
fn interfaces(pid: HostPid) -> Option<(u64, u64)> {
    // by path: procfs, of a process whose identity is checked afterwards
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    Some(sum(&text))
}

fn sum(text: &str) -> (u64, u64) {
    let counters = text.lines().filter_map(|line| {
        let (name, numbers) = line.split_once(':')?;
        if name.trim() == "lo" {
            return None;
        }
        let mut numbers = numbers.split_ascii_whitespace();
        // Eight columns of what came in, of which the first is bytes, then those of what went out.
        let received: u64 = numbers.next()?.parse().ok()?;
        let sent: u64 = numbers.nth(7)?.parse().ok()?;
        Some((received, sent))
    });
    counters.fold((0, 0), |(received, sent), (more_received, more_sent)| {
        let received = u64::saturating_add(received, more_received);
        (received, u64::saturating_add(sent, more_sent))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_but_the_loopback_add_up() {
        let text = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:    1500      10    0    0    0     0          0         0      700       5    0    0    0     0       0          0
  eth1:       2       1    0    0    0     0          0         0        3       1    0    0    0     0       0          0
";
        assert_eq!(sum(text), (1502, 703));
        assert_eq!(sum(""), (0, 0));
        assert_eq!(sum("eth0: x"), (0, 0));
    }
}
