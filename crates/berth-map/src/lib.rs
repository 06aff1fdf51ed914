//! The namespace and PID map: which process lives in which namespaces, what PID it has at every
//! level, and which container owns it.
//!
//! | Module | Room |
//! |---|---|
//! | [`discover`] | reads a host: processes, and those details that are wanted ([`model::Wanted`]) |
//! | [`model`] | the snapshot ([`World`]): plain, immutable, without I/O |
//! | [`attribute`] | which container owns which process |
//! | [`translate`] | host PID to container PID and back, on a snapshot |
//! | [`annotate`] | other programs' text with container names behind PIDs |
//! | [`check`] | findings about isolation, with reason and remedy |
//! | [`live`] | a host watched: snapshots and what happens between them |
//! | [`lookup`] | one such question, without reading the whole host |
//! | [`draw`], [`top`], [`ns_table`], [`who`], [`json`] | the snapshot as text, as rows, as documents |
//!
//! The crate does not know the engine: Berth's own containers are seen through the files that
//! docs describe, as those of other engines are. It reads; it enters no namespace, signals no
//! process and writes nothing. A terminal, the environment and exit codes are the caller's.
//!
//! ```no_run
//! use berth_map::model::Wanted;
//! use berth_map::{Sources, World, draw, lookup, top};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sources = Sources::host("/run/berth")?;
//!
//! // berth pid web:7, berth pid 31995, berth pid 31995 --in outer
//! let found = lookup::find(&sources, &"web:7".parse()?)?;
//! println!("{}", found.pid);
//! println!("{}", found.resolution()?.answer);
//! println!("{}", lookup::seen_from(&sources, &found, "outer")?);
//!
//! // berth top web
//! let world = World::discover(&sources)?;
//! let mut rows = top::rows(&world, world.find_container("web")?);
//! top::read_commands(&mut rows, &world, &sources.proc);
//!
//! // berth map
//! print!("{}", draw::map(&world, &draw::MapOptions::default()));
//!
//! // Who keeps a namespace alive that no process lives in?
//! let world = World::discover_with(&sources, &Wanted::everything())?;
//! for namespace in world.namespaces().filter(|n| n.processes == 0) {
//!     println!("{}: {:?}", namespace.id, world.holders(namespace.id));
//! }
//! # Ok(())
//! # }
//! ```

pub mod annotate;
pub mod attribute;
pub mod check;
pub mod discover;
pub mod dot;
pub mod draw;
mod inside;
pub mod json;
pub mod live;
pub mod lookup;
pub mod model;
pub mod ns_table;
mod picture;
pub mod scope;
pub mod svg;
pub mod top;
pub mod translate;
pub mod who;
mod zombie;

pub use discover::{DiscoverError, EngineRoots, ProcRoot, Sources};
pub use lookup::{Found, LookupError};
pub use model::{Container, ContainerIndex, Process, World};
pub use scope::{Scope, ScopeError, Selection};
pub use translate::{Answer, PidError, PidSpec, Resolution};
pub use zombie::Culprit;
