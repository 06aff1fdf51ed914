//! What containers of one image cost besides the image: disk below the engine's root, and mounts of
//! the host.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::table::{grid, verdict};
use crate::berth::Berth;
use crate::exec;
use crate::failure::{Failure, Outcome};

/// Containers of one image.
const CONTAINERS: usize = 20;
/// Bytes that they may add.
const DISK_BYTES: u64 = 1 << 20;
/// Mounts that they may add to the host's table.
const MOUNTS: u64 = 0;

/// What is there at a time.
struct Census {
    disk_bytes: u64,
    mounts: usize,
}

impl Census {
    fn take(root: &Path) -> Outcome<Self> {
        rustix::fs::sync();
        let text = exec::read(Command::new("du").args(["-s", "--block-size=1"]).arg(root))?;
        let number = text.split_whitespace().next().unwrap_or_default();
        let disk_bytes = number
            .parse()
            .map_err(|_| Failure::new(format!("du printed no number: {text:?}")))?;
        let table = Path::new("/proc/self/mountinfo");
        let text = fs::read_to_string(table).map_err(|e| Failure::file("read", table, &e))?;
        Ok(Self {
            disk_bytes,
            mounts: text.lines().count(),
        })
    }
}

/// Runs containers of an image that is there, and removes them. Nobody else may mount meanwhile.
pub(super) fn measure(berth: &Berth, image: &str, markdown: bool) -> Outcome<String> {
    // What the first one makes stays: the unpacked layers.
    berth.read(&["run", "--rm", "--net", "none", image, "true"])?;
    let before = Census::take(berth.root())?;
    for _ in 0..CONTAINERS {
        berth.read(&["run", "-d", "--net", "none", image, "sleep", "9999"])?;
    }
    let after = Census::take(berth.root())?;
    berth.remove_all()?;
    let disk = after.disk_bytes.saturating_sub(before.disk_bytes);
    let mounts = after.mounts.saturating_sub(before.mounts) as u64;
    let row = |what: &str, number: u64, limit: u64| {
        let verdict = if number <= limit { 1.0 } else { 2.0 };
        vec![
            what.to_owned(),
            number.to_string(),
            limit.to_string(),
            self::verdict(Some(verdict), 1.0).to_owned(),
        ]
    };
    let head = [
        &format!("{CONTAINERS} running containers add"),
        "measured",
        "at most",
        "verdict",
    ];
    let rows = [
        row("bytes below the root", disk, DISK_BYTES),
        row("mounts of the host", mounts, MOUNTS),
    ];
    Ok(format!("\n{}", grid(&head, &rows, markdown)))
}
