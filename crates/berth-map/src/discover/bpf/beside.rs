//! What came with the processes, or comes as cheaply, for the sources of details.

use std::collections::BTreeMap;

use berth_base::{HostPid, NamespaceId};

use super::super::details::Reading;
use super::super::details::children;
use super::super::details::descriptors::{self, Descriptors, Socket};
use super::super::threads;
use super::super::ways::Way;
use super::Unavailable;
use super::file_record::{OpenFile, Target};
use super::files::read_files;
use super::offsets::Offsets;
use crate::model::{Holder, Namespace, Thread};

/// What came with the processes.
pub(in super::super) struct Beside {
    /// Parents and owners of namespaces.
    pub(super) namespaces: Vec<Namespace>,
    /// Threads by their process, as far as wanted.
    pub(super) threads: BTreeMap<HostPid, Vec<Thread>>,
    /// Namespaces of children yet to be born, where they are not the process's own.
    pub(super) for_children: Vec<(NamespaceId, HostPid)>,
    /// What they have open, where it was read in the same pass.
    pub(super) files: Option<Vec<OpenFile>>,
    /// Processes that BPF did not show, by ascending PID.
    pub(super) unseen: Vec<HostPid>,
    /// For reading more.
    pub(super) offsets: Offsets,
    /// At which level of the system the reader's PID namespace is.
    pub(super) base: usize,
}

impl Beside {
    /// Parents and owners of namespaces.
    pub(in super::super) fn take_namespaces(&mut self) -> Vec<Namespace> {
        std::mem::take(&mut self.namespaces)
    }

    /// Threads, and the namespaces that they live in.
    pub(in super::super) fn threads(&mut self, reading: &mut Reading<'_>) -> Result<(), String> {
        for (process, threads) in std::mem::take(&mut self.threads) {
            for thread in &threads {
                for id in thread.namespaces.iter() {
                    let tid = thread.tid;
                    reading.ways.insert(id, Way::Thread { process, tid });
                }
            }
            reading.details.threads.insert(process, threads);
        }
        // Of processes that BPF did not show.
        threads::read(reading)
    }

    /// Namespaces that children will be born in. Unlike its link the kernel's memory shows a PID
    /// namespace that has never had a process.
    pub(in super::super) fn for_children(
        &mut self,
        reading: &mut Reading<'_>,
    ) -> Result<(), String> {
        for (id, pid) in std::mem::take(&mut self.for_children) {
            reading.ways.insert(id, Way::ForChildren(pid));
            reading.hold(id, Holder::ForChildren { pid });
        }
        let unseen = &self.unseen;
        children::read_links_of(reading, |process| {
            unseen.binary_search(&process.pid).is_ok()
        })
    }

    /// Whether BPF shows a process.
    pub(in super::super) fn shows(&self, pid: HostPid) -> bool {
        self.unseen.binary_search(&pid).is_err()
    }

    /// Descriptors of namespaces, and sockets with the network namespace they were made in, of
    /// the processes that BPF shows. A thread that shares no descriptors with its process is
    /// listed by its own id, a socket of such a one only where it was made elsewhere.
    pub(in super::super) fn descriptors(&mut self) -> Result<Descriptors, Unavailable> {
        let files = match self.files.take() {
            Some(files) => files,
            None => read_files(&self.offsets, self.base)?,
        };
        let mut found = Descriptors::default();
        for file in files {
            let OpenFile { pid, fd, .. } = file;
            match file.target {
                Target::Namespace(id) => {
                    found
                        .namespaces
                        .push(descriptors::Namespace { pid, fd, id });
                }
                Target::Socket {
                    inode,
                    net,
                    is_foreign,
                } => {
                    if is_foreign || !file.is_thread {
                        found.sockets.push(Socket {
                            pid,
                            fd,
                            inode,
                            namespace: Some(net),
                        });
                    }
                }
            }
        }
        Ok(found)
    }
}
