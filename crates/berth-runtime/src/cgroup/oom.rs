//! Being told when the OOM killer strikes in a container.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::fs::inotify;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::branch::Branch;
use super::error::CgroupError;
use super::{Cgroup, files, limits};

const V1_CONTROL: &str = "memory.oom_control";
const V2_EVENTS: &str = "memory.events";
const V2_LIFE: &str = "cgroup.events";

/// A descriptor that becomes readable (POLLIN) when memory ran out, and also when the cgroup goes.
#[derive(Debug)]
pub struct OomWatch {
    fd: OwnedFd,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// An eventfd registered with the memory controller.
    V1 { control: OwnedFd },
    /// An inotify of memory.events and cgroup.events, and the kills counted so far.
    V2 {
        events: OwnedFd,
        life: OwnedFd,
        kills: u64,
    },
}

/// What made an [`OomWatch`] readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomNotice {
    /// Nothing of interest.
    Nothing,
    /// Memory ran out so many times since the last notice.
    OutOfMemory(u64),
    /// The cgroup is empty or removed: nothing more will come.
    Gone,
}

impl Cgroup {
    /// Begins to watch for the container running out of memory.
    ///
    /// v1: an eventfd with memory.oom_control, for the container's own cgroup and those above.
    /// v2: `oom_kill` of memory.events, which counts sub-cgroups as well. Without a memory
    /// controller this is an error.
    pub fn watch_oom(&self) -> Result<OomWatch, CgroupError> {
        match (self.v1_branch("memory"), &self.v2) {
            (Some(branch), _) => watch_v1(branch),
            (None, Some(branch)) => watch_v2(branch),
            (None, None) => Err(CgroupError::NoCgroup {
                verb: "watch for the OOM killer",
            }),
        }
    }
}

fn watch_v1(branch: &Branch) -> Result<OomWatch, CgroupError> {
    let dir = branch.open()?;
    let failed = |file| files::access("watch", &branch.path, file);
    let control = open(dir, V1_CONTROL).map_err(failed(V1_CONTROL))?;
    let fd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(failed(V1_CONTROL))?;
    let line = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
    files::write_at(dir, "cgroup.event_control", &line).map_err(failed("cgroup.event_control"))?;
    Ok(OomWatch {
        fd,
        source: Source::V1 { control },
    })
}

fn watch_v2(branch: &Branch) -> Result<OomWatch, CgroupError> {
    let dir = branch.open()?;
    let failed = |file| files::access("watch", &branch.path, file);
    let events = open(dir, V2_EVENTS).map_err(|errno| match errno {
        Errno::NOENT => CgroupError::Unsupported {
            limit: "watch for the OOM killer".to_owned(),
            why: limits::no_controller(super::Controller::Memory),
        },
        errno => failed(V2_EVENTS)(errno),
    })?;
    let life = open(dir, V2_LIFE).map_err(failed(V2_LIFE))?;
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let fd = inotify::init(flags).map_err(failed(V2_EVENTS))?;
    for file in [&events, &life] {
        // The descriptors pin the files; the paths are ours.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        inotify::add_watch(&fd, path, inotify::WatchFlags::MODIFY).map_err(failed(V2_EVENTS))?;
    }
    let kills = count(&events).map_err(failed(V2_EVENTS))?;
    Ok(OomWatch {
        fd,
        source: Source::V2 {
            events,
            life,
            kills,
        },
    })
}

impl OomWatch {
    /// Takes what has happened since the last call; never blocks.
    pub fn take(&mut self) -> Result<OomNotice, Errno> {
        match &mut self.source {
            Source::V1 { control } => {
                let mut counter = [0u8; 8];
                let notices = match rustix::io::read(&self.fd, &mut counter) {
                    Ok(_) => u64::from_ne_bytes(counter),
                    Err(Errno::AGAIN | Errno::INTR) => 0,
                    Err(errno) => return Err(errno),
                };
                // The removal of the cgroup is signalled like an OOM.
                match files::read_whole(control.as_fd()) {
                    Err(Errno::NODEV | Errno::NOENT) => Ok(OomNotice::Gone),
                    Err(errno) => Err(errno),
                    Ok(_) if notices == 0 => Ok(OomNotice::Nothing),
                    Ok(_) => Ok(OomNotice::OutOfMemory(notices)),
                }
            }
            Source::V2 {
                events,
                life,
                kills,
            } => {
                drain(self.fd.as_fd())?;
                let now = match count(events) {
                    Err(Errno::NODEV | Errno::NOENT) => return Ok(OomNotice::Gone),
                    now => now?,
                };
                let new = now.saturating_sub(*kills);
                *kills = now;
                if new > 0 {
                    return Ok(OomNotice::OutOfMemory(new));
                }
                let populated = files::read_whole(life.as_fd())
                    .map(|text| files::flat_value(&text, "populated"));
                match populated {
                    Ok(Some(0)) | Err(Errno::NODEV | Errno::NOENT) => Ok(OomNotice::Gone),
                    Ok(_) => Ok(OomNotice::Nothing),
                    Err(errno) => Err(errno),
                }
            }
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn open(dir: BorrowedFd<'_>, file: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(dir, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn count(events: &OwnedFd) -> Result<u64, Errno> {
    let text = files::read_whole(events.as_fd())?;
    Ok(files::flat_value(&text, "oom_kill").unwrap_or(0))
}

fn drain(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut buffer = [0u8; 4096];
    loop {
        match rustix::io::read(fd, &mut buffer) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec};

    use super::*;
    use crate::cgroup::kernel_tests::{Place, run_in};

    fn wait(watch: &OomWatch) -> bool {
        let patience = Timespec::try_from(Duration::from_secs(10)).unwrap();
        let mut polled = [PollFd::new(watch, PollFlags::IN)];
        rustix::event::poll(&mut polled, Some(&patience)).unwrap() == 1
    }

    #[test]
    fn running_out_of_memory_and_the_end_are_noticed() {
        let Some(place) = Place::new("oomwatch") else {
            return;
        };
        let cgroup = place.create("a");
        let json = r#"{"memory": {"limit": 8388608, "swap": 8388608}}"#;
        cgroup.apply(&serde_json::from_str(json).unwrap()).unwrap();
        let mut watch = cgroup.watch_oom().unwrap();
        let eat = "tail -c 100m /dev/zero | tail -c 100m >/dev/null; sleep 100 & wait";
        let child = run_in(&cgroup, eat);
        assert_eq!(watch.take().unwrap(), OomNotice::Nothing);
        // v2 also tells of the limit being hit, before anything is killed.
        let deadline = Instant::now() + Duration::from_secs(10);
        let notice = loop {
            assert!(wait(&watch) && Instant::now() < deadline);
            match watch.take().unwrap() {
                OomNotice::Nothing => {}
                notice => break notice,
            }
        };
        assert!(matches!(notice, OomNotice::OutOfMemory(1..)), "{notice:?}");
        cgroup.kill().unwrap();
        child.wait_with_output().unwrap();
        cgroup.remove().unwrap();
        assert!(wait(&watch));
        // A last notice of the kernel may come first.
        let last = [watch.take().unwrap(), watch.take().unwrap()];
        assert!(last.contains(&OomNotice::Gone), "{last:?}");
    }
}
