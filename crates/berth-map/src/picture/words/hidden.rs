//! Namespaces that no process lives in, and what keeps them alive.

use berth_base::{HostPid, NamespaceId, NamespaceKind, escape_untrusted};
use rustc_hash::FxHashSet;

use super::{Words, cut, shown_name, thousands};
use crate::model::{Holder, Namespace};
use crate::picture::Forest;

/// The most lines; a host that leaks namespaces leaks them by the thousand.
const MOST_LINES: usize = 20;
/// The most holders of one namespace.
const MOST_HOLDERS: usize = 3;
/// The most cells of a path.
const PATH_ROOM: usize = 60;

impl Words<'_> {
    /// One line for each namespace without processes, or with the lens of another kind than PID
    /// for each of that kind.
    pub(crate) fn hidden(&self, forest: &Forest) -> Vec<String> {
        let inhabited = self.inhabited();
        let lens = forest.lens();
        let hidden = self.world.namespaces().filter(|n| {
            (lens == NamespaceKind::Pid || n.id.kind == lens)
                && !inhabited.contains(&n.id)
                && self.world.host().namespaces.of(n.id.kind) != Some(n.id)
                && forest.selection().has_namespace(n.id)
        });
        let hidden: Vec<&Namespace> = hidden.collect();
        let shown = hidden.iter().take(MOST_LINES);
        let mut lines: Vec<String> = shown.map(|n| self.describe_hidden(n.id)).collect();
        if hidden.len() > MOST_LINES {
            let rest = thousands(hidden.len() - MOST_LINES);
            lines.push(format!("hidden: {rest} more"));
        }
        lines
    }

    /// Namespaces with a process, here or further in, or with a thread of one.
    fn inhabited(&self) -> FxHashSet<NamespaceId> {
        let mut inhabited = FxHashSet::default();
        // Neighbours share most of theirs.
        let processes = self.world.processes();
        for run in processes.chunk_by(|a, b| a.namespaces == b.namespaces) {
            let namespaces = run.first().map(|process| &process.namespaces);
            inhabited.extend(namespaces.into_iter().flat_map(|all| all.iter()));
        }
        for thread in self.world.details().threads.values().flatten() {
            inhabited.extend(thread.namespaces.iter());
        }
        let mut todo: Vec<NamespaceId> = inhabited.iter().copied().collect();
        while let Some(id) = todo.pop() {
            let parent = self.world.namespace(id).and_then(|n| n.parent);
            if let Some(parent) = parent
                && inhabited.insert(parent)
            {
                todo.push(parent);
            }
        }
        inhabited
    }

    /// `hidden: net:[4026533144] <- pid 2396 agent fd 4 (socket)`.
    fn describe_hidden(&self, id: NamespaceId) -> String {
        let holders = self.world.holders(id);
        let mut words: Vec<String> = holders
            .iter()
            .take(MOST_HOLDERS)
            .map(|holder| self.holder(holder))
            .collect();
        if holders.len() > MOST_HOLDERS {
            words.push(format!("{} more", holders.len() - MOST_HOLDERS));
        }
        if words.is_empty() {
            return format!("hidden: {id}");
        }
        format!("hidden: {id} <- {}", words.join(" . "))
    }

    fn holder(&self, holder: &Holder) -> String {
        match holder {
            Holder::Descriptor { pid, fd } => format!("{} fd {fd}", self.named(*pid)),
            Holder::Socket { pid, fd } => format!("{} fd {fd} (socket)", self.named(*pid)),
            Holder::ForChildren { pid } => format!("{} (for children)", self.named(*pid)),
            Holder::Child { namespace } => namespace.to_string(),
            Holder::BindMount {
                mount_namespace,
                path,
            } => {
                let path = cut(&escape_untrusted(path), PATH_ROOM, "..");
                let host = self.world.host().namespaces.of(NamespaceKind::Mnt);
                match mount_namespace {
                    Some(id) if Some(*id) != host => format!("{path} in {id}"),
                    _ => path,
                }
            }
        }
    }

    fn named(&self, pid: HostPid) -> String {
        match self.world.process(pid) {
            Some(process) => format!("pid {pid} {}", shown_name(&process.comm)),
            None => format!("pid {pid}"),
        }
    }
}
