//! Layers that unpack before it is known which image they belong to.
//!
//! An archive names its images at its end as like as not, but the tree of a layer does not depend on
//! the layers below until it is settled. So a blob unpacks as soon as it is written, while the next
//! one is read and this one goes to disk, and its tree moves into place once there is one. What no
//! image needs is removed with this value. A failure is none yet: whoever needs the layer meets it
//! again, and has words for it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use berth_base::Digest;
use berth_persist::{At, Op, Replace, perform};

use super::{ImageStore, LayerBuilder, LayerSlot, Lease, UnpackHow, UnpackJob};
use crate::layer::Unpacked;
use crate::progress::{Progress, Stage};
use crate::{Descriptor, Hasher};

/// More at a time would only fight for the disk.
const THREADS_MAX: usize = 4;

/// What unpacks early, and what has.
pub(crate) struct Early<'a> {
    store: &'a ImageStore,
    lease: &'a Lease,
    how: &'a dyn UnpackHow,
    progress: &'a dyn Progress,
    /// Which of those of this process.
    number: u64,
    /// The content of all layers there were.
    unpacked: OnceLock<HashSet<Digest>>,
    queue: Mutex<Queue>,
    changed: Condvar,
    done: Mutex<HashMap<Digest, (LayerBuilder, Unpacked)>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Descriptor, Option<Digest>)>,
    /// Every blob once.
    seen: HashSet<Digest>,
    closed: bool,
}

impl<'a> Early<'a> {
    pub(crate) fn new(
        store: &'a ImageStore,
        lease: &'a Lease,
        how: &'a dyn UnpackHow,
        progress: &'a dyn Progress,
    ) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self {
            store,
            lease,
            how,
            progress,
            number: COUNT.fetch_add(1, Ordering::Relaxed),
            unpacked: OnceLock::new(),
            queue: Mutex::default(),
            changed: Condvar::new(),
            done: Mutex::default(),
        }
    }

    /// Adds a blob that was just written; `verified` is the digest of its content, if that is known.
    /// One that is unpacked somewhere most likely is where it will be needed.
    pub(crate) fn add(&self, layer: Descriptor, verified: Option<Digest>) {
        let is_here = verified.as_ref().is_some_and(|diff_id| {
            let layers = self.unpacked.get_or_init(|| self.store.diff_ids());
            layers.contains(diff_id)
        });
        if is_here {
            return;
        }
        let mut queue = locked(&self.queue);
        if queue.seen.insert(layer.digest.clone()) {
            queue.waiting.push_back((layer, verified));
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Unpacks what is added while `work` runs. Returns when all of it is done, or `work` failed.
    pub(crate) fn during<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        std::thread::scope(|scope| {
            for _ in 0..threads.min(THREADS_MAX) {
                scope.spawn(|| {
                    while let Some((layer, verified)) = self.next() {
                        self.unpack(&layer, verified);
                    }
                });
            }
            let closing = Closing(self);
            let result = work();
            if result.is_err() {
                locked(&self.queue).waiting.clear();
            }
            drop(closing);
            result
        })
    }

    fn next(&self) -> Option<(Descriptor, Option<Digest>)> {
        let mut queue = locked(&self.queue);
        loop {
            if let Some(next) = queue.waiting.pop_front() {
                return Some(next);
            }
            if queue.closed {
                return None;
            }
            let woken = self.changed.wait(queue);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn unpack(&self, layer: &Descriptor, verified: Option<Digest>) {
        // A place of this load alone: its lock is nobody else's to wait for.
        let place = format!(
            "early {} {} {}",
            std::process::id(),
            self.number,
            layer.digest
        );
        let place = Hasher::sha256(place.as_bytes());
        let slot = self.store.begin_layer(self.lease, &place, || {});
        let Ok(LayerSlot::Building(builder)) = slot else {
            return;
        };
        let item = layer.digest.short();
        self.progress
            .begin(item, Stage::Unpacking, 0, Some(layer.size));
        let job = UnpackJob {
            what: format!("layer {}", layer.digest),
            blob: self.store.blob_path(&layer.digest),
            tree: builder.tree_path(),
            lowers: Vec::new(),
            verified,
        };
        if let Ok(unpacked) = self.how.unpack(&job) {
            self.progress.advance(item, layer.size);
            self.progress.end(item, "done");
            locked(&self.done).insert(layer.digest.clone(), (builder, unpacked));
        }
    }

    /// The digest of a blob's content, if it has been unpacked.
    pub(crate) fn content(&self, blob: &Digest) -> Option<Digest> {
        let done = locked(&self.done);
        done.get(blob).map(|(_, unpacked)| unpacked.diff_id.clone())
    }

    /// Moves the tree of a blob to an empty folder, if it has been unpacked.
    pub(crate) fn take(&self, blob: &Digest, tree: &Path) -> Option<Unpacked> {
        let (builder, unpacked) = locked(&self.done).remove(blob)?;
        let from = builder.tree_path();
        let rename = Op::Rename {
            from: At::path(&from),
            to: At::path(tree),
            replace: Replace::Yes,
        };
        // Where the tree is not ours to move, it is unpacked again.
        perform("image.layer.adopt", rename).ok()?;
        Some(unpacked)
    }
}

/// Lets the threads end, also when the work panics.
struct Closing<'e, 'a>(&'e Early<'a>);

impl Drop for Closing<'_, '_> {
    fn drop(&mut self) {
        locked(&self.0.queue).closed = true;
        self.0.changed.notify_all();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
