//! What a container uses, as the kernel accounts for it.

use rustix::io::Errno;

use super::branch::Branch;
use super::error::CgroupError;
use super::files::{self, flat_value};
use super::walk::{Visit, walk};
use super::{Cgroup, Controller};

/// v1 writes "no limit" as the greatest multiple of the page size below 2^63; anything beyond
/// this is one.
const V1_UNLIMITED: u64 = 0x7fff_ffff_0000_0000;

/// The resources a container uses now. `None`: its controller is missing, or the cgroup is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory in bytes, without the page cache that is not in active use (`inactive_file`), as
    /// `docker stats` counts it.
    pub memory_bytes: Option<u64>,
    /// The memory limit in bytes, `None` also where there is no limit.
    pub memory_limit_bytes: Option<u64>,
    /// CPU time since the start, in nanoseconds.
    pub cpu_nanos: Option<u64>,
    /// Tasks (threads) now.
    pub pids: Option<u64>,
    /// The limit of tasks, `None` also where there is no limit.
    pub pids_limit: Option<u64>,
    /// Bytes read from block devices.
    pub block_read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub block_write_bytes: Option<u64>,
}

impl Cgroup {
    /// Reads what the container uses, from whichever hierarchy has each controller.
    pub fn usage(&self) -> Result<Usage, CgroupError> {
        let (memory_bytes, memory_limit_bytes) = self.memory_usage()?;
        let (block_read_bytes, block_write_bytes) = self.block_usage()?;
        let pids = self
            .v1_branch(Controller::Pids.v1_name())
            .or(self.v2.as_ref());
        Ok(Usage {
            memory_bytes,
            memory_limit_bytes,
            cpu_nanos: self.cpu_usage()?,
            pids: read_number(pids, "pids.current")?,
            pids_limit: read_number(pids, "pids.max")?,
            block_read_bytes,
            block_write_bytes,
        })
    }

    /// How many processes of the container, sub-cgroups included, the OOM killer has ended since
    /// its cgroup was made; 0 when the cgroup is gone or no controller tells.
    ///
    /// v2's memory.events counts those below as well. v1's memory.oom_control (4.13) does not, so
    /// there sub-cgroups are visited; what happened in one that is gone is not counted.
    pub fn oom_kills(&self) -> Result<u64, CgroupError> {
        let Some(branch) = self.v1_branch(Controller::Memory.v1_name()) else {
            let Some(branch) = &self.v2 else { return Ok(0) };
            let events = branch.read_if_present("memory.events")?;
            return Ok(events
                .and_then(|text| flat_value(&text, "oom_kill"))
                .unwrap_or(0));
        };
        let dir = match branch.dir() {
            Err(Errno::NOENT) => return Ok(0),
            dir => dir.map_err(files::access("open", &branch.path, ""))?,
        };
        let mut total = 0u64;
        let walked = walk(dir, &mut |visit| {
            if let Visit::Enter(dir) = visit {
                match files::read_at(dir, "memory.oom_control") {
                    Ok(text) => {
                        let kills = flat_value(&text, "oom_kill").unwrap_or(0);
                        total = total.saturating_add(kills);
                    }
                    Err(Errno::NOENT | Errno::NODEV) => {}
                    Err(errno) => return Err(errno),
                }
            }
            Ok(())
        });
        match walked {
            Ok(()) | Err(Errno::NOENT | Errno::NODEV) => Ok(total),
            Err(errno) => Err(files::access("read", &branch.path, "memory.oom_control")(
                errno,
            )),
        }
    }

    fn memory_usage(&self) -> Result<(Option<u64>, Option<u64>), CgroupError> {
        if let Some(branch) = self.v1_branch(Controller::Memory.v1_name()) {
            let used = read_number(Some(branch), "memory.usage_in_bytes")?;
            let limit = read_number(Some(branch), "memory.limit_in_bytes")?;
            let limit = limit.filter(|bytes| *bytes < V1_UNLIMITED);
            return Ok((without_cache(branch, used, "total_inactive_file")?, limit));
        }
        let Some(branch) = &self.v2 else {
            return Ok((None, None));
        };
        let used = read_number(Some(branch), "memory.current")?;
        let limit = read_number(Some(branch), "memory.max")?;
        Ok((without_cache(branch, used, "inactive_file")?, limit))
    }

    fn cpu_usage(&self) -> Result<Option<u64>, CgroupError> {
        if let Some(branch) = self.v1_branch(Controller::CpuAccounting.v1_name()) {
            return read_number(Some(branch), "cpuacct.usage");
        }
        // v2 has it without any controller.
        let Some(branch) = &self.v2 else {
            return Ok(None);
        };
        let text = branch.read_if_present("cpu.stat")?;
        let micros = text.and_then(|text| flat_value(&text, "usage_usec"));
        Ok(micros.map(|micros| micros.saturating_mul(1_000)))
    }

    fn block_usage(&self) -> Result<(Option<u64>, Option<u64>), CgroupError> {
        if let Some(branch) = self.v1_branch(Controller::BlockIo.v1_name()) {
            for file in [
                "blkio.throttle.io_service_bytes_recursive",
                "blkio.throttle.io_service_bytes",
            ] {
                if let Some(text) = branch.read_if_present(file)? {
                    return Ok((Some(sum_v1(&text, "Read")), Some(sum_v1(&text, "Write"))));
                }
            }
            return Ok((None, None));
        }
        let Some(branch) = &self.v2 else {
            return Ok((None, None));
        };
        let Some(text) = branch.read_if_present("io.stat")? else {
            return Ok((None, None));
        };
        Ok((
            Some(sum_v2(&text, "rbytes=")),
            Some(sum_v2(&text, "wbytes=")),
        ))
    }
}

/// One number in a file; `None` for `max` and where there is no such file.
fn read_number(branch: Option<&Branch>, file: &str) -> Result<Option<u64>, CgroupError> {
    let Some(branch) = branch else {
        return Ok(None);
    };
    let Some(text) = branch.read_if_present(file)? else {
        return Ok(None);
    };
    match text.trim() {
        "max" => Ok(None),
        number => number
            .parse()
            .map(Some)
            .map_err(|_| CgroupError::Malformed {
                path: branch.file(file),
                text: text.clone(),
            }),
    }
}

fn without_cache(
    branch: &Branch,
    used: Option<u64>,
    key: &str,
) -> Result<Option<u64>, CgroupError> {
    let Some(used) = used else { return Ok(None) };
    let stat = branch.read_if_present("memory.stat")?;
    let cache = stat.and_then(|text| flat_value(&text, key)).unwrap_or(0);
    Ok(Some(used.saturating_sub(cache)))
}

/// Adds up lines like `8:0 Read 4096`.
fn sum_v1(text: &str, operation: &str) -> u64 {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (_, name, bytes) = (words.next()?, words.next()?, words.next()?);
            if name == operation {
                bytes.parse::<u64>().ok()
            } else {
                None
            }
        })
        .fold(0, u64::saturating_add)
}

/// Adds up keys in lines like `8:0 rbytes=4096 wbytes=0 rios=1 ...`.
fn sum_v2(text: &str, key: &str) -> u64 {
    text.split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok())
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::cgroup::kernel_tests::{Place, run_in};

    #[test]
    fn block_files_are_added_up() {
        let v1 = "254:0 Read 100\n254:0 Write 7\n8:0 Read 1\n8:0 Total 108\nTotal 108\n";
        assert_eq!((sum_v1(v1, "Read"), sum_v1(v1, "Write")), (101, 7));
        let v2 = "254:0 rbytes=100 wbytes=7 rios=1\n8:0 rbytes=1 wbytes=0\n";
        assert_eq!((sum_v2(v2, "rbytes="), sum_v2(v2, "wbytes=")), (101, 7));
    }

    #[test]
    fn usage_is_read_from_the_kernel() {
        let Some(place) = Place::new("usage") else {
            return;
        };
        let cgroup = place.create("a");
        let json = r#"{"memory": {"limit": 67108864}, "pids": {"limit": 33}}"#;
        cgroup.apply(&serde_json::from_str(json).unwrap()).unwrap();
        let child = run_in(
            &cgroup,
            "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 100 & wait",
        );
        let deadline = Instant::now() + Duration::from_secs(5);
        while cgroup.processes().unwrap().len() < 2 {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(2));
        }
        let usage = cgroup.usage().unwrap();
        assert!(usage.memory_bytes.unwrap() > 0, "{usage:?}");
        assert_eq!(usage.memory_limit_bytes, Some(67_108_864));
        assert!(usage.cpu_nanos.unwrap() > 100_000, "{usage:?}");
        assert_eq!(usage.pids, Some(2));
        assert_eq!(usage.pids_limit, Some(33));
        assert!(usage.block_read_bytes.is_some());
        cgroup.kill().unwrap();
        child.wait_with_output().unwrap();
        assert!(cgroup.wait_empty(deadline).unwrap());
        cgroup.remove().unwrap();
        assert_eq!(
            Cgroup::from_paths(&cgroup.paths()).usage().unwrap(),
            Usage::default()
        );
        assert_eq!(cgroup.usage().unwrap(), Usage::default());
        assert_eq!(Cgroup::from_paths(&cgroup.paths()).oom_kills().unwrap(), 0);
    }

    #[test]
    fn the_oom_killer_is_noticed_also_below() {
        let Some(place) = Place::new("oom") else {
            return;
        };
        let cgroup = place.create("a");
        let json = r#"{"memory": {"limit": 8388608, "swap": 8388608}}"#;
        cgroup.apply(&serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(cgroup.oom_kills().unwrap(), 0);
        let eat = "tail -c 100m /dev/zero | tail -c 100m >/dev/null";
        run_in(&cgroup, eat).wait_with_output().unwrap();
        let first = cgroup.oom_kills().unwrap();
        assert!(first >= 1);
        if let Some(memory) = cgroup.v1_branch("memory") {
            let sub = memory.file("sub");
            let script = format!("mkdir {0}; echo 0 > {0}/tasks; {eat}", sub.display());
            run_in(&cgroup, &script).wait_with_output().unwrap();
            assert!(cgroup.oom_kills().unwrap() > first);
        }
        cgroup.remove().unwrap();
    }
}
