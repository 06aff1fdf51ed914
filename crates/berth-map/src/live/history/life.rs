//! One process's life, as it is shown and as it is kept. Pure.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use berth_base::{HostPid, NamespaceId, NamespaceKind};

use super::{BootTime, Exit};
use crate::model::{CgroupSet, Container, Links, NamespaceSet, Process};

/// Nanoseconds of a clock tick: USER_HZ is 100 on every architecture that Berth knows.
const TICK_NANOS: u64 = 10_000_000;

/// A process that started or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its PID on the host.
    pub pid: HostPid,
    /// Its PID at every level, outermost first, as far as known.
    pub pids: Vec<u32>,
    /// Its parent: the last one that was known.
    pub parent: Option<HostPid>,
    /// The PID namespace it lived in, where known.
    pub pid_namespace: Option<NamespaceId>,
    /// Its last name. Escape before showing.
    pub comm: Arc<str>,
    /// The container that owned it, as [`Container::display_name`] says it. Escape before showing.
    pub container: Option<Arc<str>>,
    /// When it was born: of one that no event told of, to 10 ms.
    pub born: BootTime,
    /// When it ended.
    pub ended: Option<BootTime>,
    /// How; [`Exit::Unknown`] where it ended and nobody saw it.
    pub exit: Option<Exit>,
}

/// A container that owned a process, and those around it.
pub(super) struct Home {
    /// As the last frame that it was in said; its parent's place means nothing.
    pub(super) container: Container,
    pub(super) label: Arc<str>,
    pub(super) outer: Option<Arc<Home>>,
}

/// What processes of the same container have in common.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) namespaces: NamespaceSet,
    pub(super) links: Links,
    pub(super) cgroups: Arc<CgroupSet>,
    pub(super) uid: u32,
    pub(super) kernel_thread: bool,
    pub(super) home: Option<Arc<Home>>,
}

impl Place {
    /// Where nobody knows anything.
    pub(super) fn unknown() -> Self {
        Self {
            namespaces: NamespaceSet::default(),
            links: Links::Denied,
            cgroups: Arc::default(),
            uid: 0,
            kernel_thread: false,
            home: None,
        }
    }

    /// Where a process of a frame lives.
    pub(super) fn of(process: &Process, home: Option<Arc<Home>>) -> Self {
        Self {
            namespaces: process.namespaces,
            links: process.links,
            cgroups: Arc::clone(&process.cgroups),
            uid: process.uid,
            kernel_thread: process.kernel_thread,
            home,
        }
    }

    fn home_address(&self) -> *const Home {
        self.home.as_ref().map_or(std::ptr::null(), Arc::as_ptr)
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.namespaces == other.namespaces
            && self.links == other.links
            && self.uid == other.uid
            && self.kernel_thread == other.kernel_thread
            && self.home_address() == other.home_address()
            && self.cgroups == other.cgroups
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.namespaces.hash(state);
        self.uid.hash(state);
        self.home_address().hash(state);
        self.cgroups.hash(state);
    }
}

/// The PIDs below the host's. Most processes have at most three; the kernel allows 32 levels
/// (MAX_PID_NS_LEVEL).
#[derive(Clone)]
enum Inner {
    /// From the outside; 0 is none.
    Few([u32; 3]),
    Many(Box<[u32; 32]>),
}

impl Inner {
    fn new(pids: &[u32]) -> Self {
        let below = pids.get(1..).unwrap_or_default();
        if below.len() <= 3 {
            let mut few = [0; 3];
            few.iter_mut().zip(below).for_each(|(to, from)| *to = *from);
            return Self::Few(few);
        }
        let mut many = Box::new([0; 32]);
        many.iter_mut()
            .zip(below)
            .for_each(|(to, from)| *to = *from);
        Self::Many(many)
    }

    fn below(&self) -> impl Iterator<Item = u32> + '_ {
        let slots: &[u32] = match self {
            Self::Few(few) => few,
            Self::Many(many) => many.as_slice(),
        };
        slots.iter().copied().take_while(|pid| *pid != 0)
    }
}

/// A life as it is kept: 72 bytes, and its share of names and places.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) born: BootTime,
    /// When it ended; of one that lives on, [`Self::ALIVE`].
    pub(super) ended: BootTime,
    pub(super) comm: Arc<str>,
    pub(super) place: Arc<Place>,
    pub(super) pid: HostPid,
    pub(super) parent: Option<HostPid>,
    pub(super) exit: Option<Exit>,
    inner: Inner,
}

impl Kept {
    pub(super) const ALIVE: BootTime = BootTime(u64::MAX);

    pub(super) fn new(
        (pid, pids): (HostPid, &[u32]),
        parent: Option<HostPid>,
        comm: Arc<str>,
        born: BootTime,
        place: Arc<Place>,
    ) -> Self {
        Self {
            born,
            ended: Self::ALIVE,
            comm,
            place,
            pid,
            parent,
            exit: None,
            inner: Inner::new(pids),
        }
    }

    /// Learns what is new in a frame.
    pub(super) fn refresh(&mut self, process: &Process, comm: Arc<str>, place: Arc<Place>) {
        self.comm = comm;
        self.place = place;
        self.parent = process.parent;
        self.inner = Inner::new(&process.pids);
    }

    /// The PIDs at every level.
    pub(super) fn pids(&self) -> Vec<u32> {
        std::iter::once(self.pid.get())
            .chain(self.inner.below())
            .collect()
    }

    /// Whether this is that process of a frame, whose start is known to a tick.
    pub(super) fn is(&self, process: &Process) -> bool {
        self.pid == process.pid && (self.born.0 / TICK_NANOS).abs_diff(process.start_ticks) <= 2
    }

    /// Whether it lived then.
    pub(super) fn lived_at(&self, time: BootTime) -> bool {
        self.born <= time && time < self.ended
    }

    /// For those who look at it.
    pub(super) fn life(&self) -> Life {
        Life {
            pid: self.pid,
            pids: self.pids(),
            parent: self.parent,
            pid_namespace: self.place.namespaces.of(NamespaceKind::Pid),
            comm: Arc::clone(&self.comm),
            container: self.place.home.as_ref().map(|home| Arc::clone(&home.label)),
            born: self.born,
            ended: (self.ended != Self::ALIVE).then_some(self.ended),
            exit: self.exit,
        }
    }

    /// The process, as it was when it lived. Nobody remembers what state it was in.
    pub(super) fn process(&self) -> Process {
        Process {
            pid: self.pid,
            pids: self.pids(),
            namespaces: self.place.namespaces,
            links: self.place.links,
            parent: self.parent,
            comm: self.comm.as_ref().to_owned(),
            state: 'S',
            start_ticks: self.born.0 / TICK_NANOS,
            cgroups: Arc::clone(&self.place.cgroups),
            uid: self.place.uid,
            kernel_thread: self.place.kernel_thread,
        }
    }
}

/// When a process of a frame was born.
pub(in crate::live) fn born(process: &Process) -> BootTime {
    BootTime(process.start_ticks.saturating_mul(TICK_NANOS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_small() {
        assert_eq!(size_of::<Kept>(), 72);
    }

    #[test]
    fn pids_of_any_depth_survive() {
        for depth in 1..=33 {
            let pids: Vec<u32> = (1..=depth).collect();
            let pid = HostPid::new(1).unwrap();
            let place = Arc::new(Place::unknown());
            let kept = Kept::new((pid, &pids), None, "x".into(), BootTime(1), place);
            assert_eq!(kept.pids(), pids);
        }
    }
}
