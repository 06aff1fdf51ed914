//! The snapshot of a host: plain, immutable data.
//!
//! Pure: nothing here reads a file, a clock or a terminal. A source of [`crate::discover`] fills
//! [`Parts`], [`World::assemble`] links and attributes them, and everything else (translation,
//! drawing, JSON) reads the [`World`].

mod cgroup;
mod container;
mod decode;
mod hierarchy;
mod namespace;
mod process;
mod world;

pub use cgroup::{CgroupEntry, CgroupSet};
pub use container::{Container, ContainerIndex, Engine, Evidence, StaleContainer, StaleReason};
pub use decode::decode_untrusted;
pub use namespace::{Namespace, NamespaceSet};
pub use process::{Links, Process};
pub use world::{Extent, Host, Parts, Source, World};
