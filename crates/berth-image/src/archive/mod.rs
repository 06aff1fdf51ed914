//! Archives of whole images (`docker-archive`, `oci-archive`) and of root filesystems.
//!
//! [`load()`] takes images out of an archive, or out of a folder with an OCI image layout; [`save()`]
//! writes them into one; [`import()`] makes an image of the tar of a root filesystem, and
//! [`Changes`] reads the instructions by which imports and commits change a configuration.
//!
//! An archive is read once, from front to back, in whatever order its entries come: blobs go into
//! the store as they pass, and what they belong to is found out at the end. Nothing of it is
//! unpacked into a folder here, so names of entries are only names. An archive with anything wrong
//! in it is refused whole: no name is given, and the next collection takes its blobs.

mod change;
mod compressed;
mod copy;
mod docker;
mod folder;
mod gather;
mod import;
mod layout;
mod limits;
mod load;
mod name;
mod save;
mod tar_in;
mod tar_out;
mod words;

pub use change::Changes;
pub use import::{ImportOptions, import};
pub use limits::LoadLimits;
pub(crate) use limits::exceeded;
pub use load::{FinishedLayer, LoadOptions, Loaded, Source, load};
pub use save::{SaveFormat, SaveItem, Saved, save};
