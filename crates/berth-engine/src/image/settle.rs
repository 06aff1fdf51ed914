//! Unpacked layers are made to outlive a loss of power, on nobody's path.

use crate::{Engine, EngineError};

/// To nice(2): writing to disk can wait for whoever cannot.
const NICE: i32 = 10;

impl Engine {
    /// Starts a process of its own that syncs what was unpacked and ends. Without it a crash of the
    /// host costs that the layers are unpacked again, so a failure is nobody's concern.
    pub(crate) fn settle_in_background(&self) {
        // Not waited for: it outlives us.
        drop(self.spawn_internal(&["settle"]));
    }

    /// What that process does (`berth internal settle`); it opens no file before.
    pub fn settle_layers(&self) -> Result<(), EngineError> {
        // Its parent's terminal, locks and pipes are none of its business.
        berth_sys::close_all_but_streams(None).ok();
        rustix::process::setsid().ok();
        rustix::process::nice(NICE).ok();
        Ok(self.images().settle_layers_alone()?)
    }
}
