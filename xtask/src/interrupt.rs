//! Ctrl-C as a flag, so that a command can clean up before it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::{Failure, Outcome};

/// Whether somebody asked us to end. The programs that we started in the foreground get the
/// terminal's signal themselves.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    /// The kernel refuses the handlers.
    pub(crate) fn catch() -> Outcome<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .map_err(|error| Failure::new(format!("cannot catch signal {signal}: {error}")))?;
        }
        Ok(Self(flag))
    }

    /// Goes on only if nobody asked us to end.
    ///
    /// # Errors
    /// Somebody did.
    pub(crate) fn check(&self) -> Outcome {
        if self.0.load(Ordering::Relaxed) {
            return Err(Failure::new("interrupted"));
        }
        Ok(())
    }
}
