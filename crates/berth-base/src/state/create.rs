//! `create.json`: what the user asked for, and what it was resolved to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::RootSource;
use crate::{ContainerId, Digest, NamespaceKind, Timestamp};

/// The immutable record of a `create`.
///
/// `O` is the engine's options type: this crate fixes the file's frame, the engine its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateFile<O> {
    /// [`super::STATE_VERSION`].
    pub version: u32,
    /// The container.
    pub id: ContainerId,
    /// When it was made.
    pub created_at: Timestamp,
    /// The image as listings show it: its name, or the directory of `--rootfs`.
    pub image: String,
    /// The image it was made from; none for the built-in one and for a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ImageSource>,
    /// Entrypoint and command as they are executed.
    pub argv: Vec<String>,
    /// The hostname in its UTS namespace; the host's where that is shared.
    pub hostname: String,
    /// What becomes its root filesystem.
    pub root: RootSource,
    /// Where each namespace comes from, all eight kinds.
    pub namespaces: BTreeMap<NamespaceKind, NamespaceSource>,
    /// Where its cgroups are, as the spec's `cgroupsPath`; `None` when the caller may make none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroups_path: Option<String>,
    /// The host's boot in which it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// What the user asked for, completed by what the image says.
    pub options: O,
}

/// The image that a container was made from: no collection takes what this names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSource {
    /// The image's id, the digest of its configuration.
    pub id: Digest,
    /// Its manifest.
    pub manifest: Digest,
    /// The chain ids of its layers, the lowest first.
    pub layers: Vec<Digest>,
}

/// Where one namespace of a container comes from, decided at create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "from", content = "of")]
pub enum NamespaceSource {
    /// Its own.
    Private,
    /// The caller's, which for root is the host's.
    Host,
    /// That of another container; which process holds it is known only at start.
    Container(ContainerId),
    /// A file of nsfs.
    Path(PathBuf),
}
