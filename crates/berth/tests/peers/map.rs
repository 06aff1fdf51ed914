//! What the map says of the containers of a peer, seen from the host, whose processes it reads
//! like everybody else's.

use std::collections::BTreeSet;

use berth_base::HostPid;
use berth_map::discover::Sources;
use berth_map::model::{Confidence, Container, ContainerIndex, EvidenceKind, Process};
use berth_map::{World, lookup};

/// A map of the host.
pub struct Map {
    pub world: World,
    sources: Sources,
}

/// What is expected of one container.
pub struct Expected<'a> {
    /// How the map is to know.
    pub evidence: &'a [EvidenceKind],
    pub confidence: Confidence,
    pub image: Option<&'a str>,
    /// Pod, and its Kubernetes namespace.
    pub pod: Option<(&'a str, Option<&'a str>)>,
}

impl Map {
    pub fn read() -> Self {
        let sources = Sources::host("/nonexistent").unwrap();
        let world = World::discover(&sources).unwrap();
        Self { world, sources }
    }

    pub fn find(&self, name: &str) -> (ContainerIndex, &Container) {
        let index = self.world.find_container(name);
        let index = index.unwrap_or_else(|error| {
            let all = self.world.containers().iter();
            let all: Vec<String> = all.map(Container::display_name).collect();
            let warnings = self.world.warnings();
            panic!("{error}; there are {all:?}, warnings: {warnings:#?}")
        });
        (index, self.world.container(index).unwrap())
    }

    /// Checks a container, named as `berth pid` takes it, and that it can be asked about by name in both directions.
    pub fn expect(&self, name: &str, expected: &Expected) -> ContainerIndex {
        let (index, container) = self.find(name);
        let kinds: Vec<_> = container.evidence.iter().map(|e| e.kind).collect();
        assert_eq!(kinds, expected.evidence, "{container:#?}");
        assert_eq!(container.confidence(), expected.confidence);
        assert_eq!(container.image.as_deref(), expected.image, "{container:#?}");
        let pod = container.pod.as_ref();
        let pod = pod.map(|p| (p.name.as_str(), p.namespace.as_deref()));
        assert_eq!(pod, expected.pod, "{container:#?}");
        // Of many processes the first two: the peer is no container of a usual place, so that each
        // question reads the whole host.
        for process in self.owned(index).into_iter().take(2) {
            let found = lookup::find(&self.sources, &process.pid.to_string().parse().unwrap());
            let answer = found.unwrap().resolution().unwrap().answer;
            let seen = self.world.seen_from(process.pid, index).unwrap();
            assert_eq!(
                answer.to_string(),
                format!("{}:{seen}", container.display_name())
            );
            let back = lookup::find(&self.sources, &answer.to_string().parse().unwrap());
            assert_eq!(back.unwrap().pid, process.pid, "{answer}");
        }
        index
    }

    /// The processes that a container owns itself, not those of containers in it.
    pub fn owned(&self, index: ContainerIndex) -> Vec<&Process> {
        let all = self.world.processes().iter();
        all.filter(|p| self.world.owner(p.pid) == Some(index))
            .collect()
    }

    /// Names of the processes that a container owns itself.
    pub fn comms(&self, index: ContainerIndex) -> Vec<&str> {
        let mut comms: Vec<&str> = self.owned(index).iter().map(|p| p.comm.as_str()).collect();
        comms.sort_unstable();
        comms
    }

    /// The container's first process has this PID in the PID namespace that the peer lives in.
    pub fn assert_init(&self, index: ContainerIndex, pid: &str) {
        let init = self.world.container(index).unwrap().init.unwrap();
        let init = self.world.process(init).unwrap();
        assert_eq!(init.pids[1].to_string(), pid, "{init:#?}");
    }

    /// All processes of some PID namespaces belong to one container, and no others do.
    pub fn assert_owns_namespace(&self, index: ContainerIndex) {
        let namespace = self.world.container(index).unwrap().pid_namespace;
        let lives = |p: &&Process| p.pid_namespace() == namespace;
        let living: BTreeSet<HostPid> = self
            .world
            .processes()
            .iter()
            .filter(lives)
            .map(|p| p.pid)
            .collect();
        let owned: BTreeSet<HostPid> = self.owned(index).iter().map(|p| p.pid).collect();
        assert!(!owned.is_empty());
        assert_eq!(owned, living);
    }

    /// The daemons of the peer belong to no container of the peer's.
    pub fn assert_outside(&self, index: ContainerIndex, comm: &str) {
        let parents = self
            .owned(index)
            .into_iter()
            .filter_map(|p| self.world.parent(p));
        let mut ancestors =
            parents.flat_map(|p| std::iter::successors(Some(p), |p| self.world.parent(p)));
        let daemon = ancestors.find(|p| p.comm == comm);
        let daemon = daemon.unwrap_or_else(|| panic!("no {comm} above the container"));
        let owner = self.world.owner(daemon.pid);
        assert_ne!(owner, Some(index));
        let inside = owner.is_some_and(|owner| self.world.is_inside(owner, index));
        assert!(!inside, "{daemon:#?}");
    }
}
