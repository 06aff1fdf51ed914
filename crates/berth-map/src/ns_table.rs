//! The rows of `berth ns`: every namespace with who lives in it and who holds it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use berth_base::{HostPid, NamespaceId, NamespaceKind};

use crate::model::{ContainerIndex, Holder, Links, Namespace, Process, World};

/// One namespace of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NsRow {
    /// The namespace, as the snapshot has it.
    pub namespace: Namespace,
    /// Threads that live in it although their process does not.
    pub threads: usize,
    /// What keeps it alive beyond processes and threads; other namespaces are not counted.
    pub holders: usize,
    /// The lowest host PID of the processes that live in it.
    pub lowest: Option<HostPid>,
    /// The container whose namespace it is: the outermost that has a process in it, unless it is
    /// the host's.
    pub container: Option<ContainerIndex>,
    /// Where it can be opened: `/proc/PID/ns/KIND`, the same of a thread, a mount point,
    /// `/proc/PID/fd/N`. Not escaped.
    pub path: Option<String>,
    /// Mount points of its nsfs file. Not escaped.
    pub mount_points: Vec<String>,
}

impl NsRow {
    /// Whether nothing lives in it: it is kept alive by something else.
    pub fn is_persistent(&self) -> bool {
        self.namespace.processes == 0 && self.threads == 0
    }
}

/// Which namespaces a table shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NsFilter {
    /// These kinds; empty means all.
    pub kinds: Vec<NamespaceKind>,
    /// Those that this process lives in, or that its next child will.
    pub process: Option<HostPid>,
    /// Those in which nothing lives.
    pub persistent: bool,
    /// This inode number.
    pub inode: Option<u64>,
}

/// How the tree of a table hangs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The namespace whose process has the parent of the lowest process here; of each kind alone.
    Process,
    /// The namespace it was made in; PID and user namespaces.
    Parent,
    /// The user namespace that owns it.
    Owner,
}

/// A row in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The place of the row in the table.
    pub row: usize,
    /// How deep it hangs; 0 is a root.
    pub depth: usize,
    /// Whether it is the last one below its parent.
    pub is_last: bool,
}

/// Lists the namespaces of a world, by inode number and kind.
pub fn rows(world: &World, filter: &NsFilter) -> Vec<NsRow> {
    let residents = Residents::collect(world);
    let held = filter.process.map(|pid| held_by(world, pid));
    let mut rows: Vec<NsRow> = world
        .namespaces()
        .filter(|n| filter.kinds.is_empty() || filter.kinds.contains(&n.id.kind))
        .filter(|n| filter.inode.is_none_or(|inode| inode == n.id.inode))
        .filter(|n| held.as_ref().is_none_or(|held| held.contains(&n.id)))
        .map(|n| row(world, n, &residents))
        .filter(|row| !filter.persistent || row.is_persistent())
        .collect();
    rows.sort_by_key(|row| (row.namespace.id.inode, row.namespace.id.kind));
    rows
}

/// Says how many processes the kernel does not show the namespaces of, so that a table counts
/// too few; `None` when it shows all.
pub fn unseen(world: &World) -> Option<String> {
    let is_unseen = |process: &&Process| process.links == Links::Denied;
    let mut unseen = world.processes().iter().filter(is_unseen);
    let first = unseen.next()?;
    Some(match unseen.count() {
        0 => format!(
            "the kernel does not show the namespaces of process {}: it is not counted where it lives",
            first.pid
        ),
        others => format!(
            "the kernel does not show the namespaces of {} processes, {} the first of them: they are not counted where they live, and what only they live in is missing; root sees more",
            others + 1,
            first.pid
        ),
    })
}

/// Adds the namespaces that rows hang below, as lsns(8) does for trees of parents and owners.
pub fn with_superiors(world: &World, mut rows: Vec<NsRow>, relation: Relation) -> Vec<NsRow> {
    let above = |namespace: &Namespace| match relation {
        Relation::Parent => namespace.parent,
        Relation::Owner => namespace.owner,
        Relation::Process => None,
    };
    let mut known: BTreeSet<NamespaceId> = rows.iter().map(|row| row.namespace.id).collect();
    let mut queue: Vec<NamespaceId> = rows.iter().filter_map(|r| above(&r.namespace)).collect();
    let mut missing = Vec::new();
    while let Some(id) = queue.pop() {
        if let Some(namespace) = world.namespace(id)
            && known.insert(id)
        {
            queue.extend(above(namespace));
            missing.push(namespace);
        }
    }
    if !missing.is_empty() {
        let residents = Residents::collect(world);
        rows.extend(missing.into_iter().map(|n| row(world, n, &residents)));
        rows.sort_by_key(|row| (row.namespace.id.inode, row.namespace.id.kind));
    }
    rows
}

/// Orders rows as a tree. A row whose superior is not in the table is a root.
pub fn tree(world: &World, rows: &[NsRow], relation: Relation) -> Vec<Branch> {
    let places: BTreeMap<NamespaceId, usize> = rows
        .iter()
        .enumerate()
        .map(|(at, row)| (row.namespace.id, at))
        .collect();
    let above = rows.iter().map(|row| {
        let superior = superior(world, row, relation);
        superior.and_then(|id| places.get(&id).copied())
    });
    hang(above)
}

/// Orders processes as a tree of parents; one whose parent is not among them is a root.
pub fn family(processes: &[&Process]) -> Vec<Branch> {
    let places: BTreeMap<HostPid, usize> = processes
        .iter()
        .enumerate()
        .map(|(at, process)| (process.pid, at))
        .collect();
    let above = processes.iter().map(|process| {
        let parent = process.parent;
        parent.and_then(|pid| places.get(&pid).copied())
    });
    hang(above)
}

/// Orders places as a tree, each told the one that it hangs below.
fn hang(above: impl Iterator<Item = Option<usize>>) -> Vec<Branch> {
    let mut below: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    let mut count = 0;
    for (at, superior) in above.enumerate() {
        let superior = superior.filter(|place| *place != at);
        below.entry(superior).or_default().push(at);
        count = at + 1;
    }
    let mut branches = Vec::with_capacity(count);
    let mut reached = vec![false; count];
    descend(&below, None, 0, &mut reached, &mut branches);
    // Parents by process can lead round in a circle; what only a circle reaches is shown flat.
    for at in 0..count {
        if !reached.get(at).copied().unwrap_or(true) {
            branches.push(Branch {
                row: at,
                depth: 0,
                is_last: true,
            });
        }
    }
    branches
}

/// Adds what hangs below a row. The depth is that of namespaces: at most 33, or as many as
/// processes nest; every row is reached once.
fn descend(
    below: &BTreeMap<Option<usize>, Vec<usize>>,
    from: Option<usize>,
    depth: usize,
    reached: &mut [bool],
    branches: &mut Vec<Branch>,
) {
    let mut stack: Vec<(usize, usize, bool)> = Vec::new();
    let push = |stack: &mut Vec<(usize, usize, bool)>, from, depth| {
        let children = below.get(&from).map_or(&[][..], Vec::as_slice);
        for (index, child) in children.iter().enumerate().rev() {
            stack.push((*child, depth, index + 1 == children.len()));
        }
    };
    push(&mut stack, from, depth);
    while let Some((row, depth, is_last)) = stack.pop() {
        match reached.get_mut(row) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        branches.push(Branch {
            row,
            depth,
            is_last,
        });
        push(&mut stack, Some(row), depth + 1);
    }
}

/// The namespace that a row hangs below.
fn superior(world: &World, row: &NsRow, relation: Relation) -> Option<NamespaceId> {
    let namespace = &row.namespace;
    match relation {
        Relation::Parent => namespace.parent,
        Relation::Owner => namespace.owner,
        Relation::Process => {
            let mut process = world.process(row.lowest?)?;
            for _ in 0..world.processes().len() {
                process = world.parent(process)?;
                match process.namespaces.of(namespace.id.kind) {
                    Some(id) if id == namespace.id => {}
                    other => return other,
                }
            }
            None
        }
    }
}

/// The namespaces of a process and those its next child will be born in.
fn held_by(world: &World, pid: HostPid) -> BTreeSet<NamespaceId> {
    let mut held: BTreeSet<NamespaceId> = world
        .process(pid)
        .into_iter()
        .flat_map(|p| p.namespaces.iter())
        .collect();
    for (id, holders) in &world.details().holders {
        if holders.contains(&Holder::ForChildren { pid }) {
            held.insert(*id);
        }
    }
    held
}

/// Who lives where, in one pass over the processes.
struct Residents {
    lowest: BTreeMap<NamespaceId, HostPid>,
    /// The lowest of those whose links the kernel shows.
    shown: BTreeMap<NamespaceId, HostPid>,
    /// How many, and the first: its process and its thread id.
    threads: BTreeMap<NamespaceId, (usize, HostPid, HostPid)>,
    containers: BTreeMap<NamespaceId, ContainerIndex>,
}

impl Residents {
    fn collect(world: &World) -> Self {
        let (mut lowest, mut shown) = (BTreeMap::new(), BTreeMap::new());
        let mut containers: BTreeMap<NamespaceId, (usize, ContainerIndex)> = BTreeMap::new();
        for process in world.processes() {
            let owner = world.owner(process.pid);
            let depth = owner.map(|o| (world.enclosing(Some(o)).count(), o));
            for id in process.namespaces.iter() {
                // Ascending PIDs: the first one seen is the lowest.
                lowest.entry(id).or_insert(process.pid);
                if process.links != Links::Denied {
                    shown.entry(id).or_insert(process.pid);
                }
                if world.host().namespaces.of(id.kind) == Some(id) {
                    continue;
                }
                if let Some(candidate) = depth {
                    let best = containers.entry(id).or_insert(candidate);
                    *best = (*best).min(candidate);
                }
            }
        }
        let mut threads = BTreeMap::new();
        for (leader, strays) in &world.details().threads {
            let own = world.process(*leader).map(|p| p.namespaces);
            let own = own.unwrap_or_default();
            for thread in strays {
                for id in thread.namespaces.iter() {
                    if own.of(id.kind) != Some(id) {
                        let first = (0, *leader, thread.tid);
                        threads.entry(id).or_insert(first).0 += 1;
                    }
                }
            }
        }
        Self {
            lowest,
            shown,
            threads,
            containers: containers.into_iter().map(|(id, c)| (id, c.1)).collect(),
        }
    }
}

fn row(world: &World, namespace: &Namespace, residents: &Residents) -> NsRow {
    let id = namespace.id;
    let holders = world.holders(id);
    let lowest = residents.lowest.get(&id).copied();
    let threads = residents.threads.get(&id);
    let mount_points: Vec<String> = holders
        .iter()
        .filter_map(|holder| match holder {
            Holder::BindMount { path, .. } => Some(path.clone()),
            _ => None,
        })
        .collect();
    let through = |holder: &Holder| match holder {
        Holder::Descriptor { pid, fd } => Some(format!("/proc/{pid}/fd/{fd}")),
        Holder::ForChildren { pid } => {
            Some(format!("/proc/{pid}/ns/{}_for_children", id.kind.as_str()))
        }
        _ => None,
    };
    let kind = id.kind.as_str();
    let path = match (residents.shown.get(&id), threads) {
        (Some(pid), _) => Some(format!("/proc/{pid}/ns/{kind}")),
        (None, Some((_, pid, tid))) => Some(format!("/proc/{pid}/task/{tid}/ns/{kind}")),
        (None, None) => mount_points
            .first()
            .cloned()
            .or_else(|| holders.iter().find_map(through)),
    };
    let is_other = |holder: &&Holder| !matches!(holder, Holder::Child { .. });
    NsRow {
        namespace: namespace.clone(),
        threads: threads.map_or(0, |(count, ..)| *count),
        holders: holders.iter().filter(is_other).count(),
        lowest,
        container: residents.containers.get(&id).copied(),
        path,
        mount_points,
    }
}
