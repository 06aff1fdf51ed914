//! How long work tells how far it is. The terminal is the caller's business.

/// What is being done with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Another process does it.
    Waiting,
    /// From a registry.
    Downloading,
    /// To a registry.
    Uploading,
    /// Out of, or into, an archive.
    Copying,
    /// Into the layers folder.
    Unpacking,
    /// What a container changed, as a layer.
    Packing,
    /// With a layer that is unpacked already.
    Comparing,
}

/// Receives progress; called from several threads at a time, often, so it must be quick.
pub trait Progress: Sync {
    /// Work on an item began; `total` in bytes where it is known, `done` of them from before.
    fn begin(&self, item: &str, stage: Stage, done: u64, total: Option<u64>);
    /// So many more bytes were done.
    fn advance(&self, item: &str, bytes: u64);
    /// Work on the item ended, with one word about it: `done`, `already here`.
    fn end(&self, item: &str, word: &str);
    /// Something worth a line of its own, such as a retry.
    fn note(&self, text: &str);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _item: &str, _stage: Stage, _done: u64, _total: Option<u64>) {}
    fn advance(&self, _item: &str, _bytes: u64) {}
    fn end(&self, _item: &str, _word: &str) {}
    fn note(&self, _text: &str) {}
}
