//! All files of a log, in their order.

use std::io;
use std::path::{Path, PathBuf};

use super::part::{Format, Part};

/// Opens the files of a log that there are now, the oldest first.
///
/// From the newest on, since a turn meanwhile only makes them older: a file can be met twice so, and
/// is known by its first record then, but none is left out.
pub(super) fn open(newest: &Path, format: Format) -> io::Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    parts.extend(open_if_there(newest, format)?);
    let mut times: Vec<u64> = parts
        .first_mut()
        .and_then(Part::first_time)
        .into_iter()
        .collect();
    // One more than there are: they may be turned while we look.
    for number in 1..=highest(newest) + 1 {
        let plain = named(newest, &number.to_string());
        let packed = named(newest, &format!("{number}.gz"));
        let part = match open_if_there(&plain, format)? {
            Some(part) => Some(part),
            None => open_if_there(&packed, format)?,
        };
        let Some(mut part) = part else { continue };
        match part.first_time() {
            Some(time) if times.contains(&time) => {}
            Some(time) => {
                times.push(time);
                parts.push(part);
            }
            // Nothing in it.
            None => {}
        }
    }
    parts.reverse();
    Ok(parts)
}

fn open_if_there(path: &Path, format: Format) -> io::Result<Option<Part>> {
    match Part::open(path, format) {
        Ok(part) => Ok(Some(part)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `log.json.SUFFIX`.
pub(super) fn named(newest: &Path, suffix: &str) -> PathBuf {
    let mut name = newest.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// The turned files by their numbers, and whether they are compressed.
pub(super) fn turned(newest: &Path) -> Vec<(u32, bool)> {
    let (Some(folder), Some(name)) = (newest.parent(), newest.file_name().and_then(|n| n.to_str()))
    else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let entry = entry.file_name();
            let suffix = entry.to_str()?.strip_prefix(name)?.strip_prefix('.')?;
            let number = suffix.strip_suffix(".gz");
            Some((number.unwrap_or(suffix).parse().ok()?, number.is_some()))
        })
        .collect()
}

fn highest(newest: &Path) -> u32 {
    let numbers = turned(newest).into_iter().map(|(number, _)| number);
    // A name that somebody else made up must not keep us busy.
    numbers.filter(|number| *number < 10_000).max().unwrap_or(0)
}
