//! Records that could not be kept.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use berth_base::state::{LOST_FILE, LostFile};

/// The file is as long as this, with spaces at its end: it is overwritten in place, by one write.
const FILE_LENGTH: usize = 256;

/// Counts what was lost, for the log itself and for `inspect`.
pub(super) struct Lost {
    path: PathBuf,
    file: Option<File>,
    count: LostFile,
    /// Not yet said in the log.
    untold: u64,
}

impl Lost {
    /// Goes on from what a monitor before us counted.
    pub(super) fn new(volatile_dir: &Path, run: u32) -> Self {
        let path = volatile_dir.join(LOST_FILE);
        let before = berth_persist::read(&path).ok();
        let before: Option<LostFile> =
            before.and_then(|bytes| serde_json::from_slice(bytes.trim_ascii()).ok());
        let count = before.filter(|file| file.run == run);
        Self {
            path,
            file: None,
            count: count.unwrap_or_else(|| LostFile {
                run,
                ..LostFile::default()
            }),
            untold: 0,
        }
    }

    /// Counts records. One that fits nowhere is counted in memory alone.
    pub(super) fn add(&mut self, records: u64, why: &io::Error) {
        if records == 0 {
            return;
        }
        self.untold += records;
        self.count.records += records;
        let reason = why.to_string();
        if self.count.reason != reason {
            self.count.reason = reason;
        }
        if self.note().is_err() {
            self.file = None;
        }
    }

    fn note(&mut self) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(&self.count)?;
        bytes.resize(bytes.len().max(FILE_LENGTH), b' ');
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(0o600);
            options.custom_flags(berth_persist::NO_WAIT);
            self.file = Some(options.open(&self.path)?);
        }
        match &self.file {
            Some(file) => file.write_all_at(&bytes, 0),
            None => Ok(()),
        }
    }

    /// How many the log does not speak of yet.
    pub(super) const fn untold(&self) -> u64 {
        self.untold
    }

    /// The log speaks of all.
    pub(super) const fn told(&mut self) {
        self.untold = 0;
    }

    /// The text of the record that says so.
    pub(super) fn words(&self) -> Option<String> {
        let plural = if self.untold == 1 { "" } else { "s" };
        let reason = &self.count.reason;
        (self.untold > 0).then(|| {
            format!(
                "berth: {} record{plural} of output lost here: {reason}\n",
                self.untold
            )
        })
    }
}
