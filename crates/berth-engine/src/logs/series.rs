//! All files of a log, in their order.

use std::io;
use std::path::{Path, PathBuf};

use super::part::{Format, Part};

/// Opens the files of a log that there are now, the oldest first.
///
/// From the newest on, since a turn meanwhile only makes them older: a file can be met twice so, and
/// is known by its inode or, once it is compressed, by its first record; but none is left out.
pub(super) fn open(newest: &Path, format: Format) -> io::Result<Vec<Part>> {
    open_while(newest, format, || {})
}

/// The same, with something happening between the newest and the others.
fn open_while(newest: &Path, format: Format, meanwhile: impl FnOnce()) -> io::Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    parts.extend(open_if_there(newest, format)?);
    meanwhile();
    // One more than there are: they may be turned while we look.
    for number in 1..=highest(newest) + 1 {
        let plain = named(newest, &number.to_string());
        let packed = named(newest, &format!("{number}.gz"));
        let part = match open_if_there(&plain, format)? {
            Some(part) => Some(part),
            None => open_if_there(&packed, format)?,
        };
        let Some(mut part) = part else { continue };
        let (inode, Some(time)) = (part.inode(), part.first_time()) else {
            // Nothing in it.
            continue;
        };
        let mut known = parts.iter_mut();
        if !known.any(|known| known.inode() == inode || known.first_time() == Some(time)) {
            parts.push(part);
        }
    }
    // Turned twice meanwhile, the newest of before is older than one that was met after it. What is
    // empty has just begun.
    let timed = parts.into_iter().map(|mut part| (part.first_time(), part));
    let mut timed: Vec<_> = timed.collect();
    timed.sort_by_key(|(time, _)| time.unwrap_or(u64::MAX));
    Ok(timed.into_iter().map(|(_, part)| part).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of the first records of a log whose newest file is turned twice while it is opened.
    fn met(newest_begins: &str) -> Vec<u64> {
        let folder = tempfile::tempdir().unwrap();
        let newest = folder.path().join("log.json");
        let line = |number: u64| {
            format!(
                "{{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:0{number}Z\"}}\n"
            )
        };
        let name = |number: u32| named(&newest, &number.to_string());
        std::fs::write(name(1), line(1)).unwrap();
        std::fs::write(&newest, newest_begins).unwrap();
        let turn = |number: u64| {
            for older in [2, 1] {
                if name(older).exists() {
                    std::fs::rename(name(older), name(older + 1)).unwrap();
                }
            }
            std::fs::rename(&newest, name(1)).unwrap();
            std::fs::write(&newest, line(number)).unwrap();
        };
        let parts = open_while(&newest, Format::Json, || {
            std::fs::write(&newest, line(2)).unwrap();
            turn(3);
            turn(4);
        });
        let begin = berth_base::Timestamp::from_nanos(1_767_225_600_000_000_000);
        let times = parts.unwrap().into_iter().map(|mut part| part.first_time());
        times
            .map(|time| (time.unwrap() - begin.as_nanos()) / 1_000_000_000)
            .collect()
    }

    #[test]
    fn turned_meanwhile_each_file_is_there_once_and_in_order() {
        for begins in [
            "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:02Z\"}\n",
            "",
        ] {
            assert_eq!(met(begins), [1, 2, 3], "{begins:?}");
        }
    }
}
