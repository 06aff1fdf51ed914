//! What changes or halts a container that exists: `update`, `pause`, `unpause`.

mod pause;
mod update;

pub(crate) use pause::{is_frozen, refuse_paused, thaw};
pub use update::Updated;
