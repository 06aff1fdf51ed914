//! What is read beyond processes: an ordered table of sources, each with a file of its own.
//!
//! Sources that find namespaces come first, each adding a way to open them; then the kernel is
//! asked for their parents and owners; then sources that look into them. Each runs only when what
//! it reads is wanted, and one that fails becomes a warning.

mod asker;
mod bind_mounts;
pub(in crate::discover) mod children;
pub(in crate::discover) mod descriptors;
mod listns;
mod maps;
mod mountinfo;
mod mounts;
mod net_tables;
mod network;
mod sockets;
mod usage;

pub(in crate::discover) use mountinfo::parse as parse_mounts;

use std::collections::BTreeMap;

use berth_base::{NamespaceId, NamespaceKind};

use asker::Tcp;

use crate::discover::bpf::Beside;
use crate::discover::hierarchy::Hierarchy;
use crate::discover::procfs::Scan;
use crate::discover::ways::Ways;
use crate::discover::{ProcRoot, parse, threads};
use crate::model::{Details, Holder, Namespace, Wanted, WantedThreads};

/// What sources share, and fill.
pub(in crate::discover) struct Reading<'s> {
    /// The procfs.
    pub(in crate::discover) proc: &'s ProcRoot,
    /// What is wanted.
    pub(in crate::discover) wanted: &'s Wanted,
    /// The processes and the host.
    pub(in crate::discover) scan: &'s Scan,
    /// The namespaces that are known, and how to open them.
    pub(in crate::discover) ways: Ways,
    /// Parents and owners.
    pub(in crate::discover) hierarchy: Hierarchy,
    /// What came with the processes, where BPF read them.
    pub(in crate::discover) beside: Option<Beside>,
    /// Descriptors that are namespaces or sockets.
    pub(in crate::discover) descriptors: descriptors::Descriptors,
    /// TCP sockets that were asked what they are, by network namespace.
    tcp: BTreeMap<NamespaceId, Tcp>,
    /// What was found.
    pub(in crate::discover) details: Details,
    /// What could not be read.
    pub(in crate::discover) warnings: Vec<String>,
}

impl Reading<'_> {
    /// Adds a holder of a namespace.
    pub(in crate::discover) fn hold(&mut self, id: NamespaceId, holder: Holder) {
        self.details.holders.entry(id).or_default().push(holder);
    }

    /// The network namespace that we are in; `None` when the procfs does not show us.
    pub(in crate::discover) fn own_network(&self) -> Option<NamespaceId> {
        let link = rustix::fs::readlinkat(self.proc, c"thread-self/ns/net", Vec::new()).ok()?;
        parse::parse_link(NamespaceKind::Net, link.as_bytes())
    }
}

/// Everything that sources found.
pub(in crate::discover) struct Read {
    pub(in crate::discover) namespaces: Vec<Namespace>,
    pub(in crate::discover) details: Details,
    pub(in crate::discover) warnings: Vec<String>,
}

/// One source.
struct Entry {
    /// What its failure is called.
    name: &'static str,
    /// Whether what it reads is wanted.
    is_wanted: fn(&Wanted) -> bool,
    /// Reads it; an error says why it could not, in one line.
    read: fn(&mut Reading<'_>) -> Result<(), String>,
}

/// The sources, in the order in which they run.
const TABLE: &[Entry] = &[
    Entry {
        name: "threads",
        is_wanted: |wanted| wanted.threads != WantedThreads::None,
        read: |reading| by_bpf_or(reading, Beside::threads, threads::read),
    },
    Entry {
        name: "descriptors",
        is_wanted: |wanted| wanted.holders || wanted.networks,
        read: descriptors::read,
    },
    Entry {
        name: "namespaces for children",
        is_wanted: |wanted| wanted.holders,
        read: |reading| by_bpf_or(reading, Beside::for_children, children::read_links),
    },
    Entry {
        name: "sockets",
        is_wanted: |wanted| wanted.holders || wanted.networks,
        read: sockets::read,
    },
    Entry {
        name: "bind mounts",
        is_wanted: |wanted| wanted.holders,
        read: bind_mounts::read,
    },
    Entry {
        name: "listns",
        is_wanted: |wanted| wanted.holders,
        read: listns::read,
    },
    Entry {
        name: "parents and owners",
        is_wanted: |_| true,
        read: |reading| {
            reading.hierarchy.ask(reading.proc, &reading.ways);
            Ok(())
        },
    },
    Entry {
        name: "child namespaces",
        is_wanted: |wanted| wanted.holders,
        read: children::read_relations,
    },
    Entry {
        name: "id maps",
        is_wanted: |wanted| wanted.id_maps,
        read: maps::read,
    },
    Entry {
        name: "networks",
        is_wanted: |wanted| wanted.networks,
        read: network::read,
    },
    Entry {
        name: "numbers of network namespaces",
        is_wanted: |wanted| wanted.network_numbers,
        read: network::read_numbers,
    },
    Entry {
        name: "mounts",
        is_wanted: |wanted| !wanted.mounts.is_empty(),
        read: mounts::read,
    },
    Entry {
        name: "cgroups",
        is_wanted: |wanted| wanted.usage,
        read: usage::read,
    },
];

/// Takes what came with the processes, where BPF read them; reads otherwise.
fn by_bpf_or(
    reading: &mut Reading<'_>,
    by_bpf: fn(&mut Beside, &mut Reading<'_>) -> Result<(), String>,
    otherwise: fn(&mut Reading<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let Some(mut beside) = reading.beside.take() else {
        return otherwise(reading);
    };
    let done = by_bpf(&mut beside, reading);
    reading.beside = Some(beside);
    done
}

/// Runs the sources whose details are wanted.
pub(in crate::discover) fn read(
    proc: &ProcRoot,
    wanted: &Wanted,
    scan: &Scan,
    mut beside: Option<Beside>,
) -> Read {
    let known = beside.as_mut().map(Beside::take_namespaces);
    let mut reading = Reading {
        proc,
        wanted,
        scan,
        ways: Ways::through(&scan.processes),
        hierarchy: Hierarchy::with(known.unwrap_or_default()),
        beside,
        descriptors: descriptors::Descriptors::default(),
        tcp: BTreeMap::new(),
        details: Details::default(),
        warnings: Vec::new(),
    };
    for entry in TABLE {
        if !(entry.is_wanted)(wanted) {
            continue;
        }
        if let Err(why) = (entry.read)(&mut reading) {
            reading.warnings.push(format!("{}: {why}", entry.name));
        }
    }
    for holders in reading.details.holders.values_mut() {
        holders.sort();
        holders.dedup();
    }
    Read {
        namespaces: reading.hierarchy.into_namespaces(),
        details: reading.details,
        warnings: reading.warnings,
    }
}
