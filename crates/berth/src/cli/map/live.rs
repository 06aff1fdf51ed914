//! Where a live map comes from: the host, or a recording; and recording it.

use std::path::Path;
use std::time::Duration;

use berth_base::escape_untrusted;
use berth_map::live::{Feed, RecordError, Recording, ReplayError, ReplayOptions, WatchOptions};
use berth_map::model::Wanted;

use super::super::failure::Failure;
use super::super::pid::sources;
use super::super::{Context, Outcome};
use super::{Map, discover, select};
use crate::tui::Signals;

/// How often a recording without a view looks whether it goes well.
const PAUSE: Duration = Duration::from_millis(200);

impl Map {
    /// Opens what is to be watched. A scope that means nothing is refused first.
    pub(super) fn feed(&self, context: &Context) -> Result<Feed, Failure> {
        let scope = self.scope.as_deref().map(str::parse).transpose()?;
        if let Some(file) = &self.replay {
            return Ok(Feed::replay(file, ReplayOptions::default())?);
        }
        let sources = sources(context)?;
        if scope.is_some() {
            select(&discover(&sources, &Wanted::default())?, scope.as_ref())?;
        }
        let options = WatchOptions {
            wanted: self.wanted(),
            ..WatchOptions::default()
        };
        Ok(Feed::watch(sources, options)?)
    }

    /// Begins the recording that is asked for.
    pub(super) fn recording(&self, feed: &Feed) -> Result<Option<Recording>, Failure> {
        let file = self.record.as_deref();
        Ok(file.map(|file| Recording::start(file, feed)).transpose()?)
    }

    /// Records until a signal says that it is enough.
    pub(super) fn record(&self, context: &mut Context) -> Outcome {
        let signals = Signals::take()?;
        let feed = self.feed(context)?;
        let Some(recording) = self.recording(&feed)? else {
            return Ok(0);
        };
        let name = self.record.as_deref().unwrap_or(Path::new(""));
        let name = escape_untrusted(&name.to_string_lossy()).into_owned();
        context
            .out
            .line(&format!("recording to {name}; Ctrl-C ends it"))?;
        context.out.flush()?;
        let end = loop {
            if let Some(signal) = signals.wait_for_end(PAUSE) {
                break signal;
            }
            if recording.failure().is_some() {
                break 0;
            }
        };
        report(context, recording)?;
        // Asked to end by its user, it did what it was started for.
        Ok(if matches!(end, 0 | 2) { 0 } else { 128 + end })
    }
}

/// Ends a recording and says how large it is.
pub(super) fn report(context: &mut Context, recording: Recording) -> Result<(), Failure> {
    let bytes = recording.stop()?;
    context
        .out
        .line(&format!("recorded {} KiB", bytes.div_ceil(1024)))?;
    context.out.flush()
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        let message = error.to_string();
        Self::new(error.class(), escape_untrusted(&message))
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        let message = error.to_string();
        Self::new(error.class(), escape_untrusted(&message))
    }
}
